/** The objects of one kind as last seen, with indexes. Only its reflector writes it. */
import { keyOf } from '../objects/object.ts';
import type { KubernetesObject } from '../objects/object.ts';

/** The index values of an object: its owner, a Secret that it uses. */
export type Indexer<T> = (object: T) => string[];

export interface Change<T> {
  type: 'added' | 'modified' | 'deleted';
  /** `namespace/name`. */
  key: string;
  object: T;
  /** The state before; absent when added. */
  old?: T;
}

/** Objects are shared: never modify one that a store returned. */
export class Store<T extends KubernetesObject = KubernetesObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexers: Record<string, Indexer<T>>;
  /** Index name, then value, then keys. No set is empty. */
  readonly #indexes = new Map<string, Map<string, Set<string>>>();
  #synced = false;

  constructor(indexers: Record<string, Indexer<T>> = {}) {
    this.#indexers = indexers;
    for (const name of Object.keys(indexers)) this.#indexes.set(name, new Map());
  }

  /** True once the store holds the first list: an object that is missing did not exist. */
  get synced(): boolean {
    return this.#synced;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** @throws Error when there is no such index */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (!index) throw new Error(`the store has no index "${name}"`);
    return [...(index.get(value) ?? [])].map((key) => this.#objects.get(key)).filter((object) => object !== undefined);
  }

  /** Adds or updates an object; undefined when the store already has this version. */
  put(object: T): Change<T> | undefined {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    // An object that was deleted and recreated under the same name has another uid, and so another version.
    if (old && old.metadata.resourceVersion === object.metadata.resourceVersion) return undefined;
    if (old) this.#unindex(key, old);
    this.#objects.set(key, object);
    this.#index(key, object);
    return old ? { type: 'modified', key, object, old } : { type: 'added', key, object };
  }

  /** Removes an object; undefined when the store did not have it. */
  remove(object: T): Change<T> | undefined {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    if (!old) return undefined;
    this.#unindex(key, old);
    this.#objects.delete(key);
    return { type: 'deleted', key, object, old };
  }

  /** Makes the store equal to a complete list; returns the changes. */
  replace(objects: readonly T[]): Change<T>[] {
    const present = new Set(objects.map((object) => keyOf(object.metadata)));
    const gone = [...this.#objects].filter(([key]) => !present.has(key)).map(([, object]) => this.remove(object));
    const changes = [...gone, ...objects.map((object) => this.put(object))];
    this.#synced = true;
    return changes.filter((change) => change !== undefined);
  }

  #index(key: string, object: T): void {
    for (const [name, index] of this.#indexes) {
      for (const value of this.#indexers[name]?.(object) ?? []) {
        const keys = index.get(value);
        if (keys) keys.add(key);
        else index.set(value, new Set([key]));
      }
    }
  }

  #unindex(key: string, object: T): void {
    for (const [name, index] of this.#indexes) {
      for (const value of this.#indexers[name]?.(object) ?? []) {
        const keys = index.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index.delete(value);
      }
    }
  }
}

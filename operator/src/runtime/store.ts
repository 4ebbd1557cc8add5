/** The objects of one kind as last seen, with indexes. Written by its reflector, read by everyone. */
import { keyOf } from '../objects/object.ts';
import type { KubernetesObject } from '../objects/object.ts';

/** The values under which an object is found again: its owner, a Secret that it uses. */
export type Indexer<T> = (object: T) => string[];

export interface Change<T> {
  type: 'added' | 'modified' | 'deleted';
  /** `namespace/name`. */
  key: string;
  object: T;
  /** The state before; absent when added. */
  old?: T;
}

/** Objects are shared: nobody changes one that came out of a store. */
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

  /** The first list is in: what is not here did not exist. */
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

  /** Puts one object in; undefined when it is the very version that was there. */
  put(object: T): Change<T> | undefined {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    // An object deleted and made again under the same name has another uid, and so another version.
    if (old && old.metadata.resourceVersion === object.metadata.resourceVersion) return undefined;
    if (old) this.#unindex(key, old);
    this.#objects.set(key, object);
    this.#index(key, object);
    return old ? { type: 'modified', key, object, old } : { type: 'added', key, object };
  }

  /** Takes one object out; undefined when it was not there. */
  remove(object: T): Change<T> | undefined {
    const key = keyOf(object.metadata);
    const old = this.#objects.get(key);
    if (!old) return undefined;
    this.#unindex(key, old);
    this.#objects.delete(key);
    return { type: 'deleted', key, object, old };
  }

  /** Makes the store equal to a complete list; returns what that changed. */
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

/** Reflectors of one kind in several namespaces, with the interface of one: an operator may have rights in some namespaces only. */
import { parseKey } from '../objects/object.ts';
import type { Kind, KubernetesObject } from '../objects/object.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import type { Change, Store } from './store.ts';

/** The reading half of a store. */
export type StoreView<T extends KubernetesObject> = Pick<Store<T>, 'synced' | 'get' | 'keys' | 'byIndex'>;

export class Reflectors<T extends KubernetesObject = KubernetesObject> {
  readonly kind: Kind;
  readonly store: StoreView<T>;
  readonly #all: readonly Reflector<T>[];

  /** @param namespaces the watched ones; empty: all of the cluster, with one watch */
  constructor(options: Omit<ReflectorOptions<T>, 'namespace'>, namespaces: readonly string[]) {
    const each = namespaces.map((namespace) => [namespace, new Reflector<T>({ ...options, namespace })] as const);
    this.kind = options.kind;
    this.#all = each.length === 0 ? [new Reflector<T>(options)] : each.map(([, reflector]) => reflector);
    const [only, ...others] = this.#all;
    this.store = only && others.length === 0 ? only.store : new JoinedStore(new Map(each.map(([name, { store }]) => [name, store])));
  }

  /** See {@link Reflector.subscribe}. */
  subscribe(handler: (change: Change<T>) => void): void {
    for (const reflector of this.#all) reflector.subscribe(handler);
  }

  start(): void {
    for (const reflector of this.#all) reflector.start();
  }

  /** See {@link Reflector.waitForSync}. */
  async waitForSync(timeoutMs: number): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.waitForSync(timeoutMs)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((reflector) => reflector.stop()));
  }
}

/** The stores of several namespaces as one. */
class JoinedStore<T extends KubernetesObject> implements StoreView<T> {
  readonly #stores: ReadonlyMap<string, Store<T>>;

  constructor(stores: ReadonlyMap<string, Store<T>>) {
    this.#stores = stores;
  }

  get synced(): boolean {
    return [...this.#stores.values()].every((store) => store.synced);
  }

  get(key: string): T | undefined {
    return this.#stores.get(parseKey(key).namespace ?? '')?.get(key);
  }

  *keys(): IterableIterator<string> {
    for (const store of this.#stores.values()) yield* store.keys();
  }

  byIndex(name: string, value: string): T[] {
    return [...this.#stores.values()].flatMap((store) => store.byIndex(name, value));
  }
}

import { performance } from 'node:perf_hooks';
import { remainingMs } from './deadline.ts';

/** The deadline of an item passed while it waited: it was not executed. */
export class ExpiredInQueue extends Error {
  override readonly name = 'ExpiredInQueue';
}

interface Waiting<T, R> {
  readonly item: T;
  readonly expiresAt: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupCommitOptions {
  /** Most items of one call. */
  readonly maxItems: number;
  /** Most calls in flight. */
  readonly maxInFlight: number;
}

/**
 * Gathers what arrives while a call is in flight, and executes it with the next call. An item that finds no call in flight is executed at once:
 * load makes the groups, not a timer. Items keep their order of arrival.
 */
export class GroupCommit<T, R> {
  readonly #execute: (items: T[]) => Promise<R[]>;
  readonly #options: GroupCommitOptions;
  #queue: Waiting<T, R>[] = [];
  #inFlight = 0;

  /** @param execute resolves to one result for each item, in order; when it rejects, every item of the call does */
  constructor(execute: (items: T[]) => Promise<R[]>, options: GroupCommitOptions) {
    this.#execute = execute;
    this.#options = options;
  }

  /** Items that wait for a call. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** Resolves with the item's result. @throws ExpiredInQueue when the caller's deadline passes before the call that would have had the item */
  submit(item: T): Promise<R> {
    return this.submitAll([item])[0] ?? Promise.reject(new Error('no item'));
  }

  /** As {@link submit} for several items, which stay together as far as one call holds them. */
  submitAll(items: readonly T[]): Promise<R>[] {
    const expiresAt = performance.now() + remainingMs();
    const results = items.map((item) => {
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      this.#queue.push({ item, expiresAt, resolve, reject });
      return promise;
    });
    this.#flush();
    return results;
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#inFlight < this.#options.maxInFlight) {
      const taken = this.#queue.splice(0, this.#options.maxItems);
      const now = performance.now();
      const [live, expired] = [taken.filter(({ expiresAt }) => expiresAt > now), taken.filter(({ expiresAt }) => expiresAt <= now)];
      for (const { reject } of expired) reject(new ExpiredInQueue('the deadline passed before the database was called'));
      if (live.length > 0) void this.#call(live);
    }
  }

  async #call(group: Waiting<T, R>[]): Promise<void> {
    this.#inFlight += 1;
    try {
      const results = await this.#execute(group.map(({ item }) => item));
      if (results.length !== group.length) throw new Error(`${results.length} results for ${group.length} items`);
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R);
    } catch (error) {
      for (const { reject } of group) reject(error);
    } finally {
      this.#inFlight -= 1;
      this.#flush();
    }
  }
}

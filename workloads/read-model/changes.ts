import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../shared/kernel/log.ts';

/** Partitions of other replicas: their progress is read from the database, for all waiting requests in one statement. */
const POLL_MS = 100;

interface Waiter {
  /** Sequence that the request has seen. */
  seen: number;
  wake: () => void;
}

/** Requests that wait for the next posting of an account. */
export class Changes {
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #sequences: (accountIds: string[]) => Promise<Map<string, number>>;
  readonly #log: Logger;
  #polling = false;

  /** @param sequences reads the sequences of accounts */
  constructor(sequences: (accountIds: string[]) => Promise<Map<string, number>>, log: Logger) {
    this.#sequences = sequences;
    this.#log = log;
  }

  /** Resolves when the account may have a posting above `seen`, and after `ms` at the latest. */
  async wait(accountId: string, seen: number, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { seen, wake: resolve };
    const waiters = this.#waiters.get(accountId) ?? new Set();
    this.#waiters.set(accountId, waiters.add(waiter));
    const timer = setTimeout(resolve, ms);
    if (!this.#polling) void this.#poll();
    await promise;
    clearTimeout(timer);
    waiters.delete(waiter);
    if (waiters.size === 0 && this.#waiters.get(accountId) === waiters) this.#waiters.delete(accountId);
  }

  /** Wakes the requests that wait for an account. */
  projected(accountId: string): void {
    for (const { wake } of this.#waiters.get(accountId) ?? []) wake();
  }

  /** Runs while requests wait. */
  async #poll(): Promise<void> {
    this.#polling = true;
    while (this.#waiters.size > 0) {
      await delay(POLL_MS);
      const accountIds = [...this.#waiters.keys()];
      if (accountIds.length > 0) await this.#compare(accountIds);
    }
    this.#polling = false;
  }

  async #compare(accountIds: string[]): Promise<void> {
    try {
      for (const [accountId, sequence] of await this.#sequences(accountIds))
        for (const { seen, wake } of this.#waiters.get(accountId) ?? []) if (sequence > seen) wake();
    } catch (error) {
      // The requests read again themselves, and report what is wrong.
      this.#log.warn({ error }, 'the sequences of waiting requests cannot be read; retrying');
    }
  }
}

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { untraced } from '../telemetry.ts';

export interface WarmingOptions {
  log: Logger;
  intervalMs: number;
  /** Hot keys, the most read first. */
  hotKeys: () => readonly string[];
  /** The customer that a key belongs to, if any. */
  customerOf: (key: string) => string | undefined;
  /** Reads a customer's entries through the cache. @returns how many */
  warmUpCustomerData: (customerId: string) => Promise<number>;
  onWarmed: (keys: number) => void;
}

/** Customers that one round warms. */
const CUSTOMERS = 500;
/** Customers that are waiting to be warmed because one of their entries was loaded; further ones wait for the next round. */
const QUEUE = 100;

/** Reads the entries of much-read customers in the background, one customer at a time: at intervals, and when an entry of theirs was loaded. */
export class Warming {
  readonly #options: WarmingOptions;
  readonly #stopping = new AbortController();
  readonly #queue = new Set<string>();
  #wake = Promise.withResolvers<void>();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: WarmingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loops = Promise.all([this.#rounds(), this.#onDemand()]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.resolve();
    await this.#loops;
  }

  /** An entry of a hot key was loaded: the customer's other entries follow. */
  request(key: string): void {
    const customer = this.#options.customerOf(key);
    if (customer === undefined || this.#queue.size >= QUEUE) return;
    this.#queue.add(customer);
    this.#wake.resolve();
  }

  /** Warms the customers of the hot keys. @returns how many customers */
  async round(): Promise<number> {
    const { hotKeys, customerOf } = this.#options;
    const customers = [...new Set(hotKeys().flatMap((key) => customerOf(key) ?? []))].slice(0, CUSTOMERS);
    for (const customer of customers) await this.#warm(customer);
    return customers.length;
  }

  async #rounds(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await delay(this.#options.intervalMs, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.round();
    }
  }

  async #onDemand(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
      for (const customer of this.#queue) {
        if (!signal.aborted) await this.#warm(customer);
        this.#queue.delete(customer);
      }
    }
  }

  async #warm(customer: string): Promise<void> {
    const { warmUpCustomerData, onWarmed, log } = this.#options;
    if (this.#stopping.signal.aborted) return;
    try {
      onWarmed(await untraced(() => warmUpCustomerData(customer)));
    } catch (error) {
      log.debug({ error }, 'the entries of a customer cannot be warmed');
    }
  }
}

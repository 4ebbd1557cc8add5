/**
 * The queue between changes and workers, after client-go's workqueue. A key is worked on by one worker at a time; a key that is added while it
 * is being worked on is worked on once more afterwards; a key that is added many times is worked on once.
 */
import { backoffDelay } from './backoff.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.ts';

export interface WorkQueueOptions {
  /** Label of its metrics. */
  name: string;
  metrics: Metrics;
  clock?: Clock;
  /** Back-off per key: first and longest wait in milliseconds. Default 200 and 300000. */
  baseMs?: number;
  maxMs?: number;
  /** Numbers in [0, 1) for the jitter. */
  random?: () => number;
}

interface Waiting {
  /** On the monotonic clock. */
  due: number;
  cancel: () => void;
}

export class WorkQueue {
  /** Keys in the order in which they will be handed out. Each is in `dirty` and not in `processing`. */
  readonly #queued: string[] = [];
  /** Keys that need work, with the time since when. */
  readonly #dirty = new Map<string, number>();
  /** Keys in the hands of a worker. A key in here and in `dirty` is queued as soon as the worker is done. */
  readonly #processing = new Set<string>();
  /** Keys to be added later; the earliest time counts. */
  readonly #waiting = new Map<string, Waiting>();
  /** Failures since the last `forget`. */
  readonly #failures = new Map<string, number>();
  /** Workers that wait for a key. Not empty only while nothing is queued. */
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #clock: Clock;
  readonly #policy: { baseMs: number; maxMs: number };
  readonly #random: () => number;
  readonly #name: string;
  readonly #adds: Counter<'name'>;
  readonly #retries: Counter<'name'>;
  readonly #depth: Gauge<'name'>;
  readonly #latency: Histogram<'name'>;
  #closed = false;

  constructor({ name, metrics, clock = systemClock, baseMs = 200, maxMs = 300_000, random = Math.random }: WorkQueueOptions) {
    this.#name = name;
    this.#clock = clock;
    this.#policy = { baseMs, maxMs };
    this.#random = random;
    this.#adds = metrics.counter('bss_operator_queue_adds_total', 'Keys added.', ['name']);
    this.#retries = metrics.counter('bss_operator_queue_retries_total', 'Keys added again after a failure.', ['name']);
    this.#depth = metrics.gauge('bss_operator_queue_depth', 'Keys that wait for a worker.', ['name']);
    this.#latency = metrics.histogram('bss_operator_queue_latency_seconds', 'Time from being added to being worked on.', ['name']);
    this.#adds.inc({ name }, 0);
    this.#retries.inc({ name }, 0);
    this.#depth.set({ name }, 0);
  }

  /** Keys that are ready for a worker; delayed keys are not counted. */
  get length(): number {
    return this.#queued.length;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#adds.inc({ name: this.#name });
    this.#dirty.set(key, this.#clock.monotonic());
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  /** Adds the key in `ms` milliseconds. When a key has several delays, the earliest wins. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) return this.add(key);
    const due = this.#clock.monotonic() + ms;
    const earlier = this.#waiting.get(key);
    if (earlier && earlier.due <= due) return;
    earlier?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#waiting.delete(key);
      this.add(key);
    });
    this.#waiting.set(key, { due, cancel });
  }

  /**
   * Adds the key after its backoff, which grows with every call until `forget`.
   * @param atLeastMs minimum delay, such as the server's Retry-After
   * @returns the delay in milliseconds
   */
  addRateLimited(key: string, atLeastMs = 0): number {
    const failures = this.failures(key) + 1;
    this.#failures.set(key, failures);
    this.#retries.inc({ name: this.#name });
    const ms = Math.max(atLeastMs, backoffDelay(failures, this.#policy, this.#random));
    this.addAfter(key, ms);
    return ms;
  }

  /** The key succeeded or will not be retried: resets its backoff. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Waits for the next key; undefined when the queue shuts down. Call `done` for each key. */
  get(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const key = this.#queued.shift();
    if (key === undefined) return new Promise((resolve) => this.#takers.push(resolve));
    return Promise.resolve(this.#handOut(key));
  }

  /** Marks the key as processed, whatever the outcome. */
  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.has(key) && !this.#closed) this.#enqueue(key);
  }

  /** Hands out no more keys; waiting calls of `get` return undefined. */
  shutDown(): void {
    this.#closed = true;
    for (const { cancel } of this.#waiting.values()) cancel();
    this.#waiting.clear();
    this.#queued.length = 0;
    this.#dirty.clear();
    this.#depth.set({ name: this.#name }, 0);
    for (const take of this.#takers.splice(0)) take(undefined);
  }

  #enqueue(key: string): void {
    const take = this.#takers.shift();
    if (take) take(this.#handOut(key));
    else this.#queued.push(key);
    this.#depth.set({ name: this.#name }, this.#queued.length);
  }

  #handOut(key: string): string {
    const since = this.#dirty.get(key) ?? this.#clock.monotonic();
    this.#latency.observe({ name: this.#name }, (this.#clock.monotonic() - since) / 1000);
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.#depth.set({ name: this.#name }, this.#queued.length);
    return key;
  }
}

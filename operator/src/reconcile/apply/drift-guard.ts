/**
 * Limits the rate of drift corrections per object. Without it, another controller that sets the same field would cause a hot loop of writes.
 */
import type { Clock } from '../../runtime/index.ts';

/** Corrections of one object that may follow one another at once ... */
export const BURST = 10;
/** ... and the interval after which one more is allowed. */
export const REFILL_MS = 10_000;

interface Bucket {
  tokens: number;
  /** Monotonic milliseconds. */
  at: number;
}

/** Corrections of one platform's objects. */
export class DriftGuard {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param object `kind/name` */
  mayCorrect(object: string): boolean {
    return this.#tokens(object) >= 1;
  }

  corrected(object: string): void {
    this.#buckets.set(object, { tokens: this.#tokens(object) - 1, at: this.#clock.monotonic() });
  }

  #tokens(object: string): number {
    const bucket = this.#buckets.get(object);
    if (bucket === undefined) return BURST;
    return Math.min(BURST, bucket.tokens + (this.#clock.monotonic() - bucket.at) / REFILL_MS);
  }
}

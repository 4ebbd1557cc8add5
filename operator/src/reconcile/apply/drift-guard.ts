/**
 * Keeps a fight from becoming a storm: when somebody else sets a field as often as we take it back, corrections of that object are made at a
 * leisurely rate instead of as fast as both can.
 */
import type { Clock } from '../../runtime/index.ts';

/** So many corrections of one object are made at once, as drift is found ... */
export const BURST = 10;
/** ... and then one more after each such time. */
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

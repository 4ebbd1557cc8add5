/** Exponential back-off with jitter: many that fail together must not come back together. */

export interface BackoffPolicy {
  /** Delay after the first failure, in milliseconds. */
  baseMs: number;
  /** No delay is longer, in milliseconds. */
  maxMs: number;
}

/**
 * Milliseconds to wait after the given number of failures (1 = the first): base * 2^(failures - 1), at most `maxMs`, of which the upper half is
 * random ("equal jitter", so that the delay is never near zero).
 * @param random gives numbers in [0, 1)
 */
export function backoffDelay(failures: number, { baseMs, maxMs }: BackoffPolicy, random: () => number = Math.random): number {
  // 2^30 is beyond every limit in use and keeps the power finite.
  const whole = Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return whole / 2 + (whole / 2) * random();
}

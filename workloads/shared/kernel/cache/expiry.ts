/** When entries expire: the time to live by access, and early expiry. Pure; times are milliseconds of one clock. */

/** What expiry depends on. */
export interface Lifetime {
  loadedAt: number;
  expiresAt: number;
  /** How long loading took. */
  loadMs: number;
}

/** Spread of the times to live around their base, so that entries loaded together do not expire together. */
const JITTER = 0.1;
const HOT_FACTOR = 2;

/** The time to live of an entry. Hot keys stay twice as long: invalidation keeps them current, and their expiry costs the most loads. */
export function timeToLive(baseMs: number, hot: boolean, random: number): number {
  return Math.round(baseMs * (hot ? HOT_FACTOR : 1) * (1 - JITTER + 2 * JITTER * random));
}

/**
 * XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, 2015): true when this read should reload the entry
 * before it expires. The longer loading takes, the earlier. @param random in (0, 1]
 */
export function isDueEarly({ expiresAt, loadMs }: Lifetime, now: number, random: number, beta = 1): boolean {
  return now - loadMs * beta * Math.log(random) >= expiresAt;
}

/**
 * The probability with which the periodic check expires an entry: the base, multiplied by the share of its time to live that has passed, so
 * that it rises with staleness; half of that for a hot key. @param base from 0 to 1
 */
export function earlyProbability({ loadedAt, expiresAt }: Lifetime, now: number, hot: boolean, base: number): number {
  const share = Math.min(1, Math.max(0, (now - loadedAt) / Math.max(1, expiresAt - loadedAt)));
  return base * share * (hot ? 0.5 : 1);
}

/** Histograms of Prometheus in the text of an exposition. Pure. */

/** Observations at or below each bound, summed over the series; the last bound is infinite. */
export type Buckets = ReadonlyMap<number, number>;

/** The buckets of a histogram. Empty when the exposition has none. */
export function bucketsOf(exposition: string, metric: string): Buckets {
  const buckets = new Map<number, number>();
  for (const line of exposition.split('\n')) {
    if (!line.startsWith(`${metric}_bucket{`)) continue;
    const bound = /[{,]le="([^"]+)"/.exec(line)?.[1];
    if (bound === undefined) continue;
    const le = bound === '+Inf' ? Infinity : Number(bound);
    const count = Number(/\} (\S+)/.exec(line)?.[1]);
    buckets.set(le, (buckets.get(le) ?? 0) + count);
  }
  return buckets;
}

/** What was observed between two expositions. */
export function since(before: Buckets, after: Buckets): Buckets {
  return new Map([...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]));
}

/** All observations. */
export function countOf(buckets: Buckets): number {
  return buckets.get(Infinity) ?? 0;
}

/**
 * The value that a share of the observations does not exceed, as `histogram_quantile` of Prometheus estimates it: linear within the bucket. Above
 * the highest finite bound it is that bound. NaN without observations.
 */
export function bucketQuantile(buckets: Buckets, share: number): number {
  const bounds = [...buckets.keys()].toSorted((a, b) => a - b);
  const rank = share * countOf(buckets);
  if (countOf(buckets) === 0) return Number.NaN;
  const index = bounds.findIndex((bound) => (buckets.get(bound) ?? 0) >= rank);
  const upper = bounds[index] ?? Number.NaN;
  const lower = index > 0 ? (bounds[index - 1] ?? 0) : 0;
  if (upper === Infinity) return lower;
  const below = index > 0 ? (buckets.get(lower) ?? 0) : 0;
  const within = (buckets.get(upper) ?? 0) - below;
  return within === 0 ? upper : lower + (upper - lower) * ((rank - below) / within);
}

import { LATENCY_BUCKETS } from '../metrics.ts';
import type { Metrics } from '../metrics.ts';
import { CAUSES } from './invalidation.ts';
import type { Cause } from './invalidation.ts';

/**
 * How a read was answered: from this process, from Redis, by another reader's load, by a load of its own, from an expired entry because the
 * source failed, or by a load because entries were not trusted.
 */
export type Result = 'local' | 'redis' | 'coalesced' | 'miss' | 'stale' | 'bypass';
export const RESULTS: readonly Result[] = ['local', 'redis', 'coalesced', 'miss', 'stale', 'bypass'];

/** From the bound of staleness down to what a notification takes. */
const STALENESS_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

export type CacheMetrics = ReturnType<typeof cacheMetrics>;

/** What the gauges show. */
export interface CacheState {
  entries: number;
  bytes: number;
  maxBytes: number;
  trusted: boolean;
  redisJoined: boolean;
}

/** @param caches names of the caches @param state read at each scrape */
export function cacheMetrics(metrics: Metrics, caches: readonly string[], state: () => CacheState) {
  const requests = metrics.counter(
    'cache_requests_total',
    'Reads by how they were answered',
    ['cache', 'result'],
    caches.flatMap((cache) => RESULTS.map((result) => ({ cache, result }))),
  );
  const early = metrics.counter('cache_early_expirations_total', 'Entries that were reloaded before they expired', [], [{}]);
  const checks = metrics.counter('cache_early_expiration_checks_total', 'Entries that the periodic check looked at', [], [{}]);
  const invalidations = metrics.counter(
    'cache_invalidations_total',
    'Invalidations by cause',
    ['cause'],
    CAUSES.map((cause) => ({ cause })),
  );
  const warmed = metrics.counter('cache_warmed_keys_total', 'Entries that warming has read', [], [{}]);
  const staleness = metrics.histogram(
    'cache_invalidation_delay_seconds',
    'Time from a change in the database to its effect in this process',
    STALENESS_BUCKETS,
  );
  const loads = metrics.histogram('cache_load_duration_seconds', 'Time to load a value from its source', LATENCY_BUCKETS, ['cache']);
  metrics.gauge('cache_trusted', '1 while entries are used; 0 while reads go to the source', ['cache'], (gauge) => {
    for (const cache of caches) gauge.set({ cache }, state().trusted ? 1 : 0);
  });
  metrics.gauge('cache_redis_joined', '1 while the values in Redis are used', [], (gauge) => gauge.set(state().redisJoined ? 1 : 0));
  metrics.gauge('cache_entries', 'Entries in the process', [], (gauge) => gauge.set(state().entries));
  metrics.gauge('cache_bytes', 'Size of the entries in the process', [], (gauge) => gauge.set(state().bytes));
  metrics.gauge('cache_bytes_limit', 'Size at which entries are evicted', [], (gauge) => gauge.set(state().maxBytes));
  return {
    requested: (cache: string, result: Result): void => requests.inc({ cache, result }),
    expiredEarly: (): void => early.inc(),
    checked: (count: number): void => checks.inc(count),
    invalidated: (cause: Cause, count: number): void => invalidations.inc({ cause }, count),
    warmed: (count: number): void => warmed.inc(count),
    applied: (ms: number): void => staleness.observe({}, Math.max(0, ms) / 1000),
    loaded: (cache: string, ms: number): void => loads.observe({ cache }, ms / 1000),
  };
}

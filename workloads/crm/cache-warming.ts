import type { Cache } from '../shared/kernel/cache/cache.ts';
import type { CacheMetrics } from '../shared/kernel/cache/metrics.ts';
import { Warming } from '../shared/kernel/cache/warming.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { customerOf } from './cache-keys.ts';
import type { CachedReads } from './cached-reads.ts';

const INTERVAL_MS = 10 * 60_000;

/** Keeps the data of much-read customers in the cache. @returns stops it */
export function startWarming(cache: Cache, reads: CachedReads, metrics: CacheMetrics, log: Logger): () => Promise<void> {
  const warming = new Warming({
    log,
    intervalMs: INTERVAL_MS,
    hotKeys: () => cache.hotKeys(),
    customerOf,
    warmUpCustomerData: (customerId) => reads.warmUpCustomerData(customerId),
    onWarmed: metrics.warmed,
  });
  cache.onHotLoad = (key) => warming.request(key);
  warming.start();
  return () => warming.stop();
}

import { openCache } from '../shared/kernel/cache/open.ts';
import type { CacheConfig } from '../shared/kernel/cache/open.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import type { ServiceParts } from '../shared/kernel/service.ts';
import type { Bound } from './api.ts';
import { cacheHandlers, seeingOwnWrites } from './cache-handlers.ts';
import { CACHED, invalidationOf } from './cache-keys.ts';
import { startWarming } from './cache-warming.ts';
import { CachedReads } from './cached-reads.ts';
import { DatabaseReads } from './reads.ts';
import type { Reads } from './reads.ts';

/** Where this process is, beside the settings of its cache. */
type Config = CacheConfig & { PGPASSWORD: string; NAMESPACE: string; PLATFORM: string; POD_NAME: string };

/**
 * Opens the cache of the CRM; it ends with the service.
 * @returns the reads through it, and what adds its routes to those of the resources, whose writes then wait for their own notifications
 */
export async function openCachedReads(
  service: Pick<ServiceParts, 'log' | 'metrics' | 'onStop'>,
  config: Config,
  database: Postgres,
): Promise<{ reads: Reads; withCache: (bound: readonly Bound[]) => Bound[] }> {
  const { PGPASSWORD: password, NAMESPACE: namespace, PLATFORM: platform, POD_NAME: pod } = config;
  const scope = `${namespace}/${platform}/crm`;
  const { cache, feed, metrics } = await openCache(service, { config, password, database, scope, families: CACHED, invalidationOf });
  const reads = new CachedReads(new DatabaseReads(database), cache);
  service.onStop('warming', startWarming(cache, reads, metrics, service.log));
  const withCache = (bound: readonly Bound[]): Bound[] => [
    ...seeingOwnWrites(bound, feed.readNow, service.log),
    ...cacheHandlers(cache, pod),
  ];
  return { reads, withCache };
}

import { setTimeout as delay } from 'node:timers/promises';
import { cacheRoutes } from '../shared/contracts/crm/cache.ts';
import type { CacheInvalidation } from '../shared/contracts/crm/cache.ts';
import type { Cache } from '../shared/kernel/cache/cache.ts';
import { prefixPattern } from '../shared/kernel/cache/patterns.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { bind } from './api.ts';
import type { Bound } from './api.ts';

/** A write is answered at the latest after this time, whether or not this process has read its notification. */
const OWN_WRITE_LIMIT_MS = 500;

export function cacheHandlers(cache: Pick<Cache, 'statistics' | 'expanded' | 'invalidate'>, pod: string): Bound[] {
  return [
    bind(cacheRoutes.statistics, () => Promise.resolve({ body: { pod, ...cache.statistics() } })),
    bind(cacheRoutes.invalidate, async ({ body }) => {
      const invalidation = cache.expanded(requested(body));
      await cache.invalidate(invalidation);
      return { body: invalidation };
    }),
  ];
}

function requested({ keys = [], patterns = [], prefixes = [], entities = [], customers = [] }: CacheInvalidation) {
  const names = [...keys, ...entities.map(({ type, id }) => `${type}:${id}`), ...customers.map((id) => `customer:${id}`)];
  return { names, patterns: [...patterns, ...prefixes.map(prefixPattern)] };
}

/**
 * Handlers whose writes are answered after this process has applied the notifications up to them: a client that reads after its own write sees
 * it here. Other processes have it within the bound of staleness, and usually by then.
 */
export function seeingOwnWrites(bound: readonly Bound[], readNow: () => Promise<void>, log: Logger): Bound[] {
  return bound.map((one) => (one.route.method === 'GET' ? one : { ...one, handle: (...given) => after(() => one.handle(...given)) }));

  async function after<T>(write: () => Promise<T>): Promise<T> {
    const answer = await write();
    const read = readNow().catch((error: unknown) => log.debug({ error }, 'the notification of a write was not read'));
    const limit = new AbortController();
    await Promise.race([read, delay(OWN_WRITE_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined)]);
    limit.abort();
    return answer;
  }
}

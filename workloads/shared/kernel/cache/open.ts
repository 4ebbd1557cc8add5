import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ConfigError, count } from '../config.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { isTransient } from '../postgres.ts';
import type { Queryable } from '../postgres.ts';
import { Cache } from './cache.ts';
import type { CacheFamily } from './cache.ts';
import { NotificationFeed } from './feed.ts';
import type { Invalidation } from './invalidation.ts';
import { NotificationListener } from './listener.ts';
import { LocalCache } from './local.ts';
import { cacheMetrics } from './metrics.ts';
import type { CacheMetrics, CacheState } from './metrics.ts';
import { NotificationTable } from './notifications.ts';
import type { Notification } from './notifications.ts';
import { SharedCache } from './redis.ts';

/** A reader that asks later than this after the start of a load begins one of its own. */
const MAX_JOIN_WINDOW_MS = 1_000;

/** Variables of a service with a cache. */
export const cacheEnv = {
  /** Absent: the process's own cache alone. */
  REDIS_URL: z.url({ protocol: /^rediss?$/, error: 'write redis://host:port or rediss://host:port' }).optional(),
  REDIS_PASSWORD: z.string().optional(),
  /** Certificate authority of Redis in PEM. */
  REDIS_CA_FILE: z.string().min(1).optional(),
  /** The database server itself, not PgBouncer. Absent: changes are read through the pool, and no message makes that happen earlier. */
  CACHE_LISTENER_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'write postgresql://user@host:port/database of the server itself, not of PgBouncer' })
    .optional(),
  CACHE_MAX_MEBIBYTES: count(1, 4_096, 64),
  /** No read returns a value that was replaced longer ago than this. */
  CACHE_MAX_STALENESS_MS: count(500, 60_000, 2_000),
  CACHE_EARLY_EXPIRY_INTERVAL_SECONDS: count(1, 3_600, 30),
  CACHE_EARLY_EXPIRY_PERCENT: count(0, 100, 10),
};

export type CacheConfig = z.output<z.ZodObject<typeof cacheEnv>>;

interface OpenOptions {
  config: CacheConfig;
  /** Of the database and of its server. */
  password: string;
  database: Queryable;
  /** Tells this cache from others in the same Redis. */
  scope: string;
  families: readonly CacheFamily[];
  invalidationOf: (notification: Notification) => Invalidation;
}

interface Parts {
  log: Logger;
  metrics: Metrics;
  onStop: (name: string, step: () => Promise<unknown>) => void;
}

interface OpenedCache {
  cache: Cache;
  feed: NotificationFeed;
  metrics: CacheMetrics;
}

/** A cache with its feed, started. It ends with the service. @throws ConfigError when a file cannot be read */
export async function openCache({ log, metrics: registry, onStop }: Parts, options: OpenOptions): Promise<OpenedCache> {
  const { config, password, database, families, invalidationOf } = options;
  const maxBytes = config.CACHE_MAX_MEBIBYTES * 1024 * 1024;
  const local = new LocalCache(maxBytes);
  const shared = await openRedis(config, options.scope, log);
  const listener = config.CACHE_LISTENER_URL === undefined ? undefined : new NotificationListener(config.CACHE_LISTENER_URL, password, log);
  const table = new NotificationTable(database, () => (listener?.connected ? listener : undefined));
  const state = (): CacheState => ({
    entries: local.size,
    bytes: local.bytes,
    maxBytes,
    trusted: feed.trusted,
    redisJoined: shared?.joined ?? false,
  });
  const names = families.map(({ name }) => name);
  const metrics = cacheMetrics(registry, names, state);
  const feed = new NotificationFeed({
    table,
    local,
    shared,
    listener,
    log,
    maxStalenessMs: config.CACHE_MAX_STALENESS_MS,
    invalidationOf,
    onInvalidated: metrics.invalidated,
    onApplied: metrics.applied,
  });
  const cache = new Cache({
    local,
    shared,
    families,
    trusted: () => feed.trusted,
    announce: async (invalidation) => {
      await table.announce(invalidation);
      await feed.readNow();
    },
    isUnavailable: isTransient,
    metrics,
    log,
    joinWindowMs: Math.min(MAX_JOIN_WINDOW_MS, config.CACHE_MAX_STALENESS_MS),
    early: {
      checkIntervalMs: config.CACHE_EARLY_EXPIRY_INTERVAL_SECONDS * 1_000,
      baseProbability: config.CACHE_EARLY_EXPIRY_PERCENT / 100,
    },
  });
  feed.start();
  cache.start();
  onStop('cache', async () => {
    cache.stop();
    await feed.stop();
  });
  return { cache, feed, metrics };
}

async function openRedis({ REDIS_URL: url, REDIS_PASSWORD: password, REDIS_CA_FILE: path }: CacheConfig, scope: string, log: Logger) {
  if (url === undefined) return undefined;
  try {
    const ca = path === undefined ? undefined : await readFile(path, 'utf8');
    return new SharedCache({ url, password, ca, scope }, log);
  } catch (error) {
    throw new ConfigError(
      `The configuration is invalid:\n  REDIS_CA_FILE names ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

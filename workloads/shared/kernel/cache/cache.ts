import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { withOwnDeadline } from '../deadline.ts';
import type { Logger } from '../log.ts';
import { AccessLog } from './access.ts';
import { earlyProbability, isDueEarly, timeToLive } from './expiry.ts';
import { Dependencies, merged, NOTHING } from './invalidation.ts';
import type { Invalidation } from './invalidation.ts';
import { frozen, LocalCache } from './local.ts';
import type { Entry, Flight } from './local.ts';
import type { CacheMetrics, Result } from './metrics.ts';
import { RESULTS } from './metrics.ts';
import { literalHead, matcher, mayMatch, prefixPattern } from './patterns.ts';
import { RedisUnavailable } from './redis.ts';
import type { SharedCache } from './redis.ts';

/** One kind of entries, with settings of its own. Its name is a tag of all of its entries. */
export interface CacheFamily {
  name: string;
  /** What its keys begin with. */
  prefixes: readonly string[];
  /** Base of the time to live. */
  ttlMs: number;
  /** When the source fails, an entry is used for this long after it was loaded. Absent: never, as for money. */
  staleIfErrorMs?: number;
}

/** What to read. */
export interface CacheKey {
  family: CacheFamily;
  key: string;
  /** Names beside the key and the family whose invalidation removes the entry. */
  tags?: readonly string[];
}

/** How the cache checks for early expiry. */
export interface EarlyExpiry {
  checkIntervalMs: number;
  /** From 0 to 1. */
  baseProbability: number;
}

export interface CacheOptions {
  local: LocalCache;
  shared?: SharedCache | undefined;
  families: readonly CacheFamily[];
  /** True while entries may be used. */
  trusted: () => boolean;
  /** Makes an invalidation durable, so that every process applies it, and applies it here. */
  announce: (invalidation: Invalidation) => Promise<void>;
  /** True for errors of the source after which an older value is better than none. */
  isUnavailable: (error: unknown) => boolean;
  metrics: CacheMetrics;
  log: Logger;
  early: EarlyExpiry;
  /** A reader joins a load that began at most this long ago: what it gets was not replaced longer before it asked. */
  joinWindowMs: number;
}

/** A load outlives the request that began it, because others wait for it. */
const LOAD_LIMIT_MS = 5_000;
/** A process waits this long for the value that another one loads, then loads it as well. */
const WAIT_LIMIT_MS = 1_000;
const FIRST_WAIT_MS = 5;
const MAX_WAIT_MS = 50;
/** "There is none" is kept for a shorter time: ids that do not exist are without number. */
const ABSENT_TTL_MS = 30_000;

interface Payload {
  value?: unknown;
  loadedAt: number;
  expiresAt: number;
  loadMs: number;
}

interface Loaded {
  value: unknown;
  result: Result;
}

/**
 * A read-through cache in two levels: this process, then Redis. Concurrent reads of a key share one load, in a process and between processes.
 * Values are JSON, and frozen. Entries are used while {@link CacheOptions.trusted} holds; see feed.ts for the bound of staleness.
 */
export class Cache {
  readonly #options: CacheOptions;
  readonly #access = new AccessLog();
  readonly #dependencies = new Dependencies();
  readonly #automatic: { matches: (name: string) => boolean; patterns: readonly string[] }[] = [];
  readonly #counts = new Map<string, Record<Result, number>>();
  /** Called after the entry of a hot key was loaded. */
  onHotLoad: (key: string) => void = () => undefined;
  #checks = 0;
  #expirations = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CacheOptions) {
    this.#options = options;
    for (const { name } of options.families) {
      this.#counts.set(name, Object.fromEntries(RESULTS.map((result) => [result, 0])) as Record<Result, number>);
    }
  }

  /** Starts the periodic check for early expiry. */
  start(): void {
    this.#timer = setInterval(() => this.checkExpiry(), this.#options.early.checkIntervalMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /**
   * The value of a key, from the cache or from `load`.
   * @param load reads the value, of JSON types or undefined; it may be called for other readers too
   * @throws what `load` throws
   */
  async getOrLoad<T>(key: CacheKey, load: () => Promise<T>): Promise<T> {
    const { local, trusted, joinWindowMs } = this.#options;
    this.#access.record(key.key);
    const entry = local.get(key.key);
    if (entry && trusted() && Date.now() < entry.expiresAt) {
      this.#count(key.family, 'local');
      if (entry.due || isDueEarly(entry, Date.now(), 1 - Math.random())) this.#refresh(key, entry, load);
      return entry.value as T;
    }
    try {
      const joined = local.joinable(key.key, performance.now() - joinWindowMs);
      if (joined) return await this.#joined<T>(key, joined);
      const { value, result } = await this.#fly(key, load, false);
      this.#count(key.family, result);
      if (result === 'miss' && this.#access.isHot(key.key)) this.onHotLoad(key.key);
      return value as T;
    } catch (error) {
      return this.#stale(key, entry, error) as T;
    }
  }

  /** Removes entries here, in Redis and in every other process, also in one that is cut off now. @throws when the request cannot be stored */
  async invalidate(invalidation: Partial<Invalidation>): Promise<void> {
    const complete = this.expanded({ ...NOTHING, ...invalidation });
    this.#options.local.invalidate(complete);
    await this.#options.announce(complete);
    this.#options.metrics.invalidated('request', complete.names.length + complete.patterns.length);
  }

  invalidateKey(key: string): Promise<void> {
    return this.invalidate({ names: [key] });
  }

  invalidateByPattern(pattern: string): Promise<void> {
    return this.invalidate({ patterns: [pattern] });
  }

  invalidateByPrefix(prefix: string): Promise<void> {
    return this.invalidate({ patterns: [prefixPattern(prefix)] });
  }

  invalidateBatch(keys: readonly string[]): Promise<void> {
    return this.invalidate({ names: keys });
  }

  /** @param type noun, such as order */
  invalidateEntity(type: string, id: string): Promise<void> {
    return this.invalidate({ names: [`${type}:${id}`] });
  }

  /** Everything of one customer: every entry that has the customer as a tag. */
  invalidateCustomerData(customerId: string): Promise<void> {
    return this.invalidateEntity('customer', customerId);
  }

  /** From now on, an invalidation of `on` removes the entry of `key`. The entry that exists is removed, because it does not have the tag yet. */
  registerDependency(key: string, on: string): void {
    const forgotten = this.#dependencies.register(key, on);
    this.#options.local.invalidate({ names: forgotten === undefined ? [key] : [key, forgotten], patterns: [] });
  }

  /** From now on, an invalidation of a name that matches `when` invalidates the patterns as well. */
  registerPattern(when: string, patterns: readonly string[]): void {
    this.#automatic.push({ matches: matcher(when), patterns });
  }

  /**
   * An invalidation with what follows from registered patterns. Redis knows no keys, only tags: a pattern removes there every entry of the
   * families whose keys it may match.
   */
  expanded(given: Invalidation): Invalidation {
    const followed = this.#automatic.filter(({ matches }) => given.names.some(matches)).flatMap(({ patterns }) => patterns);
    const patterns = [...new Set([...given.patterns, ...followed])];
    const families = this.#options.families.filter(({ prefixes }) =>
      patterns.some((pattern) => prefixes.some((prefix) => mayMatch(literalHead(pattern), prefix))),
    );
    return merged([
      { names: given.names, patterns },
      { names: families.map(({ name }) => name), patterns: [] },
    ]);
  }

  /** Hot keys, the most read first. */
  hotKeys(): string[] {
    return this.#access.hotKeys();
  }

  isHot(key: string): boolean {
    return this.#access.isHot(key);
  }

  /** Expires entries early, by chance: the next read of one of them replaces it. Every check also finds the hot keys again. */
  checkExpiry(random: () => number = Math.random): void {
    const { local, early, metrics } = this.#options;
    this.#access.refresh();
    let checked = 0;
    for (const [key, entry] of local) {
      checked += 1;
      const probability = earlyProbability(entry, Date.now(), this.#access.isHot(key), early.baseProbability);
      if (random() < probability) entry.due = true;
    }
    this.#checks += checked;
    metrics.checked(checked);
  }

  /** What the cache has done since the process started. */
  statistics() {
    const { local, shared, trusted } = this.#options;
    const caches = [...this.#counts].map(([name, results]) => ({ name, results, hitRatio: hitRatio(results) }));
    return {
      trusted: trusted(),
      redis: shared === undefined ? ('absent' as const) : shared.joined ? ('joined' as const) : ('unavailable' as const),
      entries: local.size,
      bytes: local.bytes,
      hotKeys: this.#access.hotKeys().length,
      earlyExpiration: { checks: this.#checks, expirations: this.#expirations },
      hitRatio: hitRatio(summed([...this.#counts.values()])),
      caches,
    };
  }

  async #joined<T>({ family }: CacheKey, flight: Flight): Promise<T> {
    const { value, result } = (await flight.result) as Loaded;
    this.#count(family, result === 'redis' ? 'redis' : 'coalesced');
    return value as T;
  }

  /** Begins a load that others may join. */
  #fly(key: CacheKey, load: () => Promise<unknown>, refresh: boolean): Promise<Loaded> {
    const tags = this.#tagsOf(key);
    const flight = this.#options.local.begin(key.key, tags, performance.now());
    const result = withOwnDeadline(LOAD_LIMIT_MS, () => this.#landed(key, flight, load, refresh));
    flight.result = result;
    return result;
  }

  async #landed(key: CacheKey, flight: Flight, load: () => Promise<unknown>, refresh: boolean): Promise<Loaded> {
    let entry: Entry | undefined;
    try {
      const { loaded, stored } = await this.#load(key, flight, load, refresh);
      entry = stored;
      return loaded;
    } finally {
      this.#options.local.end(flight, entry);
    }
  }

  async #load(
    key: CacheKey,
    { tags }: Flight,
    load: () => Promise<unknown>,
    refresh: boolean,
  ): Promise<{ loaded: Loaded; stored: Entry | undefined }> {
    const { shared, trusted } = this.#options;
    const wasTrusted = trusted();
    const token = randomUUID();
    let epochs: string | undefined;
    if (shared?.joined && wasTrusted) {
      const found = await this.#fromRedis(shared, key, tags, token, refresh);
      // Redis may have taken long enough for the trust to end.
      if (found?.payload && trusted())
        return { loaded: { value: found.payload.value, result: 'redis' }, stored: this.#entry(key, tags, found.payload, found.bytes) };
      epochs = found?.epochs;
    }
    const startedAt = performance.now();
    let payload: Payload;
    try {
      const value = await load();
      payload = this.#payload(key, value, performance.now() - startedAt);
    } catch (error) {
      if (shared && epochs !== undefined) shared.release(key.key, token).catch(() => undefined);
      throw error;
    }
    this.#options.metrics.loaded(key.family.name, payload.loadMs);
    const text = JSON.stringify(payload);
    if (shared && epochs !== undefined) {
      // Nobody waits for it: a value that is not stored is loaded again.
      shared.store(key.key, tags, token, epochs, text, payload.expiresAt - Date.now()).catch(() => undefined);
    }
    return {
      loaded: { value: frozen(payload.value), result: wasTrusted ? 'miss' : 'bypass' },
      stored: this.#entry(key, tags, payload, text.length),
    };
  }

  /** A current value of Redis, or the epochs to store a loaded one under; neither when Redis is unavailable. Waits while another process loads. */
  async #fromRedis(
    shared: SharedCache,
    { key }: CacheKey,
    tags: readonly string[],
    token: string,
    refresh: boolean,
  ): Promise<{ payload?: Payload; bytes: number; epochs?: string } | undefined> {
    const until = performance.now() + WAIT_LIMIT_MS;
    try {
      for (let wait = FIRST_WAIT_MS; ; wait = Math.min(MAX_WAIT_MS, wait * 2)) {
        const read = await shared.read(key, tags, token, refresh);
        if ('payload' in read) return { payload: JSON.parse(read.payload) as Payload, bytes: read.payload.length };
        if (read.locked || refresh || performance.now() >= until) return { epochs: read.epochs, bytes: 0 };
        await delay(wait);
      }
    } catch (error) {
      if (error instanceof RedisUnavailable) return undefined;
      throw error;
    }
  }

  #payload({ family, key }: CacheKey, value: unknown, loadMs: number): Payload {
    const ttl = timeToLive(family.ttlMs, this.#access.isHot(key), Math.random());
    const now = Date.now();
    const absent = value === undefined || value === null;
    return { value, loadedAt: now, expiresAt: now + (absent ? Math.min(ttl, ABSENT_TTL_MS) : ttl), loadMs };
  }

  #entry({ family }: CacheKey, tags: readonly string[], { value, loadedAt, expiresAt, loadMs }: Payload, bytes: number): Entry {
    return { cache: family.name, tags, value: frozen(value), loadedAt, expiresAt, loadMs, bytes, due: false };
  }

  #tagsOf({ family, key, tags = [] }: CacheKey): string[] {
    return [...new Set([key, family.name, ...tags, ...[key, ...tags].flatMap((name) => this.#dependencies.closure(name))])];
  }

  /** Replaces an entry that is still valid, in the background, once at a time. */
  #refresh(key: CacheKey, entry: Entry, load: () => Promise<unknown>): void {
    const { local, metrics, log } = this.#options;
    if (local.joinable(key.key, -Infinity)) return;
    entry.due = false;
    this.#expirations += 1;
    metrics.expiredEarly();
    this.#fly(key, load, true).catch((error: unknown) => log.debug({ error, cache: key.family.name }, 'an early reload failed'));
  }

  /** The value that an entry had before the source failed. An entry that was invalidated meanwhile is not used. */
  #stale({ family, key }: CacheKey, entry: Entry | undefined, error: unknown): unknown {
    const { isUnavailable, local } = this.#options;
    const limit = family.staleIfErrorMs;
    if (!entry || local.get(key) !== entry || limit === undefined || !isUnavailable(error) || Date.now() - entry.loadedAt > limit)
      throw error;
    this.#count(family, 'stale');
    return entry.value;
  }

  #count({ name }: CacheFamily, result: Result): void {
    this.#options.metrics.requested(name, result);
    const counts = this.#counts.get(name);
    if (counts) counts[result] += 1;
  }
}

function summed(all: readonly Record<Result, number>[]): Record<Result, number> {
  return Object.fromEntries(RESULTS.map((result) => [result, all.reduce((sum, counts) => sum + counts[result], 0)])) as Record<
    Result,
    number
  >;
}

/** Share of the reads that made no load; undefined without reads. */
function hitRatio(results: Record<Result, number>): number | undefined {
  const all = RESULTS.reduce((sum, result) => sum + results[result], 0);
  return all === 0 ? undefined : 1 - (results.miss + results.bypass) / all;
}

/** Postgres and Redis with the CRM's tables, and caches on them as processes have them, each behind proxies of its own that can be cut. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'pg';
import { startServices } from '../../../local/src/services/index.ts';
import type { ServiceSet } from '../../../local/src/services/index.ts';
import { migrationsOf } from '../../shared/databases/index.ts';
import type { Cache } from '../../shared/kernel/cache/cache.ts';
import type { NotificationFeed } from '../../shared/kernel/cache/feed.ts';
import { cacheEnv, openCache } from '../../shared/kernel/cache/open.ts';
import { loadConfig } from '../../shared/kernel/config.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { Postgres } from '../../shared/kernel/postgres.ts';
import { FaultProxy } from '../../shared/testing/fault-proxy.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { CACHED, invalidationOf } from '../cache-keys.ts';

const DATABASE = 'crm';
const POOL = 10;
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, process.env['TEST_LOG_LEVEL'] ?? 'silent');

export class CacheLab {
  readonly postgres: ServiceSet['postgres'];
  readonly redis: ServiceSet['redis'];
  readonly #services: { stop(): Promise<void> };
  readonly #pool: Pool;
  readonly #instances: CacheInstance[] = [];
  readonly #pools: Postgres[] = [];

  private constructor(services: Pick<ServiceSet, 'postgres' | 'redis'> & { stop(): Promise<void> }) {
    this.#services = services;
    this.postgres = services.postgres;
    this.redis = services.redis;
    this.#pool = new Pool({ connectionString: services.postgres.url(DATABASE), max: POOL });
    this.#pool.on('error', () => undefined);
  }

  /** @param notify changes send messages, which is not the default */
  static async start({ notify = false } = {}): Promise<CacheLab> {
    const services = await startServices({ postgres: true, redis: true });
    const admin = new Pool({ connectionString: services.postgres.url(), max: 1 });
    await admin.query(`CREATE DATABASE ${DATABASE}`);
    if (notify) await admin.query(`ALTER DATABASE ${DATABASE} SET bss.cache_notify = 'on'`);
    await admin.end();
    const lab = new CacheLab(services);
    const folder = migrationsOf(DATABASE);
    for (const file of (await readdir(folder)).toSorted()) {
      const [up = ''] = (await readFile(join(folder, file), 'utf8')).split('-- Down Migration');
      await lab.#pool.query(up);
    }
    return lab;
  }

  /** Runs a statement as the administrator. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#pool.query<R>(text, values)).rows;
  }

  /** A connection of its own, for a transaction that stays open. */
  async connection() {
    return this.#pool.connect();
  }

  /** A pool of its own. @param settings for its sessions, as `options` of a connection */
  connect(settings = ''): Postgres {
    const url = new URL(this.postgres.url(DATABASE));
    if (settings !== '') url.searchParams.set('options', settings);
    const pool = new Postgres(
      { url: url.href, password: this.postgres.password, max: POOL, applicationName: 'test' },
      log,
      new Metrics({}),
    );
    this.#pools.push(pool);
    return pool;
  }

  /** Ends Postgres without a checkpoint and starts it again: it recovers as after a crash. */
  async restartPostgres(): Promise<void> {
    await this.postgres.kill();
    await this.postgres.start();
  }

  /** A cache on these servers. It ends with {@link stop} at the latest. @param env further variables of the cache */
  async instance(env: Record<string, string> = {}, options: { listen?: boolean; redis?: boolean } = {}): Promise<CacheInstance> {
    const instance = await CacheInstance.start(this, env, options);
    this.#instances.push(instance);
    return instance;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#instances.map((instance) => instance.stop()));
    await Promise.all([this.#pool.end(), ...this.#pools.map((pool) => pool.close())]);
    await this.#services.stop();
  }
}

/** One cache, and its connections to Redis, to the database, and to listen. */
export class CacheInstance {
  readonly cache: Cache;
  readonly feed: NotificationFeed;
  readonly database: Postgres;
  readonly metrics: Metrics;
  readonly links: Readonly<Record<'redis' | 'pool' | 'listener', Link>>;
  readonly #steps: (() => Promise<unknown>)[];
  #stopped = false;

  private constructor(parts: Pick<CacheInstance, 'cache' | 'feed' | 'database' | 'metrics' | 'links'>, steps: (() => Promise<unknown>)[]) {
    this.cache = parts.cache;
    this.feed = parts.feed;
    this.database = parts.database;
    this.metrics = parts.metrics;
    this.links = parts.links;
    this.#steps = steps;
  }

  static async start(lab: CacheLab, env: Record<string, string>, { listen = true, redis = true }: { listen?: boolean; redis?: boolean }) {
    const { hostname, port } = new URL(lab.redis.url);
    const toPostgres = { host: lab.postgres.host, port: lab.postgres.port };
    const links = {
      redis: await Link.to({ host: hostname, port: Number(port) }),
      pool: await Link.to(toPostgres),
      listener: await Link.to(toPostgres),
    };
    const address = ({ proxy }: Link): string => `postgresql://${lab.postgres.user}@${proxy.host}:${proxy.port}/${DATABASE}`;
    const metrics = new Metrics({});
    const { password } = lab.postgres;
    const database = new Postgres({ url: address(links.pool), password, max: POOL, applicationName: 'test' }, log, metrics);
    const steps: (() => Promise<unknown>)[] = [];
    const config = loadConfig(cacheEnv, {
      ...(redis ? { REDIS_URL: `redis://${links.redis.proxy.host}:${links.redis.proxy.port}` } : {}),
      ...(listen ? { CACHE_LISTENER_URL: address(links.listener) } : {}),
      ...env,
    });
    const { cache, feed } = await openCache(
      { log, metrics, onStop: (_name, step) => void steps.push(step) },
      { config, password, database, scope: 'test/test/crm', families: CACHED, invalidationOf },
    );
    return new CacheInstance({ cache, feed, database, metrics, links }, steps);
  }

  /** Waits until its entries are used and, where it has Redis, those of Redis. */
  async ready(): Promise<this> {
    await waitFor('the cache to be trusted', () => this.feed.trusted && this.cache.statistics().redis !== 'unavailable', 30_000);
    return this;
  }

  /** The sum of a metric over its series whose labels contain `labels`. */
  async metric(name: string, labels = ''): Promise<number> {
    const { body } = await this.metrics.expose();
    const lines = body.split('\n').filter((line) => line.split(/[{ ]/)[0] === name && line.includes(labels));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const step of this.#steps) await step();
    await this.database.close();
    await Promise.all(Object.values(this.links).map((link) => link.proxy.stop()));
  }
}

/** A connection that can be cut: its sockets are closed, and new ones too until it is healed. */
export class Link {
  readonly proxy: FaultProxy;
  readonly #target: { host: string; port: number };

  private constructor(proxy: FaultProxy, target: { host: string; port: number }) {
    this.proxy = proxy;
    this.#target = target;
  }

  static async to(target: { host: string; port: number }): Promise<Link> {
    return new Link(await FaultProxy.start(target), target);
  }

  cut(): void {
    this.proxy.target = undefined;
    this.proxy.disconnect();
  }

  heal(): void {
    this.proxy.target = this.#target;
  }
}

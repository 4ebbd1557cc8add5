import { randomUUID } from 'node:crypto';
import { createClient } from '@redis/client';
import { asError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Invalidation } from './invalidation.ts';
import { APPLY, JOIN, READ, RELEASE, RENEW, STORE, type Script } from './scripts.ts';

/** Where Redis is, and what tells this cache from others in it. */
export interface RedisOptions {
  /** redis://host:port or rediss://host:port */
  url: string;
  password?: string | undefined;
  /** Certificate authority in PEM, for rediss. */
  ca?: string | undefined;
  /** Prefix of every key; messages of other scopes are ignored. */
  scope: string;
}

/** What one notification invalidates. Without an id it takes effect each time that it is applied. */
export interface Applied {
  id: string | undefined;
  names: readonly string[];
  patterns: readonly string[];
}

/** A value that is current, or what its loader needs: the epochs to store it under, and whether the loader has the lock. */
export type SharedRead = { payload: string } | { epochs: string; locked: boolean };

export const CHANNEL = 'cache:invalidation';

/** A Redis that does not answer within this time is left out until it has been joined again. */
const COMMAND_LIMIT_MS = 250;
const CONNECT_LIMIT_MS = 2_000;
const MAX_RECONNECT_DELAY_MS = 2_000;
/** A load that takes longer loses its lock; its value is stored all the same, unless it was invalidated. */
export const LOCK_MS = 5_000;
/** Epochs outlive every value: a value without its epoch is not used. */
const EPOCH_MS = 2 * 60 * 60_000;
/** A notification that several processes read within this time invalidates once. */
const APPLIED_MS = 60_000;
/** Larger values stay in the process. */
const MAX_VALUE_BYTES = 256 * 1024;

type RedisClient = ReturnType<typeof createClient>;

/** Redis does not answer, or this process has not joined it. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable';
}

/**
 * The cache that the processes share, in Redis. A value is stored with the epochs of its tags, and it is current while Redis has the same ones.
 * An invalidation deletes epochs; the next reader creates them with new, unique values. So a value that was loaded before an invalidation is
 * never current after it, whichever process stores it and however late, and losing an epoch by eviction only costs a load.
 *
 * A process uses Redis once it has joined: it knows that every notification up to its own position has been applied there. Any failure ends
 * that until the next {@link join}.
 */
export class SharedCache {
  readonly #options: RedisOptions;
  readonly #log: Logger;
  readonly #client: RedisClient;
  readonly #subscriber: RedisClient;
  readonly #origin = randomUUID();
  /** Counts connections: what began on one is not confirmed by another. */
  #connection = 0;
  #basis = '';
  #joined = false;
  #stopped = false;

  constructor(options: RedisOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    const tls = options.url.startsWith('rediss:') ? { tls: true as const, ...(options.ca === undefined ? {} : { ca: options.ca }) } : {};
    const reconnectStrategy = (attempt: number): number => Math.min(MAX_RECONNECT_DELAY_MS, 50 * 2 ** Math.min(attempt, 10));
    this.#client = createClient({
      url: options.url,
      ...(options.password === undefined ? {} : { password: options.password }),
      disableOfflineQueue: true,
      socket: { connectTimeout: CONNECT_LIMIT_MS, reconnectStrategy, ...tls },
    });
    this.#subscriber = this.#client.duplicate({ disableOfflineQueue: false });
  }

  /**
   * Connects in the background, and reconnects until {@link stop}.
   * @param onReady the connection is up: join now
   * @param onMessage another process has invalidated
   */
  start(onReady: () => void, onMessage: (invalidation: Invalidation) => void): void {
    for (const [client, what] of [
      [this.#client, 'commands'],
      [this.#subscriber, 'messages'],
    ] as const) {
      let failing = false;
      client.on('error', (error: unknown) => {
        if (!failing && !this.#stopped) this.#log.warn({ error, connection: what }, 'Redis cannot be reached; retrying');
        failing = true;
      });
      client.on('ready', () => (failing = false));
    }
    this.#client.on('error', () => this.#leave());
    this.#client.on('end', () => this.#leave());
    this.#client.on('ready', () => {
      this.#leave();
      onReady();
    });
    const failed = (error: unknown): void => {
      if (!this.#stopped) this.#log.warn({ error }, 'failed to connect to Redis');
    };
    this.#client.connect().catch(failed);
    this.#subscriber
      .connect()
      .then(() => this.#subscriber.subscribe(CHANNEL, (text) => this.#receive(text, onMessage)))
      .catch(failed);
  }

  stop(): void {
    this.#stopped = true;
    this.#joined = false;
    this.#client.destroy();
    this.#subscriber.destroy();
  }

  /** True while its values may be used. */
  get joined(): boolean {
    return this.#joined;
  }

  /** True while there is a connection. */
  get connected(): boolean {
    return this.#client.isReady;
  }

  /**
   * Begins to join: compares the identity of both servers with the one that Redis stores, and makes every value obsolete when either is
   * another one, because it may have lost what it had acknowledged.
   * @param database identity of the database server since its start
   * @returns the position up to which Redis is current, if there is one; the caller applies what follows, then calls {@link joinedAt}
   */
  async join(database: string): Promise<{ position: string | undefined; connection: number }> {
    const connection = this.#connection;
    const info = await this.#limited(() => this.#client.info('server'));
    const basis = `${/run_id:(\w+)/.exec(info)?.[1] ?? randomUUID()} ${database}`;
    const position = await this.#eval(JOIN, [this.#key('basis'), this.#key('generation'), this.#key('position')], [basis, randomUUID()]);
    this.#basis = basis;
    return { position: typeof position === 'string' ? position : undefined, connection };
  }

  /** Makes every value obsolete. @throws RedisUnavailable */
  async renew(): Promise<void> {
    await this.#eval(RENEW, [this.#key('generation')], [randomUUID()]);
  }

  /** Everything up to this process's position has been applied on this connection. */
  joinedAt(connection: number): void {
    this.#joined = connection === this.#connection;
  }

  /**
   * Reads a value, or takes the lock to load it.
   * @param tags of the value, its key among them
   * @param refresh does not want the value, but the lock to replace it
   * @throws RedisUnavailable
   */
  async read(key: string, tags: readonly string[], token: string, refresh = false): Promise<SharedRead> {
    const values = [token, String(LOCK_MS), randomUUID(), String(EPOCH_MS), refresh ? '1' : '0'];
    const [payload, epochs, locked] = (await this.#eval(READ, this.#keys(key, tags), values)) as [string | null, string, number];
    return payload === null || payload === '' ? { epochs, locked: locked === 1 } : { payload };
  }

  /** Stores a value if no tag has been invalidated since its epochs were read, and gives the lock back. @throws RedisUnavailable */
  async store(key: string, tags: readonly string[], token: string, epochs: string, payload: string, ttlMs: number): Promise<void> {
    if (payload.length > MAX_VALUE_BYTES) return this.release(key, token);
    await this.#eval(STORE, this.#keys(key, tags), [token, epochs, payload, String(Math.max(1, Math.round(ttlMs)))]);
  }

  /** Gives the lock back. @throws RedisUnavailable */
  async release(key: string, token: string): Promise<void> {
    await this.#eval(RELEASE, [this.#key(`lock:${key}`)], [token]);
  }

  /**
   * Invalidates, tells the other processes, and stores the position up to which Redis is now current.
   * @throws RedisUnavailable, also when another process has found that a server was replaced: join again
   */
  async apply(applied: readonly Applied[], position: string): Promise<void> {
    const notifications = applied.map(({ id, names, patterns }) => ({ id: id ?? '', names, patterns }));
    const keys = [this.#key('basis'), this.#key('position')];
    const values = [this.#basis, position, JSON.stringify(notifications), this.#key(''), String(APPLIED_MS)];
    const done = await this.#eval(APPLY, keys, [...values, CHANNEL, this.#options.scope, this.#origin]);
    if (done === 1) return;
    this.#leave();
    throw new RedisUnavailable('Redis or the database has been replaced');
  }

  #leave(): void {
    this.#connection += 1;
    this.#joined = false;
  }

  #receive(text: string, onMessage: (invalidation: Invalidation) => void): void {
    const message = parsedMessage(text);
    if (!message || message.scope !== this.#options.scope || message.origin === this.#origin) return;
    onMessage(message);
  }

  /** One slot of a Redis cluster holds them all: the scripts use several of them at once. */
  #key(name: string): string {
    return `{${this.#options.scope}}:${name}`;
  }

  #keys(key: string, tags: readonly string[]): string[] {
    const names = tags.map((tag) => this.#key(`epoch:${tag}`));
    return [this.#key(`value:${key}`), this.#key(`lock:${key}`), this.#key('generation'), ...names];
  }

  async #eval(script: Script, keys: string[], values: string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...values];
    return this.#limited(async () => {
      try {
        return await this.#client.sendCommand(['EVALSHA', script.sha1, ...rest]);
      } catch (error) {
        if (!asError(error).message.startsWith('NOSCRIPT')) throw error;
        return this.#client.sendCommand(['EVAL', script.text, ...rest]);
      }
    });
  }

  async #limited<T>(command: () => Promise<T>): Promise<T> {
    if (!this.#client.isReady) throw new RedisUnavailable('there is no connection to Redis');
    const connection = this.#connection;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new RedisUnavailable(`Redis has not answered within ${COMMAND_LIMIT_MS} ms`)),
      COMMAND_LIMIT_MS,
    );
    try {
      return await Promise.race([command(), late.promise]);
    } catch (error) {
      if (connection === this.#connection) this.#leave();
      throw error instanceof RedisUnavailable ? error : new RedisUnavailable(asError(error).message, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function parsedMessage(text: string): (Invalidation & { scope: string; origin: string }) | undefined {
  try {
    const { scope, origin, names, patterns } = JSON.parse(text) as Record<string, unknown>;
    // The scripts encode an empty list as an empty object.
    const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
    return { scope: String(scope), origin: String(origin), names: list(names), patterns: list(patterns) };
  } catch {
    return undefined;
  }
}

import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { withOwnDeadline } from '../deadline.ts';
import type { Logger } from '../log.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { untraced } from '../telemetry.ts';
import { merged } from './invalidation.ts';
import type { Cause, Invalidation } from './invalidation.ts';
import type { NotificationListener } from './listener.ts';
import type { LocalCache } from './local.ts';
import type { Notification, NotificationRead, NotificationTable } from './notifications.ts';
import { RedisUnavailable } from './redis.ts';
import type { Applied, SharedCache } from './redis.ts';

export interface FeedOptions {
  table: Pick<NotificationTable, 'read' | 'clean'>;
  local: LocalCache;
  shared?: SharedCache | undefined;
  listener?: NotificationListener | undefined;
  log: Logger;
  /** Entries are used for this long after the start of the last successful read. */
  maxStalenessMs: number;
  /** What a change invalidates. */
  invalidationOf: (notification: Notification) => Invalidation;
  onInvalidated: (cause: Cause, count: number) => void;
  /** Time from a change to its effect in this process. */
  onApplied: (ageMs: number) => void;
}

/** The usual staleness is up to this, unless a message comes first. */
const POLL_MS = 100;
/** From the start of one read to that of the next: what arrives meanwhile shares a read. */
const SPACING_MS = 25;
const MAX_RETRY_MS = 1_000;
const PASS_LIMIT_MS = 5_000;
const CLEAN_INTERVAL_MS = 60_000;
/** Redis keeps a position of an idle table that is not older than this. */
const POSITION_INTERVAL_MS = 5_000;

/**
 * Reads the notification table and applies it to this process and to Redis. The cache is trusted only while the last read is recent: so the
 * bound holds whatever is lost, a connection, a message, Redis, the database, or the processor.
 */
export class NotificationFeed {
  /** Reads what was committed before this call, and applies it. */
  readonly readNow: () => Promise<void> = oneAtATime(() => untraced(() => withOwnDeadline(PASS_LIMIT_MS, () => this.#pass())));
  readonly #options: FeedOptions;
  readonly #stopping = new AbortController();
  #position: string | undefined;
  #server: string | undefined;
  #confirmedAt = -Infinity;
  #publishedAt = -Infinity;
  #running: Promise<unknown> = Promise.resolve();
  #woken = Promise.withResolvers<void>();
  #failing = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Reads until {@link stop}. */
  start(): void {
    const { shared, listener, local, onInvalidated } = this.#options;
    listener?.start(() => this.wake());
    shared?.start(
      () => this.wake(),
      (invalidation) => {
        onInvalidated('message', invalidation.names.length + invalidation.patterns.length);
        local.invalidate(invalidation);
      },
    );
    this.#running = Promise.all([this.#read(), this.#clean()]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#running;
    this.#options.shared?.stop();
    await this.#options.listener?.stop();
  }

  /** True while no value of this process and of Redis, as it sees it, can be older than the bound. */
  get trusted(): boolean {
    return performance.now() - this.#confirmedAt <= this.#options.maxStalenessMs;
  }

  /** Reads soon. */
  wake(): void {
    this.#woken.resolve();
  }

  async #read(): Promise<void> {
    const { signal } = this.#stopping;
    let retryMs = 0;
    while (!signal.aborted) {
      this.#woken = Promise.withResolvers();
      try {
        const startedAt = performance.now();
        await this.readNow();
        retryMs = 0;
        this.#failing = false;
        await this.#pause(startedAt);
      } catch (error) {
        if (!this.#failing && !signal.aborted) this.#options.log.warn({ error }, 'the notification table cannot be read; retrying');
        this.#failing = true;
        retryMs = Math.min(MAX_RETRY_MS, Math.max(POLL_MS, retryMs * 2));
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #pause(startedAt: number): Promise<void> {
    const ended = new AbortController();
    await Promise.race([delay(POLL_MS, undefined, { signal: ended.signal }).catch(() => undefined), this.#woken.promise]);
    ended.abort();
    const left = startedAt + SPACING_MS - performance.now();
    if (left > 0) await delay(left, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }

  async #clean(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const more = await untraced(() => withOwnDeadline(PASS_LIMIT_MS, () => this.#options.table.clean())).catch((error: unknown) => {
        if (!signal.aborted) this.#options.log.warn({ error }, 'old notifications cannot be deleted; retrying');
        return false;
      });
      if (!more) await delay(CLEAN_INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #pass(): Promise<void> {
    const startedAt = performance.now();
    const read = await this.#options.table.read(this.#position);
    const gap = this.#position === undefined || read.incomplete || read.server !== this.#server || isBefore(read.position, this.#position);
    const changes = read.notifications.map((notification) => this.#appliedOf(notification));
    const invalidation = merged(changes);
    if (gap) this.#forget();
    else this.#options.local.invalidate(invalidation);
    if (await this.#applyToRedis(read, changes, gap)) {
      // Whoever read Redis between the change and its invalidation there must not keep what it read.
      if (gap) this.#options.local.clear();
      else this.#options.local.invalidate(invalidation);
    }
    this.#position = read.position;
    this.#server = read.server;
    this.#confirmedAt = startedAt;
    for (const { ageMs } of read.notifications) this.#options.onApplied(ageMs + performance.now() - startedAt);
    if (changes.length > 0) this.#options.onInvalidated('notification', changes.length);
  }

  #forget(): void {
    this.#options.local.clear();
    if (this.#position === undefined) return;
    this.#options.onInvalidated('gap', 1);
    this.#options.log.info('what changed meanwhile is not known: every entry is removed');
  }

  #appliedOf(notification: Notification): Applied {
    const { id, request } = notification;
    return { id, ...(request ?? this.#options.invalidationOf(notification)) };
  }

  /** @returns true when Redis was in use before or after */
  async #applyToRedis(read: NotificationRead, changes: Applied[], gap: boolean): Promise<boolean> {
    const { shared } = this.#options;
    if (!shared?.connected) return false;
    try {
      if (!shared.joined || gap) await this.#join(shared, read);
      else if (changes.length > 0 || performance.now() - this.#publishedAt > POSITION_INTERVAL_MS)
        await this.#publish(shared, changes, read);
    } catch (error) {
      // What it missed is applied by the next join.
      if (!(error instanceof RedisUnavailable)) throw error;
    }
    return true;
  }

  async #publish(shared: SharedCache, changes: Applied[], { position, server }: NotificationRead): Promise<void> {
    await shared.apply(
      changes.map(({ id, ...rest }) => ({ ...rest, id: `${server}:${id}` })),
      position,
    );
    this.#publishedAt = performance.now();
  }

  /** Applies to Redis what it has missed: everything since its own position. */
  async #join(shared: SharedCache, { server }: NotificationRead): Promise<void> {
    const { position, connection } = await shared.join(server);
    const missed = await this.#options.table.read(position);
    if (missed.server !== server) throw new RedisUnavailable('the database has been replaced');
    const all: Applied[] = missed.notifications.map((notification) => this.#appliedOf(notification));
    // Only after the read: what is stored from now on was loaded at its position, or later.
    const unknown = position === undefined || missed.incomplete || isBefore(missed.position, position);
    if (unknown) await shared.renew();
    await this.#publish(shared, unknown ? [] : all, missed);
    shared.joinedAt(connection);
    this.#options.local.invalidate(merged(all));
  }
}

/** True when a snapshot was taken before another one: transactions that the other one saw are lost. */
function isBefore(position: string, other: string | undefined): boolean {
  const xmax = (text: string): bigint => BigInt(text.split(':')[1] ?? '0');
  return other !== undefined && xmax(position) < xmax(other);
}

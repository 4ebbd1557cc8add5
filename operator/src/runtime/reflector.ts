/**
 * Keeps a store equal to the API server's state: list, then watch, and watch again whenever the watch ends.
 *
 * A watch can stall silently (a dead connection, a stopped server). It therefore has a server-side timeout, and the reflector aborts it when not even
 * a bookmark arrives for `inactivityMs`. Every failure is retried with jittered backoff, without limit. The next watch resumes from the last
 * version seen; when the server no longer has that version, the reflector relists.
 */
import { backoffDelay } from './backoff.ts';
import type { KubeClient, Selection } from './client.ts';
import { delay, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { isExpired, KubeError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Counter, Metrics } from './metrics.ts';
import type { Kind, KubernetesObject } from '../objects/object.ts';
import { Store } from './store.ts';
import type { Change, Indexer } from './store.ts';
import type { WatchEvent } from './watch.ts';

export interface ReflectorOptions<T extends KubernetesObject> extends Selection {
  client: KubeClient;
  kind: Kind;
  metrics: Metrics;
  logger: Logger;
  indexers?: Record<string, Indexer<T>>;
  /** Strips each object down to the fields to keep, to save memory. */
  transform?: (object: T) => T;
  clock?: Clock;
  /** Objects per page of a list; default 250, because a whole page is in memory before `transform`. */
  pageSize?: number;
  /** Server-side timeout of a watch in seconds; a random factor of 1 to 2 keeps watches from ending together. Default 300. */
  watchSeconds?: number;
  /** Aborts a watch after this long without an event or bookmark. The server sends a bookmark about every minute. Default 90 s. */
  inactivityMs?: number;
  /** Backoff between failures; default 0.5 s to 30 s. */
  backoff?: { baseMs: number; maxMs: number };
}

/** Why a watch ended; the label of the restart metric. */
const END_REASONS = ['ended', 'inactive', 'expired', 'disconnected', 'refused'] as const;
type EndReason = (typeof END_REASONS)[number];

type Labels = 'kind';

export class Reflector<T extends KubernetesObject = KubernetesObject> {
  readonly store: Store<T>;
  readonly kind: Kind;
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #handlers: ((change: Change<T>) => void)[] = [];
  readonly #stop = new AbortController();
  readonly #restarts: Counter<Labels | 'reason'>;
  readonly #lists: Counter<Labels>;
  readonly #synced = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  /** Version up to which the store is complete; undefined: list first. */
  #version: string | undefined;
  #failures = 0;
  /** Monotonic time of the last event, bookmark or list. */
  #lastEvent: number;
  #lastError: unknown;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.kind = options.kind;
    this.store = new Store(options.indexers);
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger.child({ reflector: options.kind.kind });
    this.#lastEvent = this.#clock.monotonic();
    const { metrics, kind } = options;
    this.#restarts = metrics.counter('bss_operator_watch_restarts_total', 'Watches that ended, by reason.', ['kind', 'reason']);
    this.#lists = metrics.counter('bss_operator_lists_total', 'Complete lists read by reflectors.', ['kind']);
    for (const reason of END_REASONS) this.#restarts.inc({ kind: kind.kind, reason }, 0);
    this.#lists.inc({ kind: kind.kind }, 0);
    trackAges(metrics).set(this, kind.kind);
  }

  /** Milliseconds since the server last sent an event, a bookmark or a list. */
  get silentMs(): number {
    return this.#clock.monotonic() - this.#lastEvent;
  }

  /**
   * Calls `handler` for each change, after the store has it. A handler should only add a key to a queue. The reflector logs an error that it
   * throws and continues. Subscribe before `start`.
   */
  subscribe(handler: (change: Change<T>) => void): void {
    this.#handlers.push(handler);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the store holds the first list. @throws Error after `timeoutMs` milliseconds, with the last failure as its cause */
  async waitForSync(timeoutMs: number): Promise<void> {
    const enough = new AbortController();
    await Promise.race([this.#synced.promise, delay(this.#clock, timeoutMs, enough.signal)]);
    enough.abort();
    if (!this.store.synced) throw new Error(`no list of ${this.kind.kind} within ${timeoutMs} ms`, { cause: this.#lastError });
  }

  /** Stops the watch. The store keeps its objects. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    trackAges(this.#options.metrics).delete(this);
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
        this.#ended('ended');
        this.#failures = 0;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        await this.#recover(error);
      }
    }
  }

  async #list(): Promise<void> {
    const { client, namespace, labelSelector, fieldSelector, metadataOnly, pageSize = 250, transform } = this.#options;
    const selection = { namespace, labelSelector, fieldSelector, metadataOnly, pageSize, signal: this.#stop.signal };
    const { items, resourceVersion } = await client.list<T>(this.kind, selection, transform);
    this.#markActive();
    this.#lists.inc({ kind: this.kind.kind });
    this.#version = resourceVersion;
    for (const change of this.store.replace(items)) this.#notify(change);
    this.#synced.resolve();
  }

  async #watch(): Promise<void> {
    const { client, namespace, labelSelector, fieldSelector, metadataOnly, watchSeconds = 300, inactivityMs = 90_000 } = this.#options;
    const timeoutSeconds = Math.ceil(watchSeconds * (1 + Math.random()));
    const watchdog = new Watchdog(this.#clock, inactivityMs, this.#stop.signal);
    const started = this.#clock.monotonic();
    const selection = { namespace, labelSelector, fieldSelector, metadataOnly, timeoutSeconds, signal: watchdog.signal };
    try {
      for await (const event of client.watch<T>(this.kind, { ...selection, resourceVersion: this.#version ?? '' })) {
        watchdog.reset();
        this.#markActive();
        this.#failures = 0;
        this.#process(event);
      }
      // A proxy that cuts every watch immediately must not cause a hot loop.
      if (this.#lastEvent < started && this.#clock.monotonic() - started < SHORTEST_WATCH_MS) throw new ShortWatchError(this.kind.kind);
    } catch (error) {
      throw watchdog.fired ? new InactiveError(this.kind.kind, inactivityMs) : error;
    } finally {
      watchdog.stop();
    }
  }

  #process({ type, object }: WatchEvent<T>): void {
    this.#version = object.metadata.resourceVersion;
    if (type === 'BOOKMARK') return;
    const kept = this.#options.transform?.(object) ?? object;
    const change = type === 'DELETED' ? this.store.remove(kept) : this.store.put(kept);
    if (change) this.#notify(change);
  }

  #notify(change: Change<T>): void {
    for (const handler of this.#handlers) {
      try {
        handler(change);
      } catch (error) {
        this.#logger.error({ error, key: change.key }, 'an event handler failed');
      }
    }
  }

  #markActive(): void {
    this.#lastEvent = this.#clock.monotonic();
  }

  #ended(reason: EndReason): void {
    this.#restarts.inc({ kind: this.kind.kind, reason });
  }

  /** After a failure: decides between resuming the watch and relisting, and backs off. */
  async #recover(error: unknown): Promise<void> {
    const reason = endReason(error);
    this.#ended(reason);
    this.#failures += 1;
    this.#lastError = error;
    if (reason === 'expired' || (reason === 'refused' && this.#distrustsVersion(error))) this.#version = undefined;
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const waitMs = Math.max(asked, backoffDelay(this.#failures, this.#options.backoff ?? { baseMs: 500, maxMs: 30_000 }));
    const level = this.#failures > 3 ? 'warn' : 'info';
    this.#logger[level]({ error, reason, failures: this.#failures, waitMs: Math.round(waitMs) }, 'watch failed, restarting');
    await delay(this.#clock, waitMs, this.#stop.signal);
  }

  /** The requested version may be the cause of a refusal, and a list requests none. A server that is only overloaded is spared the list. */
  #distrustsVersion(error: unknown): boolean {
    const busy = error instanceof KubeError && (error.status === 429 || error.status >= 500);
    return !busy || this.#failures >= FAILURES_BEFORE_LIST;
  }
}

/** After this many consecutive failures the reflector relists even if the server only reported overload. */
const FAILURES_BEFORE_LIST = 5;

/** A watch that ends earlier than this without an event has failed. */
const SHORTEST_WATCH_MS = 1_000;

class ShortWatchError extends Error {
  constructor(kind: string) {
    super(`the watch of ${kind} ended immediately`);
  }
}

function endReason(error: unknown): EndReason {
  if (error instanceof InactiveError) return 'inactive';
  if (error instanceof ShortWatchError) return 'disconnected';
  if (isExpired(error)) return 'expired';
  return error instanceof KubeError && error.status === 0 ? 'disconnected' : 'refused';
}

class InactiveError extends Error {
  constructor(kind: string, ms: number) {
    super(`the watch of ${kind} received no event or bookmark for ${ms} ms`);
  }
}

/** Aborts its signal when it is not reset in time, or when the caller's signal aborts. */
class Watchdog {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #outer: AbortSignal;
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#controller.abort();
  #cancel: () => void;
  fired = false;

  constructor(clock: Clock, ms: number, outer: AbortSignal) {
    this.#clock = clock;
    this.#ms = ms;
    this.#outer = outer;
    this.#cancel = this.#arm();
    if (outer.aborted) this.#abort();
    outer.addEventListener('abort', this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reset(): void {
    this.#cancel();
    this.#cancel = this.#arm();
  }

  stop(): void {
    this.#cancel();
    this.#outer.removeEventListener('abort', this.#abort);
  }

  #arm(): () => void {
    return this.#clock.after(this.#ms, () => {
      this.fired = true;
      this.#abort();
    });
  }
}

interface Tracked {
  silentMs: number;
}

const ages = new WeakMap<Metrics, Map<Tracked, string>>();

/** The reflectors of a registry; their time without events is measured at each scrape. */
function trackAges(metrics: Metrics): Map<Tracked, string> {
  const known = ages.get(metrics);
  if (known) return known;
  const reflectors = new Map<Tracked, string>();
  ages.set(metrics, reflectors);
  metrics.gauge('bss_operator_watch_silence_seconds', 'Time since the last event, bookmark or list of a kind.', ['kind'], (gauge) => {
    gauge.reset();
    const silence = new Map<string, number>();
    // Several reflectors may watch one kind: report the longest silence.
    for (const [reflector, kind] of reflectors) silence.set(kind, Math.max(reflector.silentMs, silence.get(kind) ?? 0));
    for (const [kind, ms] of silence) gauge.set({ kind }, ms / 1000);
  });
  return reflectors;
}

/** Records Kubernetes events about objects. Recording never throws and never waits. */
import { randomBytes } from 'node:crypto';
import { backoffDelay } from './backoff.ts';
import type { KubeClient } from './client.ts';
import { delay, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { isNotFound, KubeError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Counter, Metrics } from './metrics.ts';
import { referenceOf } from '../objects/object.ts';
import type { KubernetesObject } from '../objects/object.ts';

export interface EventInput {
  type: 'Normal' | 'Warning';
  /** CamelCase, from a closed list. */
  reason: string;
  /** What happened; cut after 1024 characters. */
  message: string;
  /** What was being done, CamelCase; default: the reason. */
  action?: string;
}

export interface EventRecorderOptions {
  client: KubeClient;
  /** The reporting controller: `bss-platform.io/operator`. */
  component: string;
  /** The reporting instance: the pod. */
  instance: string;
  metrics: Metrics;
  logger: Logger;
  clock?: Clock;
}

/** The same event about the same object within this time is a repetition. */
const SERIES_MS = 6 * 60_000;
/** Minimum interval between writes of the count of a series. */
const SERIES_WRITE_MS = 10_000;
/**
 * Rate limit per object and reason: a burst, then one more each minute. A frequent reason must not suppress the others: the events of an installation
 * must not suppress later scale events.
 */
const BURST = 25;
const REFILL_MS = 60_000;
/** Maximum backlog while the API server is unreachable: newer events are dropped. */
const LONGEST_BACKLOG = 1_000;
const ATTEMPTS = 5;
const LONGEST_NOTE = 1024;

/** One event and its repetitions. */
interface Series {
  /** The live Event; undefined until it is created. */
  written: KubernetesObject | undefined;
  draft: KubernetesObject;
  count: number;
  last: number;
  writePlanned: boolean;
}

interface Bucket {
  tokens: number;
  at: number;
}

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  /** Oldest use first: an entry moves to the end when it is used. */
  readonly #series = new Map<string, Series>();
  /** Oldest use first. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #stop = new AbortController();
  readonly #outcomes: Counter<'outcome'>;
  readonly #backlog: (() => Promise<void>)[] = [];
  #sending: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#outcomes = options.metrics.counter('bss_operator_events_total', 'Events, by outcome.', ['outcome']);
    for (const outcome of ['written', 'repeated', 'dropped']) this.#outcomes.inc({ outcome }, 0);
  }

  /** Records an event about an object. */
  record(regarding: KubernetesObject, event: EventInput): void {
    const now = this.#clock.monotonic();
    this.#forgetOld(now);
    const about = regarding.metadata.uid ?? JSON.stringify(referenceOf(regarding));
    const key = JSON.stringify([about, event.type, event.reason, event.action, event.message]);
    const series = this.#series.get(key);
    if (series) return this.#repeat(key, series, now);
    if (!this.#allowed(`${about} ${event.reason}`, now)) return this.#drop('the object has too many events of this reason');
    const begun: Series = { written: undefined, draft: this.#draft(regarding, event), count: 1, last: now, writePlanned: false };
    this.#series.set(key, begun);
    this.#enqueue(() => this.#create(begun));
  }

  /** Writes the backlog and the planned counts, with one attempt each; then records nothing more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const series of this.#series.values()) if (series.writePlanned) this.#enqueue(() => this.#update(series));
    await this.#sending;
  }

  #draft(regarding: KubernetesObject, { type, reason, message, action = reason }: EventInput): KubernetesObject {
    const { component, instance } = this.#options;
    const { uid, resourceVersion } = regarding.metadata;
    const reference = referenceOf(regarding);
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${reference.name.slice(0, 230)}.${randomBytes(8).toString('hex')}`, namespace: reference.namespace ?? 'default' },
      eventTime: this.#timestamp(),
      reportingController: component,
      reportingInstance: instance,
      regarding: { ...reference, ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) },
      type,
      reason,
      action,
      note: message.length > LONGEST_NOTE ? `${message.slice(0, LONGEST_NOTE - 1)}…` : message,
    };
  }

  #repeat(key: string, series: Series, now: number): void {
    series.count += 1;
    series.last = now;
    this.#series.delete(key);
    this.#series.set(key, series);
    this.#outcomes.inc({ outcome: 'repeated' });
    if (series.writePlanned || this.#stop.signal.aborted) return;
    series.writePlanned = true;
    const cancel = this.#clock.after(SERIES_WRITE_MS, () => {
      this.#stop.signal.removeEventListener('abort', cancel);
      this.#enqueue(() => this.#update(series));
    });
    this.#stop.signal.addEventListener('abort', cancel);
  }

  async #create(series: Series): Promise<void> {
    const repeated = series.count > 1 ? { series: this.#count(series) } : {};
    series.written = await this.#options.client.create({ ...series.draft, ...repeated });
    this.#outcomes.inc({ outcome: 'written' });
  }

  async #update(series: Series): Promise<void> {
    series.writePlanned = false;
    if (!series.written) return this.#create(series);
    try {
      await this.#options.client.patch(referenceOf(series.written), { series: this.#count(series) });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // The event expired: the default TTL of events is one hour.
      await this.#create(series);
    }
  }

  #count({ count }: Series): { count: number; lastObservedTime: string } {
    return { count, lastObservedTime: this.#timestamp() };
  }

  #timestamp(): string {
    return new Date(this.#clock.now()).toISOString().replace('Z', '000Z');
  }

  /** Token bucket per subject: an object and a reason. */
  #allowed(subject: string, now: number): boolean {
    const { tokens, at } = this.#buckets.get(subject) ?? { tokens: BURST, at: now };
    const filled = Math.min(BURST, tokens + (now - at) / REFILL_MS);
    this.#buckets.delete(subject);
    this.#buckets.set(subject, { tokens: filled >= 1 ? filled - 1 : filled, at: now });
    return filled >= 1;
  }

  /**
   * Removes expired series, and buckets that are full again. Stops at the first entry in use, so that recording is linear in the number of events.
   * A series with a planned write is never expired: the write comes after SERIES_WRITE_MS.
   */
  #forgetOld(now: number): void {
    for (const [key, { last }] of this.#series) {
      if (now - last <= SERIES_MS) break;
      this.#series.delete(key);
    }
    for (const [subject, { at }] of this.#buckets) {
      if (now - at <= BURST * REFILL_MS) break;
      this.#buckets.delete(subject);
    }
  }

  #enqueue(send: () => Promise<void>): void {
    if (this.#backlog.length >= LONGEST_BACKLOG) return this.#drop('the backlog of events is full');
    this.#backlog.push(send);
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
  }

  async #drain(): Promise<void> {
    for (let send = this.#backlog.shift(); send; send = this.#backlog.shift()) await this.#attempt(send);
  }

  /** During shutdown there is only one attempt, because the time is limited. */
  async #attempt(send: () => Promise<void>): Promise<void> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await send();
      } catch (error) {
        const again = error instanceof KubeError && error.retriable && failures < ATTEMPTS && !this.#stop.signal.aborted;
        if (!again) return this.#drop('the event could not be written', error);
        await delay(
          this.#clock,
          Math.max(error.retryAfterMs ?? 0, backoffDelay(failures, { baseMs: 500, maxMs: 10_000 })),
          this.#stop.signal,
        );
      }
    }
  }

  #drop(why: string, error?: unknown): void {
    this.#outcomes.inc({ outcome: 'dropped' });
    this.#options.logger.debug({ why, error }, 'dropped an event');
  }
}

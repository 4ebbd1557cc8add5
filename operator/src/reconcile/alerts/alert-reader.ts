/**
 * Reads the firing alerts of each platform in the background; a pass only takes what was read last.
 *
 * Prometheus is the source of what fires: it runs where Alertmanager is switched off, it knows of a resolved alert at once, and its Watchdog says
 * whether it evaluates rules. Alertmanager only answers which of the alerts it silences or inhibits, and so a failed answer hides no alert.
 */
import type { z } from 'zod';
import type { Clock, Logger } from '../../runtime/index.ts';
import { alertmanagerAlerts, isNews, learn, NOTHING_KNOWN, prometheusAlerts, type AlertStatus, type Knowledge } from './alert-status.ts';

/** Addresses of the two, such as `http://a-prometheus.n.svc:9090`. */
export interface AlertSources {
  prometheus: string;
  /** Undefined: the platform has no Alertmanager. */
  alertmanager: string | undefined;
}

interface Entry {
  sources: AlertSources;
  knowledge: Knowledge;
  /** Cancels the next read, or the deadline of the one in progress. */
  cancel: () => void;
  /** Ends the read in progress. */
  reading: AbortController;
}

export interface AlertReaderOptions {
  clock: Clock;
  logger: Logger;
  /** What fires on the platform has changed. */
  onChange: (platformKey: string) => void;
  intervalMs?: number;
  /** Limit for one read. */
  timeoutMs?: number;
}

const INTERVAL_MS = 15_000;
const TIMEOUT_MS = 3_000;
/** 54 alerts have some 50 KB when all of them fire. */
const ANSWER_LIMIT_BYTES = 4 * 1024 ** 2;

const FIRING = '/api/v1/alerts';
/** Silenced and inhibited ones alone. */
const MUTED = '/api/v2/alerts?active=false&unprocessed=false';

export class AlertReader {
  readonly #options: Required<AlertReaderOptions>;
  readonly #entries = new Map<string, Entry>();
  #added = 0;

  constructor(options: AlertReaderOptions) {
    this.#options = { intervalMs: INTERVAL_MS, timeoutMs: TIMEOUT_MS, ...options };
  }

  /** The alerts at the last read; undefined when there was none yet. Starts to read, and does not wait for it. */
  watch(platformKey: string, sources: AlertSources): AlertStatus | undefined {
    const known = this.#entries.get(platformKey);
    if (known !== undefined) {
      known.sources = sources;
      return known.knowledge.status;
    }
    const entry: Entry = { sources, knowledge: NOTHING_KNOWN, cancel: () => undefined, reading: new AbortController() };
    this.#entries.set(platformKey, entry);
    this.#schedule(platformKey, entry, phaseOf(this.#added++) * this.#options.intervalMs);
    return undefined;
  }

  /** The alerts at the last read. */
  seen(platformKey: string): AlertStatus | undefined {
    return this.#entries.get(platformKey)?.knowledge.status;
  }

  remove(platformKey: string): void {
    const entry = this.#entries.get(platformKey);
    this.#entries.delete(platformKey);
    entry?.cancel();
    entry?.reading.abort();
  }

  stop(): void {
    for (const key of this.#entries.keys()) this.remove(key);
  }

  #schedule(platformKey: string, entry: Entry, ms: number): void {
    entry.cancel = this.#options.clock.after(ms, () => void this.#read(platformKey, entry));
  }

  async #read(platformKey: string, entry: Entry): Promise<void> {
    const { clock, onChange, intervalMs, timeoutMs } = this.#options;
    const { prometheus, alertmanager } = entry.sources;
    const { signal } = (entry.reading = new AbortController());
    entry.cancel = clock.after(timeoutMs, () => entry.reading.abort());
    const [alerts, muted] = await Promise.all([
      this.#ask(`${prometheus}${FIRING}`, prometheusAlerts, signal),
      alertmanager === undefined ? [] : this.#ask(`${alertmanager}${MUTED}`, alertmanagerAlerts, signal),
    ]);
    entry.cancel();
    // Removed, or replaced, meanwhile.
    if (this.#entries.get(platformKey) !== entry) return;
    const before = entry.knowledge.status;
    entry.knowledge = learn(entry.knowledge, { alerts, muted }, instant(clock.now()));
    this.#schedule(platformKey, entry, intervalMs);
    if (isNews(before, entry.knowledge.status)) onChange(platformKey);
  }

  /** The valid answer; undefined when there is none. */
  async #ask<T>(url: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T | undefined> {
    try {
      return schema.parse(JSON.parse(await textOf(await fetch(url, { signal, redirect: 'error' }))));
    } catch (error) {
      this.#options.logger.debug({ url, error }, 'cannot read the alerts');
      return undefined;
    }
  }
}

/** @throws Error when the status is not 200, or the body is larger than any that the rules of a platform cause */
async function textOf({ status, body }: Response): Promise<string> {
  if (status !== 200 || body === null) throw new Error(`HTTP ${status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > ANSWER_LIMIT_BYTES) throw new Error(`the answer has more than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
function instant(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Golden section: however many platforms there are, their reads are spread evenly. The first is read at once. */
function phaseOf(number: number): number {
  return (number * 0.618_033_988_75) % 1;
}

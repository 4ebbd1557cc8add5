import type { Logger } from '../shared/kernel/log.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { untraced } from '../shared/kernel/telemetry.ts';
import type { Span } from '../shared/kernel/telemetry.ts';
import { batchesOf, messageOf, publishedRows } from './messages.ts';
import type { EntryMessage } from './messages.ts';
import type { RelayMetrics } from './metrics.ts';
import type { Publisher } from './publisher.ts';
import { hasRows, Outbox } from './store.ts';
import type { OutboxRow } from './store.ts';

/** Transactions, or postings of a range, of one pass: they are in memory together. A row that has more, up to 5,000, is a pass of its own. */
const MAX_ENTRIES = 1_000;
/**
 * Bytes of one request to Kafka. All of them may be for one partition, whose limit for a batch (`max.message.bytes`) is 1 MiB by default. Every
 * field of an entry is bounded, so that a single message has at most about 1.5 kB and is never too large.
 */
const MAX_BATCH_BYTES = 512 * 1024;
/** The session must not be idle within its transaction for 15 s. */
const KEEP_EVERY_MS = 2_000;

export interface RelayOptions {
  database: Postgres;
  publisher: Pick<Publisher, 'send'>;
  metrics: RelayMetrics;
  log: Logger;
  /** CloudEvents `source`. */
  source: string;
}

/** How far the messages of a pass were sent, and why no further. */
interface Progress {
  readonly sent: number;
  /** By row, of those that have any: a span of one of its entries. */
  readonly spans: ReadonlyMap<string, Span>;
  readonly failure?: unknown;
}

/**
 * Publishes the rows of the outbox, oldest first, and deletes them in the transaction in which it has read them. Of several relays, the one that
 * holds the lock publishes.
 *
 * A row is deleted only after the acknowledgement of its last message. After a crash, a lost connection or a send whose outcome is unknown it is
 * sent again: messages may come twice, and late, but never before an earlier message of their account has been written.
 */
export class Relay {
  readonly #options: RelayOptions;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** One pass. @returns whether it has published anything @throws what made it end early, after it has deleted what was sent */
  pass(signal: AbortSignal): Promise<boolean> {
    return untraced(async () => {
      if (!(await hasRows(this.#options.database))) return false;
      const { rows, failure } = await this.#options.database.transaction((tx) => this.#publish(new Outbox(tx), signal));
      if (failure !== undefined) throw failure;
      return rows > 0;
    });
  }

  async #publish(outbox: Outbox, signal: AbortSignal): Promise<{ rows: number; failure?: unknown }> {
    if (!(await outbox.lock())) return { rows: 0 };
    const readAt = performance.now();
    const rows = await outbox.oldest(MAX_ENTRIES);
    if (rows.length === 0) return { rows: 0 };
    const messages = (await outbox.postings(rows)).map((posting) => messageOf(posting, this.#options.source));
    const progress = await this.#send(outbox, messages, signal);
    const published = publishedRows(rows, messages, progress.sent);
    if (published.length > 0) await outbox.delete(published);
    this.#observe(published, progress, (performance.now() - readAt) / 1000);
    return { rows: published.length, failure: progress.failure };
  }

  /** Batch after batch: the next one is sent when the former one is acknowledged, which keeps the order of every account. */
  async #send(outbox: Outbox, messages: readonly EntryMessage[], signal: AbortSignal): Promise<Progress> {
    let sent = 0;
    const spans = new Map<string, Span>();
    let keptAt = performance.now();
    for (const batch of batchesOf(messages, MAX_BATCH_BYTES)) {
      if (signal.aborted) break;
      if (performance.now() - keptAt > KEEP_EVERY_MS) {
        await outbox.keep();
        keptAt = performance.now();
      }
      try {
        for (const [row, span] of await this.#options.publisher.send(batch)) spans.set(row, span);
      } catch (failure) {
        return { sent, spans, failure };
      }
      sent += batch.length;
    }
    return { sent, spans };
  }

  #observe(rows: readonly OutboxRow[], { sent, spans }: Progress, elapsedSeconds: number): void {
    const { metrics, log } = this.#options;
    metrics.published.inc(sent);
    for (const { seq, ageSeconds } of rows) metrics.latency.observe({}, ageSeconds + elapsedSeconds, spans.get(seq));
    log.debug({ rows: rows.length, entries: sent }, 'published');
  }
}

/** The events of changes, from the database to Kafka. */
import { changeHeaders } from '../shared/contracts/crm/events.ts';
import type { ChangeEvent } from '../shared/contracts/crm/events.ts';
import type { KafkaProducer, OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import { isoText } from '../shared/kernel/moment.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import type { CrmMetrics } from './metrics.ts';

export interface OutboxRow {
  seq: string;
  id: string;
  traceparent: string | null;
  ageSeconds: number;
  event: ChangeEvent;
}

/** One process at a time; the others find the lock taken, and stand by. */
const LOCK = 'SELECT pg_try_advisory_xact_lock(727369) AS locked';
const READ = `SELECT seq::text, id::text, traceparent, extract(epoch FROM clock_timestamp() - at)::float8 AS "ageSeconds",
    data || jsonb_build_object('at', ${isoText('at')}) AS event
  FROM change_event ORDER BY seq LIMIT $1`;
const SENT = 'DELETE FROM change_event WHERE seq = ANY ($1::bigint[])';

/** The record of an event. The trace is that of the request. */
export function recordOf({ id, traceparent, event }: OutboxRow, source: string): OutgoingRecord {
  const trace: Record<string, string> = traceparent === null ? {} : { traceparent };
  return { key: event.id, value: JSON.stringify(event), headers: { ...changeHeaders(event, id, source), ...trace } };
}

export interface OutboxParts {
  database: Pick<Postgres, 'transaction'>;
  producer: Pick<KafkaProducer, 'send'>;
  metrics: Pick<CrmMetrics, 'published' | 'taken' | 'failed'>;
  topic: string;
  /** CloudEvents source. */
  source: string;
}

/**
 * Publishes the oldest events, and removes them once Kafka has acknowledged them. After a crash in between they are published again. The changes of
 * one resource are in order, because each takes its number while it holds the lock of the row.
 * @returns how many; 0 also while another process publishes
 */
export async function publishEvents({ database, producer, metrics, topic, source }: OutboxParts, limit: number): Promise<number> {
  const rows = await database.transaction(async (tx) => {
    const [lock] = await tx.query<{ locked: boolean }>('lock outbox', LOCK);
    if (!lock?.locked) return [];
    const waiting = await tx.query<OutboxRow>('read outbox', READ, [limit]);
    if (waiting.length === 0) return [];
    await producer
      .send(topic, () => waiting.map((row) => recordOf(row, source)))
      .catch((error: unknown) => {
        metrics.failed();
        throw error;
      });
    await tx.query('empty outbox', SENT, [waiting.map(({ seq }) => seq)]);
    return waiting;
  });
  metrics.taken('Kafka', rows.length);
  for (const { ageSeconds } of rows) metrics.published(ageSeconds);
  return rows.length;
}

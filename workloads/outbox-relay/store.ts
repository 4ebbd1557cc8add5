import type { Queryable } from '../shared/kernel/postgres.ts';
import type { Posting } from './messages.ts';

/** A row of the outbox. */
export interface OutboxRow {
  readonly seq: string;
  /** Seconds between its insertion and this read, by the database's clock. */
  readonly ageSeconds: number;
}

/** Rows that wait. */
export interface Backlog {
  rows: number;
  /** Age of the oldest row in seconds, 0 without one. */
  oldestSeconds: number;
}

/** Any number that nothing else in this database locks. */
const LOCK = 727_369;

/** The oldest rows, of at most $1 entries together, but at least one row. */
const OLDEST = `
WITH oldest AS (
  SELECT seq, created_at, entries, sum(entries) OVER (ORDER BY seq) AS through
    FROM (SELECT seq, created_at, entries FROM outbox ORDER BY seq LIMIT $1) o
)
SELECT seq::text, extract(epoch FROM clock_timestamp() - created_at)::float8 AS "ageSeconds" FROM oldest
 WHERE through <= $1 OR through = entries ORDER BY oldest.seq`;

/** The postings of customers that rows name. Rows are in the order of each account's postings; within a row the sequence decides. */
const POSTINGS = `
WITH named AS (
  SELECT o.seq, p.* FROM outbox o CROSS JOIN unnest(o.transaction_ids) AS u (id) JOIN posting p ON p.transaction_id = u.id
   WHERE o.seq = ANY ($1::bigint[])
  UNION ALL
  SELECT o.seq, p.* FROM outbox o JOIN posting p ON p.account_id = o.account_id AND p.account_seq BETWEEN o.first_seq AND o.last_seq
   WHERE o.seq = ANY ($1::bigint[])
)
SELECT n.seq::text AS row, x.traceparent, n.transaction_id::text AS "entryId", n.line::int AS line, t.kind, t.external_id AS "externalId",
       n.account_id AS "accountId", n.currency, n.amount_minor::text AS "amountMinor", n.account_seq::float8 AS sequence,
       n.balance_after_minor::text AS "balanceAfterMinor", t.value_date::text AS "valueDate",
       to_char(n.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "postedAt"
  FROM named n
  JOIN account a ON a.id = n.account_id AND a.kind = 'customer'
  JOIN journal_transaction t ON t.id = n.transaction_id
  LEFT JOIN outbox_trace x ON x.transaction_id = n.transaction_id
 ORDER BY n.seq, n.account_seq`;

const DELETE = `
WITH published AS (DELETE FROM outbox WHERE seq = ANY ($1::bigint[]) RETURNING transaction_ids)
DELETE FROM outbox_trace x USING published p CROSS JOIN unnest(p.transaction_ids) AS u (id) WHERE x.transaction_id = u.id`;

/** Whether there is anything to publish: one probe of the index. */
export async function hasRows(database: Queryable): Promise<boolean> {
  const [found] = await database.query<{ present: boolean }>('probe outbox', 'SELECT EXISTS (SELECT FROM outbox) AS present');
  return found?.present ?? false;
}

/** How much waits, by adding it up. */
export async function backlogOf(database: Queryable): Promise<Backlog> {
  const [found] = await database.query<Backlog>(
    'read backlog',
    `SELECT count(*)::float8 AS rows, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "oldestSeconds" FROM outbox`,
  );
  return found ?? { rows: 0, oldestSeconds: 0 };
}

/** The outbox in a transaction of the relay. */
export class Outbox {
  readonly #tx: Queryable;

  constructor(tx: Queryable) {
    this.#tx = tx;
  }

  /** Makes this transaction the only one that publishes, until it ends; false while another one is. */
  async lock(): Promise<boolean> {
    const [lock] = await this.#tx.query<{ taken: boolean }>('lock outbox', 'SELECT pg_try_advisory_xact_lock($1) AS taken', [LOCK]);
    return lock?.taken ?? false;
  }

  /** The oldest rows, of so many transactions or postings together, but at least one. A statement of its own, after the lock: it sees what the former holder left. */
  oldest(maxEntries: number): Promise<OutboxRow[]> {
    return this.#tx.query<OutboxRow>('read outbox', OLDEST, [maxEntries]);
  }

  /** In the order in which they must be sent. */
  postings(rows: readonly OutboxRow[]): Promise<Posting[]> {
    return this.#tx.query<Posting>('read postings', POSTINGS, [rows.map(({ seq }) => seq)]);
  }

  /** Keeps the session alive, which the server ends when it is idle within a transaction. @throws when the transaction, and so the lock, is lost */
  async keep(): Promise<void> {
    await this.#tx.query('keep lock', 'SELECT');
  }

  async delete(rows: readonly OutboxRow[]): Promise<void> {
    await this.#tx.query('delete outbox', DELETE, [rows.map(({ seq }) => seq)]);
  }
}

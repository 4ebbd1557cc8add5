import type { QueryResultRow } from 'pg';
import type { Queryable } from '../postgres.ts';
import type { Invalidation } from './invalidation.ts';

/** A row of the notification table: a change of one entity or, without an id, of any number of a table; or a request to invalidate. */
export interface Notification {
  id: string;
  /** Empty for a request. */
  table: string;
  entityId: string | null;
  customerId: string | null;
  request: Invalidation | null;
  /** How long ago the change was made, in milliseconds of the database's clock. */
  ageMs: number;
}

/** What a read of the notification table found. */
export interface NotificationRead {
  /** Each committed notification that was not visible at the position that was given, exactly once. */
  notifications: Notification[];
  /** True when there are too many to read, or some may have been deleted: anything may have changed. */
  incomplete: boolean;
  /** The snapshot of this read. */
  position: string;
  /** Identity of the server since its start: after a restart or a fail-over it is another one. */
  server: string;
}

/** Notifications are kept for this long after every transaction could see them. */
export const RETENTION_MS = 60 * 60_000;
/** A position older than this is not continued: what followed it may be deleted soon. */
const MAX_POSITION_AGE_MS = RETENTION_MS / 2;
/** More notifications than this invalidate everything instead. */
const MAX_NOTIFICATIONS = 20_000;
const CLEANED_AT_A_TIME = 10_000;

/**
 * A position is a snapshot and the time when it was taken. What was committed since is exactly what that snapshot does not show: rows of
 * transactions that were in progress then, and of later ones. An order of ids would miss what commits late.
 */
const READ = `
WITH now AS (
  SELECT pg_current_snapshot()::text AS snapshot, extract(epoch FROM clock_timestamp()) * 1000 AS ms,
         extract(epoch FROM pg_postmaster_start_time())::text AS server
), given AS (
  SELECT $1::pg_snapshot AS snapshot
)
SELECT now.snapshot, now.ms::float8, now.server, n.id::text, n.table_name, n.entity_id::text, n.customer_id::text, n.request,
       (now.ms - extract(epoch FROM n.created_at) * 1000)::float8 AS age_ms
  FROM now LEFT JOIN (
    SELECT c.* FROM cache_notification c, given
     WHERE c.xid = ANY (ARRAY(SELECT pg_snapshot_xip(given.snapshot) FROM given)) OR c.xid >= (SELECT pg_snapshot_xmax(given.snapshot) FROM given)
     LIMIT ${MAX_NOTIFICATIONS + 1}
  ) n ON true`;

const ANNOUNCE = `
WITH written AS (INSERT INTO cache_notification (table_name, operation, request) VALUES ('', 'REQUEST', $1::jsonb))
SELECT pg_notify('cache_invalidation', '{"operation":"REQUEST"}')`;

/**
 * Deletes the notifications of transactions that had ended before a mark that is older than the retention: one that commits late is kept for the
 * full time after its commit. Marks are made by these calls.
 */
const CLEAN = `
WITH mark AS (
  INSERT INTO cache_notification_mark (horizon) SELECT pg_snapshot_xmin(pg_current_snapshot())
   WHERE NOT EXISTS (SELECT FROM cache_notification_mark WHERE made_at > clock_timestamp() - interval '1 minute')
), due AS (
  SELECT horizon, made_at FROM cache_notification_mark WHERE made_at < clock_timestamp() - $1 * interval '1 millisecond'
   ORDER BY made_at DESC LIMIT 1
), former AS (
  DELETE FROM cache_notification_mark m USING due WHERE m.made_at < due.made_at
), obsolete AS (
  SELECT c.xid, c.id FROM cache_notification c JOIN due ON c.xid < due.horizon LIMIT $2 FOR UPDATE OF c SKIP LOCKED
), deleted AS (
  DELETE FROM cache_notification c USING obsolete o WHERE c.xid = o.xid AND c.id = o.id RETURNING c.id
)
SELECT count(*)::int AS deleted FROM deleted`;

type Row = {
  snapshot: string;
  ms: number;
  server: string;
  id: string | null;
  table_name: string;
  entity_id: string | null;
  customer_id: string | null;
  request: Invalidation | null;
  age_ms: number;
};

/** The notification table of a database, which triggers fill. */
export class NotificationTable {
  readonly #database: Queryable;
  readonly #direct: () => Queryable | undefined;

  /** @param direct the connection that listens, while it is up: reads then do not wait for the pool */
  constructor(database: Queryable, direct: () => Queryable | undefined = () => undefined) {
    this.#database = database;
    this.#direct = direct;
  }

  /** Reads what was committed since a position; without one, only the position. */
  async read(since: string | undefined): Promise<NotificationRead> {
    const [snapshot, at = '0'] = since?.split(' ') ?? [];
    const rows = await this.#rows(READ, snapshot ?? null);
    const [first] = rows;
    if (!first) throw new Error('the notification table gave no position');
    const notifications = rows.flatMap((row) => (row.id === null ? [] : [notificationOf(row, row.id)]));
    return {
      notifications,
      incomplete: since !== undefined && (first.ms - Number(at) > MAX_POSITION_AGE_MS || notifications.length > MAX_NOTIFICATIONS),
      position: `${first.snapshot} ${Math.floor(first.ms)}`,
      server: first.server,
    };
  }

  /** Writes a request to invalidate; every process reads it, as it reads changes. */
  async announce(invalidation: Invalidation): Promise<void> {
    await this.#database.query('request invalidation', ANNOUNCE, [JSON.stringify(invalidation)]);
  }

  /** Deletes notifications beyond the retention. @returns true when there may be more */
  async clean(retentionMs = RETENTION_MS): Promise<boolean> {
    const [row] = await this.#database.query<{ deleted: number }>('clean notifications', CLEAN, [retentionMs, CLEANED_AT_A_TIME]);
    return row?.deleted === CLEANED_AT_A_TIME;
  }

  async #rows(text: string, snapshot: string | null): Promise<Row[]> {
    const direct = this.#direct();
    return (direct ?? this.#database).query<Row & QueryResultRow>('read notifications', text, [snapshot]);
  }
}

function notificationOf(row: Row, id: string): Notification {
  const { table_name: table, entity_id: entityId, customer_id: customerId, request, age_ms: ageMs } = row;
  return { id, table, entityId, customerId, request, ageMs };
}

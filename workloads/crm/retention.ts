/** The end of what is kept for a time: deleted resources, and idempotency keys. */
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import { STORED } from './families.ts';
import { eraseCustomer } from './erasure.ts';
import type { Records } from './records.ts';

/** Rows of one statement. */
const MOST = 500;
const CLIENT = 'retention';

const EXPIRE_KEYS = `DELETE FROM idempotency WHERE (client, key) IN (
  SELECT client, key FROM idempotency WHERE created_at < clock_timestamp() - $1 * interval '1 hour' ORDER BY created_at LIMIT $2
)`;
/** Deleted customers that the books still refer to. */
const TO_ERASE = `SELECT id::text FROM customer
 WHERE erased_at IS NULL AND deleted_at < clock_timestamp() - $1 * interval '1 day' ORDER BY deleted_at LIMIT $2`;

export interface RetentionParts {
  database: Queryable & Pick<Postgres, 'transaction'>;
  records: Records;
}

export interface Retention {
  /** How long a deleted resource is kept. */
  days: number;
  /** How long an idempotency key is kept. */
  keyHours: number;
}

/**
 * One sweep: removes what nothing refers to, and overwrites the personal data of customers whose rows must stay for the books.
 * @returns true when there may be more
 */
export async function sweep({ database, records }: RetentionParts, { days, keyHours }: Retention): Promise<boolean> {
  await database.query('expire keys', EXPIRE_KEYS, [keyHours, MOST]);
  let more = false;
  for (const { name, purge } of STORED) {
    const [removed] = await database.query<{ count: number }>(`remove ${name}`, purge, [days, MOST]);
    more ||= removed?.count === MOST;
  }
  const customers = await database.query<{ id: string }>('find customers to erase', TO_ERASE, [days, MOST]);
  for (const { id } of customers) await records.write({ client: CLIENT }, (writing) => eraseCustomer(writing, id));
  return more || customers.length === MOST;
}

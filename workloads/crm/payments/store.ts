/** Transfers of payments whose outcome is unknown. */
import type { Queryable } from '../../shared/kernel/postgres.ts';

export type TransferKind = 'payment' | 'refund';

/** A transfer that is requested, with what it needs of its payment. */
export interface PendingTransfer {
  paymentId: string;
  kind: TransferKind;
  key: string;
  customerId: string;
  amountMinor: string;
  currency: string;
}

/** Longer than the deadline of a request, after which its process has given the transfer up. */
const LEASE_MS = 8_000;
/** A transfer whose outcome is unknown for longer needs somebody to look at it: a service has been away, or refuses it. */
const OVERDUE = `created_at < clock_timestamp() - interval '1 hour'`;

const LEASE = `clock_timestamp() + ${LEASE_MS} * interval '1 millisecond'`;
const BEGIN = `INSERT INTO payment_transfer (payment_id, kind, idempotency_key, lease_until) VALUES ($1, $2, $3, ${LEASE})`;
const END = 'DELETE FROM payment_transfer WHERE payment_id = $1 AND idempotency_key = $2 RETURNING kind';
const TAKEN = `t.payment_id::text AS "paymentId", t.kind, t.idempotency_key AS key, p.customer_id::text AS "customerId",
  p.amount_minor::text AS "amountMinor", p.currency`;
const TAKE_ABANDONED = `UPDATE payment_transfer t SET lease_until = ${LEASE} FROM payment p
 WHERE p.id = t.payment_id AND t.payment_id IN (
   SELECT payment_id FROM payment_transfer WHERE lease_until < clock_timestamp() ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED)
 RETURNING ${TAKEN}`;
const TAKE = `UPDATE payment_transfer t SET lease_until = ${LEASE} FROM payment p
 WHERE p.id = t.payment_id AND t.payment_id = $1 AND t.kind = $2 AND t.lease_until < clock_timestamp()
 RETURNING ${TAKEN}`;
const RELEASE = 'UPDATE payment_transfer SET lease_until = clock_timestamp() WHERE payment_id = $1 AND idempotency_key = $2';
const ACCOUNT = 'SELECT ledger_account AS account FROM customer WHERE id = $1';
const COUNT = `SELECT count(*) FILTER (WHERE NOT ${OVERDUE})::int AS "inProgress", count(*) FILTER (WHERE ${OVERDUE})::int AS overdue FROM payment_transfer`;

export class PaymentStore {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** In the transaction that changes the state of the payment. The caller has a lease. */
  static async begin(tx: Queryable, { paymentId, kind, key }: Pick<PendingTransfer, 'paymentId' | 'kind' | 'key'>): Promise<void> {
    await tx.query('begin transfer', BEGIN, [paymentId, kind, key]);
  }

  /** In the transaction that writes the outcome. @returns false when it has ended already */
  static async end(tx: Queryable, { paymentId, key }: Pick<PendingTransfer, 'paymentId' | 'key'>): Promise<boolean> {
    return (await tx.query('end transfer', END, [paymentId, key])).length > 0;
  }

  /** Takes the leases of transfers that nobody executes. */
  takeAbandoned(limit: number): Promise<PendingTransfer[]> {
    return this.#database.query<PendingTransfer & object>('take abandoned transfers', TAKE_ABANDONED, [limit]);
  }

  /** Takes the lease of one transfer, if nobody executes it. */
  async take(paymentId: string, kind: TransferKind): Promise<PendingTransfer | undefined> {
    const [taken] = await this.#database.query<PendingTransfer & object>('take transfer', TAKE, [paymentId, kind]);
    return taken;
  }

  /** Gives a lease back: the transfer can be resumed at once. */
  async release({ paymentId, key }: PendingTransfer): Promise<void> {
    await this.#database.query('release transfer', RELEASE, [paymentId, key]);
  }

  /** The account of a customer at the ledger; null before the first payment. */
  async accountOf(customerId: string): Promise<string | null> {
    const [customer] = await this.#database.query<{ account: string | null }>('read account of customer', ACCOUNT, [customerId]);
    return customer?.account ?? null;
  }

  /** Transfers whose outcome is unknown: for less than an hour, and for longer. Both are resumed. */
  async counts(): Promise<{ inProgress: number; overdue: number }> {
    const [counts] = await this.#database.query<{ inProgress: number; overdue: number }>('count transfers', COUNT);
    return counts ?? { inProgress: 0, overdue: 0 };
  }
}

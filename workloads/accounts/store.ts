import type { OpenedAccount } from '../shared/contracts/accounts.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import type { ProblemBody } from '../shared/kernel/problems.ts';

/** A request for an account. */
export interface NewAccount {
  /** UUID of the request. */
  id: string;
  /** Whose key it is. */
  client: string;
  key: string | undefined;
  accountId: string;
  currency: string;
  productCode: string;
  /** Null: no limit. */
  minBalanceMinor: string | null;
}

/** A request as the database has it. Times are ISO 8601 in UTC. */
export interface RequestedAccount extends Omit<NewAccount, 'client' | 'key'> {
  status: 'requested' | 'opened' | 'rejected';
  problem: ProblemBody | null;
  endedAt: string | null;
}

/** An event that Kafka has not acknowledged. */
export interface OutboxRow {
  seq: string;
  requestId: string;
  traceparent: string | null;
  account: OpenedAccount;
}

const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const COLUMNS = `r.id::text, r.account_id AS "accountId", r.currency, r.product_code AS "productCode", r.min_balance_minor::text AS "minBalanceMinor",
  r.status, r.problem, ${iso('r.ended_at')} AS "endedAt"`;

const ACCEPT = `INSERT INTO account_request AS r (id, client, idempotency_key, account_id, currency, product_code, min_balance_minor)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`;
/** The key decides before the id of the account. */
const FIND = `SELECT ${COLUMNS}, r.client = $1 AND r.idempotency_key IS NOT DISTINCT FROM $2 AND $2 IS NOT NULL AS "byKey" FROM account_request r
 WHERE (r.client = $1 AND r.idempotency_key = $2) OR (r.account_id = $3 AND r.status <> 'rejected') ORDER BY "byKey" DESC LIMIT 1`;
const READ = `SELECT ${COLUMNS} FROM account_request r WHERE r.id = $1`;
const OPENED = `WITH r AS (
  UPDATE account_request SET status = 'opened', ended_at = clock_timestamp() WHERE id = $1 AND status = 'requested' RETURNING *
), event AS (INSERT INTO outbox (request_id, traceparent) SELECT id, $2 FROM r)
SELECT ${COLUMNS} FROM r`;
const REJECTED = `UPDATE account_request r SET status = 'rejected', problem = $2, ended_at = clock_timestamp()
 WHERE r.id = $1 AND r.status = 'requested' RETURNING ${COLUMNS}`;
const ABANDONED = `SELECT ${COLUMNS} FROM account_request r
 WHERE r.status = 'requested' AND r.created_at < clock_timestamp() - $1 * interval '1 millisecond' ORDER BY r.created_at LIMIT $2`;

/** One relay at a time; the others find the lock taken, and stand by. */
const LOCK = 'SELECT pg_try_advisory_xact_lock(727368) AS locked';
const OUTBOX = `SELECT o.seq::text, o.request_id::text AS "requestId", o.traceparent, json_build_object('id', r.account_id, 'currency', r.currency,
    'productCode', r.product_code, 'minBalanceMinor', r.min_balance_minor::text, 'openedAt', ${iso('r.ended_at')}) AS account
  FROM outbox o JOIN account_request r ON r.id = o.request_id ORDER BY o.seq LIMIT $1`;
const SENT = 'DELETE FROM outbox WHERE seq = ANY($1::bigint[])';

/** Requests for accounts, and the events of those that were opened. */
export class AccountStore {
  readonly #database: Pick<Postgres, 'query' | 'transaction'>;

  constructor(database: Pick<Postgres, 'query' | 'transaction'>) {
    this.#database = database;
  }

  /** Writes a request, or finds the one with its key or for its account. */
  async accept(request: NewAccount): Promise<{ request: RequestedAccount; made: boolean; byKey: boolean }> {
    const { id, client, key = null, accountId, currency, productCode, minBalanceMinor } = request;
    const values = [id, client, key, accountId, currency, productCode, minBalanceMinor];
    const [made] = await this.#database.query<RequestedAccount>('write account request', ACCEPT, values);
    if (made) return { request: made, made: true, byKey: false };
    const [found] = await this.#database.query<RequestedAccount & { byKey: boolean }>('find account request', FIND, [
      client,
      key,
      accountId,
    ]);
    // The one in the way was rejected in between.
    if (!found) return this.accept(request);
    const { byKey, ...known } = found;
    return { request: known, made: false, byKey };
  }

  /** Ends a request, with the event of the account. @returns it as it is now, and whether this call has ended it */
  opened(id: string, traceparent: string | undefined): Promise<{ request: RequestedAccount; ended: boolean }> {
    return this.#end('open account', OPENED, id, traceparent ?? null);
  }

  /** Ends a request with the ledger's problem. */
  rejected(id: string, problem: ProblemBody): Promise<{ request: RequestedAccount; ended: boolean }> {
    return this.#end('reject account', REJECTED, id, JSON.stringify(problem));
  }

  async #end(name: string, text: string, id: string, value: unknown): Promise<{ request: RequestedAccount; ended: boolean }> {
    const [ended] = await this.#database.query<RequestedAccount>(name, text, [id, value]);
    if (ended) return { request: ended, ended: true };
    const [known] = await this.#database.query<RequestedAccount>('read account request', READ, [id]);
    if (!known) throw new Error(`there is no account request ${id}`);
    return { request: known, ended: false };
  }

  /** Requests that nobody has ended for so long, the oldest first. */
  abandoned(ms: number, limit: number): Promise<RequestedAccount[]> {
    return this.#database.query<RequestedAccount>('read abandoned requests', ABANDONED, [ms, limit]);
  }

  /**
   * Sends the oldest events, and removes them once `send` resolves. After a crash in between they are sent again.
   * @returns how many; 0 also while another relay sends
   */
  async drain(limit: number, send: (rows: OutboxRow[]) => Promise<void>): Promise<number> {
    return this.#database.transaction(async (tx: Queryable) => {
      const [lock] = await tx.query<{ locked: boolean }>('lock outbox', LOCK);
      if (!lock?.locked) return 0;
      const rows = await tx.query<OutboxRow>('read outbox', OUTBOX, [limit]);
      if (rows.length === 0) return 0;
      await send(rows);
      await tx.query('empty outbox', SENT, [rows.map(({ seq }) => seq)]);
      return rows.length;
    });
  }
}

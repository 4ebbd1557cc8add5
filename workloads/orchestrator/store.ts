import { SERVICE_CLIENT } from '../shared/contracts/idempotency.ts';
import type { TransferRequest } from '../shared/contracts/transfers.ts';
import { withOwnDeadline } from '../shared/kernel/deadline.ts';
import { GroupCommit } from '../shared/kernel/group-commit.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import type { ProblemBody } from '../shared/kernel/problems.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';

/** Most transfers of one statement. */
const MAX_GROUP = 200;
const GROUPS_IN_FLIGHT = 2;
const GROUP_DEADLINE_MS = 4_000;
const RETRIES = 3;
const MAX_RETRY_DELAY_MS = 300;

/** A transfer that a client asks for. */
export interface NewTransfer extends TransferRequest {
  /** UUID, used if the key is new. */
  id: string;
  /** Whose key it is. */
  client: string;
  key: string;
}

/** A transfer as the database has it. Times are ISO 8601 in UTC. */
export interface Transfer extends TransferRequest {
  id: string;
  status: 'initiated' | 'completed' | 'rejected';
  transactionId: string | null;
  problem: ProblemBody | null;
  createdAt: string;
  endedAt: string | null;
  /** A process holds its lease. */
  leased: boolean;
}

/** The ledger's answer to a transfer. */
export type Ending =
  | { readonly id: string; readonly transactionId: string; readonly problem?: undefined }
  | { readonly id: string; readonly problem: ProblemBody };

const iso = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
const COLUMNS = `t.id::text, t.from_account AS "fromAccount", t.to_account AS "toAccount", t.currency, t.amount_minor::text AS "amountMinor", t.status,
  t.transaction_id::text AS "transactionId", t.problem, ${iso('t.created_at')} AS "createdAt", ${iso('t.ended_at')} AS "endedAt",
  t.lease_until > clock_timestamp() AS leased`;

/**
 * Initiates the transfers whose keys are new, and reads those of the others. The statement's snapshot is older than a row that another one
 * inserts meanwhile: such a transfer is neither made nor found. Keys are inserted in order, so that two statements do not wait for each other.
 */
const ACCEPT = `
WITH given AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
    WITH ORDINALITY AS g (id, client, key, from_account, to_account, currency, amount_minor, place)
), made AS (
  INSERT INTO transfer (id, client, idempotency_key, from_account, to_account, currency, amount_minor, lease_until)
  SELECT id, client, key, from_account, to_account, currency, amount_minor, clock_timestamp() + $8 * interval '1 millisecond'
    FROM given ORDER BY client, key, place
  ON CONFLICT (client, idempotency_key) DO NOTHING
  RETURNING id, created_at
)
SELECT g.place::int, ${iso('m.created_at')} AS "madeAt", ${COLUMNS}
  FROM given g LEFT JOIN made m ON m.id = g.id LEFT JOIN transfer t ON t.client = g.client AND t.idempotency_key = g.key
 ORDER BY g.place`;

const FIND = `SELECT ${COLUMNS} FROM transfer t WHERE t.client = $1 AND t.idempotency_key = $2`;
const READ = `SELECT ${COLUMNS} FROM transfer t WHERE t.id = $1`;

const END = `
UPDATE transfer t SET status = g.status, transaction_id = g.transaction_id, problem = g.problem, ended_at = clock_timestamp()
  FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::jsonb[]) AS g (id, status, transaction_id, problem)
 WHERE t.id = g.id AND t.status = 'initiated' RETURNING ${COLUMNS}`;

const LEASE = `UPDATE transfer t SET lease_until = clock_timestamp() + $2 * interval '1 millisecond'
 WHERE t.id = $1 AND t.status = 'initiated' AND t.lease_until <= clock_timestamp() RETURNING ${COLUMNS}`;
const RELEASE = `UPDATE transfer SET lease_until = clock_timestamp() WHERE id = ANY($1::uuid[]) AND status = 'initiated'`;

const TAKE_ABANDONED = `
UPDATE transfer t SET lease_until = clock_timestamp() + $2 * interval '1 millisecond'
 WHERE t.id IN (SELECT id FROM transfer WHERE status = 'initiated' AND lease_until <= clock_timestamp()
                 ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING ${COLUMNS}`;

/** A service of the platform repeats its request until it knows the outcome, however long that takes: its keys do not expire. */
const EXPIRE_KEYS = `
UPDATE transfer SET idempotency_key = NULL
 WHERE id IN (SELECT id FROM transfer
               WHERE id >= $1 AND id < $2 AND idempotency_key IS NOT NULL AND status <> 'initiated' AND NOT starts_with(client, '${SERVICE_CLIENT}')
               ORDER BY id LIMIT $3)
RETURNING id::text`;

const OLDEST_INITIATED = `SELECT id::text FROM transfer WHERE status = 'initiated' ORDER BY id LIMIT 1`;

type AcceptedRow = { place: number; madeAt: string | null } & { [K in keyof Transfer]: Transfer[K] | null };

/** What became of a request for a transfer. */
export interface Accepted {
  transfer: Transfer;
  /** This request has initiated it; its lease is the caller's. */
  made: boolean;
}

type Result<T> = { readonly value: T } | { readonly failure: unknown };

/** The transfers in the database. Under load one statement serves many requests; an idle service calls the database at once. */
export class TransferStore {
  readonly #database: Queryable;
  readonly #leaseMs: number;
  readonly #policy;
  readonly #accepts: GroupCommit<NewTransfer, Result<Accepted | undefined>>;
  readonly #ends: GroupCommit<Ending, Result<Transfer | undefined>>;

  /** @param leaseMs how long a new transfer is left to the process that accepted it */
  constructor(database: Queryable, log: Logger, leaseMs: number) {
    this.#database = database;
    this.#leaseMs = leaseMs;
    this.#policy = retryPolicy({ log, what: 'write transfers', retryable: isTransient, attempts: RETRIES, maxDelayMs: MAX_RETRY_DELAY_MS });
    const options = { maxItems: MAX_GROUP, maxInFlight: GROUPS_IN_FLIGHT };
    this.#accepts = new GroupCommit((group) => this.#shared(group, (items) => this.#acceptAll(items)), options);
    this.#ends = new GroupCommit((group) => this.#shared(group, (items) => this.#endAll(items)), options);
  }

  /** Initiates a transfer, or finds the one that an earlier request with the same key has initiated. @throws ExpiredInQueue, or the database's error */
  async accept(request: NewTransfer): Promise<Accepted> {
    const accepted = valueOf(await this.#accepts.submit(request));
    if (accepted) return accepted;
    const [transfer] = await this.#database.query<Transfer>('find transfer', FIND, [request.client, request.key]);
    if (!transfer) throw new Error(`transfer ${request.id} was neither initiated nor found`);
    return { transfer, made: false };
  }

  /** Ends a transfer. @returns it as it is now, and whether this call has ended it */
  async end(ending: Ending): Promise<{ transfer: Transfer; ended: boolean }> {
    const transfer = valueOf(await this.#ends.submit(ending));
    if (transfer) return { transfer, ended: true };
    const found = await this.read(ending.id);
    if (found === undefined || found.status === 'initiated') throw new Error(`transfer ${ending.id} could not be ended`);
    return { transfer: found, ended: false };
  }

  /** One transfer, or undefined. */
  async read(id: string): Promise<Transfer | undefined> {
    const [transfer] = await this.#database.query<Transfer>('read transfer', READ, [id]);
    return transfer;
  }

  /** Takes the lease of a transfer that no process holds; undefined when there is nothing to take. */
  async lease(id: string): Promise<Transfer | undefined> {
    const [transfer] = await this.#database.query<Transfer>('lease transfer', LEASE, [id, this.#leaseMs]);
    return transfer;
  }

  /** Gives leases back: the transfers may be resumed at once. */
  async release(ids: readonly string[]): Promise<void> {
    await this.#database.query('release transfers', RELEASE, [ids]);
  }

  /** Takes the leases of transfers that no process holds, the longest abandoned first. */
  takeAbandoned(limit: number): Promise<Transfer[]> {
    return this.#database.query<Transfer>('take abandoned transfers', TAKE_ABANDONED, [limit, this.#leaseMs]);
  }

  /**
   * Expires keys of ended transfers from an id to before another; ids are in the order of time.
   * @returns the ids whose keys have expired, at most `limit`
   */
  async expireKeys(from: string, before: string, limit: number): Promise<string[]> {
    const rows = await this.#database.query<{ id: string }>('expire idempotency keys', EXPIRE_KEYS, [from, before, limit]);
    return rows.map(({ id }) => id);
  }

  /** Id of the oldest transfer that has not ended, or undefined. */
  async oldestInitiated(): Promise<string | undefined> {
    const [transfer] = await this.#database.query<{ id: string }>('read the oldest transfer in progress', OLDEST_INITIATED);
    return transfer?.id;
  }

  /** One call for requests of several callers, each with a deadline of its own. Safe to repeat: a transfer is made once, and ended once. */
  async #shared<T, R>(group: T[], call: (group: T[]) => Promise<R[]>): Promise<Result<R>[]> {
    try {
      const values = await withOwnDeadline(GROUP_DEADLINE_MS, () => this.#policy.execute(() => call(group)));
      return values.map((value) => ({ value }));
    } catch (failure) {
      return group.map(() => ({ failure }));
    }
  }

  async #acceptAll(group: NewTransfer[]): Promise<(Accepted | undefined)[]> {
    const column = <K extends keyof NewTransfer>(name: K): NewTransfer[K][] => group.map((one) => one[name]);
    const rows = await this.#database.query<AcceptedRow>('initiate transfers', ACCEPT, [
      column('id'),
      column('client'),
      column('key'),
      column('fromAccount'),
      column('toAccount'),
      column('currency'),
      column('amountMinor'),
      this.#leaseMs,
    ]);
    return group.map((request, index) => acceptedOf(request, rows[index]));
  }

  async #endAll(group: Ending[]): Promise<(Transfer | undefined)[]> {
    // In one order, so that two calls with the same transfers do not wait for each other.
    const sorted = group.toSorted((one, other) => (one.id < other.id ? -1 : 1));
    const rows = await this.#database.query<Transfer>('end transfers', END, [
      sorted.map(({ id }) => id),
      sorted.map(({ problem }) => (problem ? 'rejected' : 'completed')),
      sorted.map((one) => (one.problem ? null : one.transactionId)),
      sorted.map(({ problem }) => (problem ? JSON.stringify(problem) : null)),
    ]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    return group.map(({ id }) => byId.get(id));
  }
}

function valueOf<T>(result: Result<T>): T {
  if ('failure' in result) throw result.failure;
  return result.value;
}

/** A row of the statement; undefined when it neither made nor found the transfer. */
function acceptedOf({ key: _key, client: _client, ...request }: NewTransfer, row: AcceptedRow | undefined): Accepted | undefined {
  if (row?.madeAt != null) {
    const state = { status: 'initiated', transactionId: null, problem: null, createdAt: row.madeAt, endedAt: null, leased: true } as const;
    return { transfer: { ...request, ...state }, made: true };
  }
  if (row?.id == null) return undefined;
  const { place: _place, madeAt: _madeAt, ...transfer } = row;
  return { transfer: transfer as Transfer, made: false };
}

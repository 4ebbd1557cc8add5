import { MAX_BATCH } from '../shared/contracts/ledger.ts';
import { remainingMs, withOwnDeadline } from '../shared/kernel/deadline.ts';
import { GroupCommit } from '../shared/kernel/group-commit.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { isDataError, isDuplicate, isTransient } from '../shared/kernel/postgres.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { sampledTraceparent } from '../shared/kernel/telemetry.ts';
import type { LedgerMetrics } from './metrics.ts';
import type { Operation, Outcome } from './operations.ts';
import { outcomeOf, plan } from './plan.ts';
import type { ResultRow } from './plan.ts';

const PARAMETERS = Array.from({ length: 17 }, (_value, index) => `$${index + 1}`).join(', ');
const APPLY = `SELECT id, replayed, error_type, account_id FROM apply_operations(${PARAMETERS})`;
/**
 * The same with trace contexts for the relay, of the transactions that this call makes. A call that is repeated after its answer was lost adds
 * none: its statement sees the transactions of the first attempt, which the relay may have published already.
 */
const APPLY_TRACED = `
WITH applied AS MATERIALIZED (
  SELECT * FROM apply_operations(${PARAMETERS}) WITH ORDINALITY AS a (id, replayed, error_type, account_id, ord)
), traced AS (
  INSERT INTO outbox_trace (transaction_id, traceparent)
  SELECT t.id, t.traceparent FROM unnest($18::uuid[], $19::text[]) AS t (id, traceparent) JOIN applied a ON a.id = t.id AND NOT a.replayed
   WHERE NOT EXISTS (SELECT FROM journal_transaction j WHERE j.id = t.id)
  ON CONFLICT (transaction_id) DO NOTHING
)
SELECT id, replayed, error_type, account_id FROM applied ORDER BY ord`;
/** Requests wait 5 s; a batch that takes longer has lost its callers. */
const BATCH_DEADLINE_MS = 5_000;
const RETRIES = 3;
const MAX_RETRY_DELAY_MS = 500;
/**
 * While one batch is committed, another one is decided. More of them wait for the locks of the same accounts, and are smaller than they could be.
 */
const BATCHES_IN_FLIGHT = 2;

/** An operation with the trace of its request, when that is sampled. */
interface Submitted {
  readonly operation: Operation;
  readonly traceparent: string | undefined;
}

/** An outcome, or the error after which it is unknown. */
type Result = Outcome | { readonly failure: unknown };

/** Ids of the transactions that a batch may make for sampled requests, and the traces of these. Holds have no event. */
function traces(batch: readonly Submitted[]): { ids: string[]; traceparents: string[] } {
  const traced = batch.filter(({ operation, traceparent }) => traceparent !== undefined && operation.lines.length > 0);
  return { ids: traced.map(({ operation }) => operation.id), traceparents: traced.map(({ traceparent = '' }) => traceparent) };
}

function outcomeOrThrow(result: Result): Outcome {
  if ('failure' in result) throw result.failure;
  return result;
}

/**
 * Applies operations to the ledger: those that arrive together go in one database call. Each is accepted or rejected on its own.
 * Safe to repeat: an operation's external id, and for `void` the state of the hold, tell that it was applied.
 */
export class LedgerEngine {
  readonly #database: Queryable;
  readonly #metrics: LedgerMetrics;
  readonly #group: GroupCommit<Submitted, Result>;
  readonly #policy;

  constructor(database: Queryable, log: Logger, metrics: LedgerMetrics, options: { maxItems?: number; maxInFlight?: number } = {}) {
    const { maxItems = MAX_BATCH, maxInFlight = BATCHES_IN_FLIGHT } = options;
    this.#database = database;
    this.#metrics = metrics;
    this.#group = new GroupCommit((batch) => withOwnDeadline(BATCH_DEADLINE_MS, () => this.#apply(batch)), {
      maxItems,
      maxInFlight,
    });
    // Two calls that race for an external id: the loser finds it on the retry. A lost answer: the retry finds what the first attempt wrote.
    const retryable = (error: unknown): boolean => (isTransient(error) || isDuplicate(error)) && remainingMs() > 0;
    this.#policy = retryPolicy({ log, what: 'apply a batch', retryable, attempts: RETRIES, maxDelayMs: MAX_RETRY_DELAY_MS });
  }

  /** Resolves once the operation is committed or rejected. @throws ExpiredInQueue, or the database's error after retries */
  async submit(operation: Operation): Promise<Outcome> {
    return outcomeOrThrow(await this.#group.submit({ operation, traceparent: sampledTraceparent() }));
  }

  /** As {@link submit}; the operations are applied in this order. */
  async submitAll(operations: readonly Operation[]): Promise<Outcome[]> {
    const traceparent = sampledTraceparent();
    const submitted = operations.map((operation) => ({ operation, traceparent }));
    return (await Promise.all(this.#group.submitAll(submitted))).map(outcomeOrThrow);
  }

  /**
   * One database call for a batch. When the database refuses its data, which the decisions of the call should have prevented, the batch is
   * halved until the operation in question is alone. Never rejects: a part that fails does not hide that another part is committed.
   */
  async #apply(batch: Submitted[]): Promise<Result[]> {
    try {
      return await this.#policy.execute(() => this.#call(batch));
    } catch (error) {
      if (!isDataError(error) || batch.length === 1) return batch.map(() => ({ failure: error }));
      const half = Math.ceil(batch.length / 2);
      return [...(await this.#apply(batch.slice(0, half))), ...(await this.#apply(batch.slice(half)))];
    }
  }

  async #call(batch: Submitted[]): Promise<Outcome[]> {
    const startedAt = performance.now();
    const operations = batch.map(({ operation }) => operation);
    const { ids, traceparents } = traces(batch);
    const values = plan(operations);
    const rows = await (ids.length === 0
      ? this.#database.query<ResultRow>('apply operations', APPLY, values)
      : this.#database.query<ResultRow>('apply operations', APPLY_TRACED, [...values, ids, traceparents]));
    const outcomes = operations.map((operation, index) => outcomeOf(operation, rows[index]));
    this.#metrics.batch(operations, outcomes, (performance.now() - startedAt) / 1000);
    return outcomes;
  }
}

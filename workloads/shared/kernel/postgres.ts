import { SpanKind } from '@opentelemetry/api';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import type { RetryPolicy } from 'cockatiel';
import { DatabaseError, Pool } from 'pg';
import type { PoolClient, QueryResultRow } from 'pg';
import type { Logger } from './log.ts';
import type { Counter, Metrics } from './metrics.ts';
import { inSpan } from './telemetry.ts';

/** A statement may take this long before its connection is given up: a peer that vanished must not hang a consumer. */
const QUERY_LIMIT_MS = 30_000;
const CONNECT_LIMIT_MS = 5_000;

/** Runs one parameterised statement; `name` is the span's and the metric's, a verb and a noun. */
export interface Queryable {
  query<R extends QueryResultRow>(name: string, text: string, values?: unknown[]): Promise<R[]>;
}

export interface PostgresOptions {
  /** postgresql://user@host:port/database */
  url: string;
  password: string;
  /** Most connections of this process. */
  max: number;
  applicationName: string;
}

/**
 * A pool for PgBouncer in transaction mode: no session state, no named prepared statements, nothing kept between transactions.
 * Statements are counted, so that "database calls per batch" is measured where they are made.
 */
export class Postgres implements Queryable {
  readonly #pool: Pool;
  readonly #calls: Counter<'operation'>;
  #made = 0;

  constructor(options: PostgresOptions, log: Logger, metrics: Metrics) {
    this.#pool = new Pool({
      connectionString: withPassword(options.url, options.password),
      max: options.max,
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      query_timeout: QUERY_LIMIT_MS,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
    });
    // Without a listener, a connection that breaks while idle would end the process.
    this.#pool.on('error', (error) => log.warn({ error }, 'an idle database connection was lost'));
    this.#calls = metrics.counter('db_calls_total', 'Statements sent to the database, apart from BEGIN and COMMIT', ['operation']);
    const pool = this.#pool;
    metrics.gauge('db_pool_connections', 'Connections of the pool by state', ['pool', 'state'], (gauge) => {
      gauge.set({ pool: options.applicationName, state: 'active' }, pool.totalCount - pool.idleCount);
      gauge.set({ pool: options.applicationName, state: 'idle' }, pool.idleCount);
      gauge.set({ pool: options.applicationName, state: 'waiting' }, pool.waitingCount);
    });
  }

  /** Statements sent so far, apart from BEGIN, COMMIT and ROLLBACK. */
  get calls(): number {
    return this.#made;
  }

  /** One statement in a transaction of its own. */
  async query<R extends QueryResultRow>(name: string, text: string, values: unknown[] = []): Promise<R[]> {
    return this.#traced(name, async () => (await this.#pool.query<R>(text, values)).rows);
  }

  /**
   * Runs `work` in one transaction (READ COMMITTED): committed when it resolves, rolled back when it throws.
   * A connection that failed is thrown away. When COMMIT itself fails, the outcome is unknown: `work` must be able to find out.
   */
  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    const lost = (error: Error): void => void (broken = error);
    client.on('error', lost);
    try {
      return await this.#inTransaction(client, work);
    } catch (error) {
      if (!(error instanceof DatabaseError)) broken ??= asError(error);
      throw error;
    } finally {
      client.off('error', lost);
      client.release(broken);
    }
  }

  async #inTransaction<T>(client: PoolClient, work: (tx: Queryable) => Promise<T>): Promise<T> {
    const tx: Queryable = {
      query: <R extends QueryResultRow>(name: string, text: string, values: unknown[] = []) =>
        this.#traced(name, async () => (await client.query<R>(text, values)).rows),
    };
    await client.query('BEGIN');
    try {
      const result = await work(tx);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }

  #traced<T>(name: string, run: () => Promise<T>): Promise<T> {
    this.#made += 1;
    this.#calls.inc({ operation: name });
    const attributes = { 'db.system.name': 'postgresql', 'db.operation.name': name };
    return inSpan(name, { kind: SpanKind.CLIENT, attributes }, run);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#pool.end();
  }
}

/** A connection URL with a password put in: the driver prefers the URL's, even an empty one, to a password given beside it. */
export function withPassword(url: string, password: string): string {
  const complete = new URL(url);
  complete.password = encodeURIComponent(password);
  return complete.href;
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** SQLSTATE classes and codes that say nothing about the statement: the same one may succeed a moment later. */
const TRANSIENT_STATES = /^(08|40|53|57|58)|^(55P03|25P0[34]|25006|28P01|28000|3D000)$/;
const TRANSIENT_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const TRANSIENT_MESSAGES =
  /connection terminated|timeout exceeded when trying to connect|query read timeout|client has encountered a connection error|not queryable/i;

/** True when a retry may succeed: connection lost, server starting or stopping, serialization failure, deadlock, out of resources. */
export function isTransient(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isTransient);
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (error instanceof DatabaseError) return code === undefined || TRANSIENT_STATES.test(code);
  return TRANSIENT_CODES.has(code ?? '') || TRANSIENT_MESSAGES.test(error.message);
}

/** True when the database refused the data itself: a value out of range, a constraint, an invariant of the ledger (class LB). */
export function isDataError(error: unknown): boolean {
  return error instanceof DatabaseError && /^(22|23|LB)/.test(error.code ?? '');
}

/** True when a row with the same key was there before. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '23505';
}

/**
 * Retries with jittered exponential back-off from 50 ms to 5 s.
 * @param attempts retries before the last error is thrown
 * @param passes tells which errors may pass by themselves
 */
export function retrying(log: Logger, attempts: number, passes: (error: unknown) => boolean = isTransient): RetryPolicy {
  const policy = retry(handleWhen(passes), {
    maxAttempts: attempts,
    backoff: new ExponentialBackoff({ initialDelay: 50, maxDelay: 5_000 }),
  });
  policy.onRetry((event) =>
    log.warn({ delay_ms: Math.round(event.delay), error: 'error' in event ? event.error : undefined }, 'trying again'),
  );
  return policy;
}

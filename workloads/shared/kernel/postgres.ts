import { AsyncLocalStorage } from 'node:async_hooks';
import { SpanKind } from '@opentelemetry/api';
import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_DB_NAMESPACE,
  ATTR_DB_QUERY_SUMMARY,
  ATTR_DB_QUERY_TEXT,
  ATTR_DB_RESPONSE_STATUS_CODE,
  ATTR_DB_SYSTEM_NAME,
  ATTR_ERROR_TYPE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  DB_SYSTEM_NAME_VALUE_POSTGRESQL,
} from '@opentelemetry/semantic-conventions';
import { DatabaseError, Pool } from 'pg';
import type { PoolClient, QueryResultRow } from 'pg';
import { remainingMs } from './deadline.ts';
import { asError } from './errors.ts';
import type { Logger } from './log.ts';
import { LATENCY_BUCKETS } from './metrics.ts';
import type { Counter, Histogram, Metrics } from './metrics.ts';
import { inSpan } from './telemetry.ts';

/** Longest wait for a statement, after which its connection is closed: a peer that vanished must not block a consumer. */
const QUERY_LIMIT_MS = 30_000;
const ROLLBACK_LIMIT_MS = 5_000;
const CONNECT_LIMIT_MS = 5_000;
const DEFAULT_PORT = 5432;

/** Statements sent by the work that {@link countStatements} runs. */
const counting = new AsyncLocalStorage<{ statements: number }>();

/** Runs `work`. @returns its result, and the statements that it sent, apart from BEGIN, COMMIT and ROLLBACK; those of other work do not count */
export async function countStatements<T>(work: () => Promise<T>): Promise<{ result: T; statements: number }> {
  const counter = { statements: 0 };
  const result = await counting.run(counter, work);
  return { result, statements: counter.statements };
}

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
  readonly #seconds: Histogram<'operation'>;
  readonly #attributes: Attributes;
  #made = 0;

  constructor(options: PostgresOptions, log: Logger, metrics: Metrics) {
    this.#pool = new Pool({
      connectionString: withPassword(options.url, options.password),
      max: options.max,
      application_name: options.applicationName,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
    });
    this.#attributes = attributesOf(options.url);
    // Without a listener, a connection that breaks while idle would end the process.
    this.#pool.on('error', (error) => log.warn({ error }, 'an idle database connection was lost'));
    this.#calls = metrics.counter('db_calls_total', 'Statements sent to the database, apart from BEGIN and COMMIT', ['operation']);
    this.#seconds = metrics.histogram('db_call_duration_seconds', 'Time until the database has answered a statement', LATENCY_BUCKETS, [
      'operation',
    ]);
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
    return this.#traced(name, text, async () => (await this.#pool.query<R>(limited(text, values))).rows);
  }

  /**
   * Runs `work` in one transaction (READ COMMITTED): committed when it resolves, rolled back when it throws.
   * When COMMIT fails because the connection is lost, the outcome is unknown: `work` must be safe to repeat.
   * The connection goes back to the pool only when the server has confirmed the end of the transaction.
   * @throws what `work` throws; Error when the server answers COMMIT with ROLLBACK, because `work` ignored a failed statement
   */
  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    const lost = (error: Error): void => void (broken = error);
    client.on('error', lost);
    try {
      return await this.#inTransaction(client, work, lost);
    } finally {
      client.off('error', lost);
      client.release(broken);
    }
  }

  /** @param lost receives the reason when the connection cannot be used again */
  async #inTransaction<T>(client: PoolClient, work: (tx: Queryable) => Promise<T>, lost: (error: Error) => void): Promise<T> {
    const tx: Queryable = {
      query: <R extends QueryResultRow>(name: string, text: string, values: unknown[] = []) =>
        this.#traced(name, text, async () => (await client.query<R>(limited(text, values))).rows),
    };
    try {
      await client.query(limited('BEGIN'));
      const result = await work(tx);
      const { command } = await client.query(limited('COMMIT'));
      if (command !== 'COMMIT') throw new Error('the transaction was rolled back at COMMIT: one of its statements had failed');
      return result;
    } catch (error) {
      // A statement past its limit still occupies the connection: a ROLLBACK would wait behind it.
      if (isStatementTimeout(error)) lost(asError(error));
      else await client.query(limited('ROLLBACK', [], ROLLBACK_LIMIT_MS)).catch((failure: unknown) => lost(asError(failure)));
      throw error;
    }
  }

  #traced<T>(name: string, text: string, run: () => Promise<T>): Promise<T> {
    this.#made += 1;
    const counter = counting.getStore();
    if (counter) counter.statements += 1;
    this.#calls.inc({ operation: name });
    // The text has parameters in place of values.
    const attributes = { ...this.#attributes, [ATTR_DB_QUERY_SUMMARY]: name, [ATTR_DB_QUERY_TEXT]: text.trim() };
    return inSpan(name, { kind: SpanKind.CLIENT, attributes }, async (span) => {
      const startedAt = performance.now();
      try {
        return await run();
      } catch (error) {
        span.setAttributes(failureOf(error));
        throw error;
      } finally {
        this.#seconds.observe({ operation: name }, (performance.now() - startedAt) / 1000);
      }
    });
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#pool.end();
  }
}

function attributesOf(url: string): Attributes {
  const { hostname, port, pathname } = new URL(url);
  return {
    [ATTR_DB_SYSTEM_NAME]: DB_SYSTEM_NAME_VALUE_POSTGRESQL,
    [ATTR_DB_NAMESPACE]: decodeURIComponent(pathname.slice(1)),
    [ATTR_SERVER_ADDRESS]: hostname,
    [ATTR_SERVER_PORT]: Number(port) || DEFAULT_PORT,
  };
}

/** SQLSTATE of an error of the server, else the code or name of the client's error. */
function failureOf(error: unknown): Attributes {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (error instanceof DatabaseError && code !== undefined) return { [ATTR_DB_RESPONSE_STATUS_CODE]: code, [ATTR_ERROR_TYPE]: code };
  return { [ATTR_ERROR_TYPE]: code ?? asError(error).name };
}

/** A connection URL with a password put in: the driver prefers the URL's, even an empty one, to a password given beside it. */
export function withPassword(url: string, password: string): string {
  const complete = new URL(url);
  complete.password = encodeURIComponent(password);
  return complete.href;
}

/** A statement that waits no longer than the deadline of the work in hand. */
function limited(
  text: string,
  values: unknown[] = [],
  limitMs = QUERY_LIMIT_MS,
): { text: string; values: unknown[]; query_timeout: number } {
  return { text, values, query_timeout: Math.ceil(Math.min(limitMs, Math.max(1, remainingMs()))) };
}

function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** SQLSTATE classes and codes whose cause is not the statement: the same statement may succeed on a retry. */
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

/** True when the database rejected the data itself: a value out of range, a constraint, an invariant of the ledger (class LB). */
export function isDataError(error: unknown): boolean {
  return error instanceof DatabaseError && /^(22|23|LB)/.test(error.code ?? '');
}

/** True when a row with the same key already exists. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '23505';
}

/** Opens the pool of a service, by the variables of `databaseEnv`; it closes with the service. */
export function openPostgres(
  { log, metrics, onStop }: { log: Logger; metrics: Metrics; onStop: (name: string, step: () => Promise<unknown>) => void },
  config: { DATABASE_URL: string; PGPASSWORD: string; DB_POOL_MAX: number },
  applicationName: string,
): Postgres {
  const { DATABASE_URL: url, PGPASSWORD: password, DB_POOL_MAX: max } = config;
  const database = new Postgres({ url, password, max, applicationName }, log, metrics);
  onStop('database', () => database.close());
  return database;
}

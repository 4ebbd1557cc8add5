/** Ledger and orchestrator as processes with their real databases, and proxies in which answers get lost. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { LedgerDatabase } from '../../ledger/testing/database.ts';
import { FaultProxy } from '../../shared/testing/fault-proxy.ts';
import { freePort, Workload } from '../../shared/testing/workload.ts';

const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';
const KEY = 'the-key-of-the-orchestrator-for-a-test';
/** What each customer account starts with. */
export const FUNDS = 100_000;

/** The statement that ends transfers, as the Postgres client sends it. */
export const END_STATEMENT = (chunk: Buffer): boolean => chunk.includes('UPDATE transfer t SET status');
/** A transaction on its way to the ledger. */
export const LEDGER_POST = (chunk: Buffer): boolean => chunk.includes('POST /api/v1/transactions');

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

export interface TransferBody {
  fromAccount: string;
  toAccount: string;
  amountMinor: string;
  currency: string;
}

export class TransferPlatform {
  readonly database: LedgerDatabase;
  readonly toLedger: FaultProxy;
  readonly toDatabase: FaultProxy;
  ledger!: Workload;
  orchestrator!: Workload;
  readonly #transfers: Pool;
  readonly #ledgerPort: number;
  readonly #port: number;
  readonly #others: Workload[] = [];

  private constructor(database: LedgerDatabase, proxies: { toLedger: FaultProxy; toDatabase: FaultProxy }, ports: [number, number]) {
    this.database = database;
    this.toLedger = proxies.toLedger;
    this.toDatabase = proxies.toDatabase;
    [this.#ledgerPort, this.#port] = ports;
    this.#transfers = new Pool({ connectionString: database.postgres.url('orchestrator'), max: 2 });
    this.#transfers.on('error', () => undefined);
  }

  /** @param customers accounts that exist, each with {@link FUNDS} in EUR */
  static async start(customers: readonly string[]): Promise<TransferPlatform> {
    const database = await LedgerDatabase.start();
    const ports: [number, number] = [await freePort(), await freePort()];
    const { host, port } = database.pgbouncer;
    const toLedger = await FaultProxy.start({ host: '127.0.0.1', port: ports[0] });
    const toDatabase = await FaultProxy.start({ host, port });
    const platform = new TransferPlatform(database, { toLedger, toDatabase }, ports);
    await platform.startLedger();
    await platform.startOrchestrator();
    await platform.#fund(customers);
    return platform;
  }

  async startLedger(): Promise<void> {
    this.ledger = await Workload.start('ledger', {
      ...this.database.env('ledger'),
      PORT: String(this.#ledgerPort),
      API_KEY: LEDGER_KEY,
    });
    await this.ledger.ready();
  }

  async startOrchestrator(): Promise<void> {
    this.orchestrator = await this.#orchestrator(this.#port);
  }

  /** Another replica. @returns its address */
  async replica(): Promise<string> {
    const port = await freePort();
    this.#others.push(await this.#orchestrator(port));
    return `http://127.0.0.1:${port}`;
  }

  /** Ends what {@link replica} has started: its sweeper would resume transfers of later tests. */
  async stopReplicas(): Promise<void> {
    await Promise.all(this.#others.splice(0).map((other) => other.stop()));
  }

  async #orchestrator(port: number): Promise<Workload> {
    const { host, port: databasePort } = this.toDatabase;
    return (
      await Workload.start('orchestrator', {
        ...this.database.env('ledger'),
        DATABASE_URL: `postgresql://orchestrator@${host}:${databasePort}/orchestrator`,
        LEDGER_URL: `http://127.0.0.1:${this.toLedger.port}`,
        LEDGER_API_KEY: LEDGER_KEY,
        API_KEY: KEY,
        PORT: String(port),
      })
    ).ready();
  }

  /** Sends a request for a transfer. */
  async transfer(
    key: string,
    body: unknown,
    headers: Record<string, string> = {},
    base = `http://127.0.0.1:${this.#port}`,
  ): Promise<Answer> {
    const response = await fetch(`${base}/api/v1/transfers`, {
      method: 'POST',
      headers: { 'x-api-key': KEY, 'content-type': 'application/json', 'idempotency-key': key, ...headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  }

  async read(id: string): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.#port}/api/v1/transfers/${id}`, { headers: { 'x-api-key': KEY } });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  }

  /** Runs a statement in the orchestrator's database as the administrator. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#transfers.query<R>(text, values)).rows;
  }

  /** Transactions of transfers in the ledger, by external id. */
  async posted(): Promise<Map<string, number>> {
    const rows = await this.database.sql<{ id: string; times: number }>(
      `SELECT external_id AS id, count(*)::int AS times FROM journal_transaction WHERE external_id LIKE 'transfer:%' GROUP BY 1`,
    );
    return new Map(rows.map(({ id, times }) => [id.slice('transfer:'.length), times]));
  }

  /** Each completed transfer is one transaction of the ledger, no other one is, and the ledger adds up. */
  async assertSound(): Promise<void> {
    const completed = await this.sql<{ id: string }>(`SELECT id::text FROM transfer WHERE status = 'completed' ORDER BY id`);
    const posted = await this.posted();
    assert.deepEqual(
      completed.map(({ id }) => id),
      [...posted.keys()].toSorted(),
    );
    assert.deepEqual([...new Set(posted.values())], [1]);
    const check = await this.database.store.check();
    assert.ok(check.ok, JSON.stringify(check));
  }

  async balance(account: string): Promise<number> {
    const [row] = await this.database.sql<{ balance: string }>('SELECT balance_minor::text AS balance FROM account WHERE id = $1', [
      account,
    ]);
    return Number(row?.balance);
  }

  async #fund(customers: readonly string[]): Promise<void> {
    const open = `INSERT INTO account (id, kind, currency, product_code, min_balance_minor) VALUES ($1, $2, 'EUR', $3, $4)`;
    await this.database.sql(open, ['bank', 'internal', null, null]);
    for (const id of customers) {
      await this.database.sql(open, [id, 'customer', 'current', 0]);
      const answer = await this.transfer(randomUUID(), { fromAccount: 'bank', toAccount: id, amountMinor: String(FUNDS), currency: 'EUR' });
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
    }
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.orchestrator, this.ledger, ...this.#others].map((workload) => workload?.stop()));
    await Promise.allSettled([this.#transfers.end(), this.toLedger.stop(), this.toDatabase.stop()]);
    await this.database.stop();
  }
}

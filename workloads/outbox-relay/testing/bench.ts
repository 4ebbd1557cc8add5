/** Real servers, writers of the ledger, and what the topic must have in the end. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { LedgerEngine } from '../../ledger/engine.ts';
import { ledgerMetrics } from '../../ledger/metrics.ts';
import { postOperation } from '../../ledger/operations.ts';
import type { Operation } from '../../ledger/operations.ts';
import { LEDGER_ENTRY_TYPE } from '../../shared/contracts/ledger-entry.ts';
import type { LedgerEntry } from '../../shared/contracts/ledger-entry.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { Postgres } from '../../shared/kernel/postgres.ts';
import type { TestPlatform } from '../../shared/testing/platform.ts';
import { readTopic } from '../../shared/testing/read-topic.ts';
import type { ReadRecord } from '../../shared/testing/read-topic.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { compareTopic, CUSTOMER_POSTINGS } from './topic.ts';
import type { Found } from './topic.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
/** The bank that the writers use beside the customers: its postings are not published. */
const BANK = 'bank.test';

/** Accounts in EUR and writers to them, through PgBouncer. */
export class Bench {
  readonly platform: TestPlatform;
  readonly #database: Postgres;
  readonly #customers: string[];
  #stopped = false;
  #writers: Promise<void>[] = [];
  /** Transactions that the engine has reported as applied. */
  applied = 0;

  private constructor(platform: TestPlatform, customers: string[]) {
    this.platform = platform;
    this.#customers = customers;
    const { DATABASE_URL = '', PGPASSWORD = '' } = platform.env('ledger');
    this.#database = new Postgres({ url: DATABASE_URL, password: PGPASSWORD, max: 20, applicationName: 'writers' }, log, new Metrics({}));
  }

  static async open(platform: TestPlatform): Promise<Bench> {
    await platform.createTopic(LEDGER_ENTRY_TYPE, 12);
    await platform.sql(`INSERT INTO account (id, kind, currency) VALUES ($1, 'internal', 'EUR')`, [BANK]);
    return new Bench(
      platform,
      platform.accounts.filter(({ currency }) => currency === 'EUR').map(({ id }) => id),
    );
  }

  /** Ids of customers, few enough for writers to meet: [from, to]. */
  #pair(hot: number): [string, string] {
    const from = Math.floor(Math.random() * hot);
    const to = (from + 1 + Math.floor(Math.random() * (hot - 1))) % hot;
    return [this.#customers[from] ?? '', this.#customers[to] ?? ''];
  }

  /** A transfer between customers, with a fee for the bank each third time. */
  transfer(hot = 20): Operation {
    const [from, to] = this.#pair(hot);
    const fee = Math.random() < 1 / 3 ? 1 : 0;
    const postings = [
      { accountId: from, amountMinor: String(-10 - fee) },
      { accountId: to, amountMinor: '10' },
      ...(fee === 0 ? [] : [{ accountId: BANK, amountMinor: '1' }]),
    ];
    return postOperation({ externalId: `order-${randomUUIDv7()}`, currency: 'EUR', postings });
  }

  /**
   * Starts writers, each with an engine of its own, as so many replicas of the ledger. What fails is not repeated.
   * @param pause milliseconds between two batches of a writer
   */
  write({ writers = 20, batch = 20, pause = 0, hot = 20 } = {}): void {
    this.#stopped = false;
    for (let index = 0; index < writers; index++) this.#writers.push(this.#writer(batch, pause, hot));
  }

  engine(): LedgerEngine {
    return new LedgerEngine(this.#database, log, ledgerMetrics(new Metrics({})));
  }

  async #writer(batch: number, pause: number, hot: number): Promise<void> {
    const engine = this.engine();
    while (!this.#stopped) {
      const operations = Array.from({ length: batch }, () => this.transfer(hot));
      const outcomes = await engine.submitAll(operations).catch(() => []);
      this.applied += outcomes.filter(({ errorType }) => errorType === undefined).length;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** Ends the writers, after their batches in progress. */
  async still(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers.splice(0));
  }

  /** Waits until the relay has published everything. */
  async drained(limitMs = 60_000): Promise<void> {
    await waitFor('the outbox to be empty', async () => (await this.platform.sql('SELECT FROM outbox LIMIT 1')).length === 0, limitMs);
  }

  records(): Promise<ReadRecord[]> {
    return readTopic(this.platform.services.kafka.brokers, LEDGER_ENTRY_TYPE);
  }

  /** Compares the topic with the ledger, and finds nothing left in the outbox. */
  async complete(): Promise<Found> {
    const found = compareTopic(await this.records(), await this.platform.sql<LedgerEntry>(CUSTOMER_POSTINGS));
    assert.deepEqual(await this.platform.sql('SELECT FROM outbox UNION ALL SELECT FROM outbox_trace'), [], 'nothing is left in the outbox');
    return found;
  }

  async close(): Promise<void> {
    await this.still();
    await this.#database.close();
  }
}

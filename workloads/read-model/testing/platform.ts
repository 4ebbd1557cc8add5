/** The event path up to the read model, with real servers: the ledger's engine, a topic with its entries, and the read model as processes. */
import { Pool } from 'pg';
import { startServices, type ServiceSet } from '../../../local/src/services/index.ts';
import { LedgerEngine } from '../../ledger/engine.ts';
import { ledgerMetrics } from '../../ledger/metrics.ts';
import { postOperation } from '../../ledger/operations.ts';
import { random, type Random } from '../../ledger/testing/random.ts';
import { migrate } from '../../migrate/migrate.ts';
import type { LedgerEntry } from '../../shared/contracts/ledger-entry.ts';
import { KafkaAdmin } from '../../shared/kernel/kafka/admin.ts';
import { KafkaProducer, type OutgoingRecord } from '../../shared/kernel/kafka/producer.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { isoText } from '../../shared/kernel/moment.ts';
import { Postgres } from '../../shared/kernel/postgres.ts';
import { everyLogin } from '../../shared/testing/logins.ts';
import { createTopics } from '../../shared/testing/topics.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { freePort, Workload } from '../../shared/testing/workload.ts';
import { differences } from './differences.ts';

export const TOPIC = 'ledger.entry.v1';
export const DLQ_TOPIC = 'ledger.entry.v1.dlq';
export const GROUP = 'read-model';
export const KEY = 'the-key-of-the-read-model-for-this-test';
const PASSWORD = 'test-password';
const PARTITIONS = 12;

/** An answer of a service. */
export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** A read model process and where it listens. */
export interface Replica {
  workload: Workload;
  url: string;
}

export const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

export class ReadModelPlatform {
  readonly services: Pick<ServiceSet, 'kafka' | 'postgres' | 'pgbouncer'> & { stop(): Promise<void> };
  readonly admin: KafkaAdmin;
  readonly accounts: { id: string; currency: string }[] = [];
  readonly #producer: KafkaProducer;
  readonly #ledger: Pool;
  readonly #readModel: Pool;
  readonly #pool: Postgres;
  readonly #engine: LedgerEngine;
  readonly #random: Random;
  readonly #workloads: Workload[] = [];
  /** By account, the sequence up to which its postings are published. */
  readonly #published = new Map<string, number>();
  #externalIds = 0;

  private constructor(services: ReadModelPlatform['services'], seed: number) {
    this.services = services;
    this.#random = random(seed);
    const connection = { KAFKA_BROKERS: services.kafka.brokers, KAFKA_SSL: false };
    this.admin = new KafkaAdmin(connection, 'test', log);
    this.#producer = new KafkaProducer(connection, 'test', log, new Metrics({}));
    this.#ledger = new Pool({ connectionString: services.postgres.url('ledger'), max: 2 });
    this.#readModel = new Pool({ connectionString: services.postgres.url('readmodel'), max: 2 });
    for (const pool of [this.#ledger, this.#readModel]) pool.on('error', () => undefined);
    const { host, port } = services.pgbouncer;
    const url = `postgresql://ledger@${host}:${port}/ledger`;
    this.#pool = new Postgres({ url, password: PASSWORD, max: 2, applicationName: 'ledger' }, log, new Metrics({}));
    this.#engine = new LedgerEngine(this.#pool, log, ledgerMetrics(new Metrics({})));
  }

  static async start(accounts: number, seed: number): Promise<ReadModelPlatform> {
    const services = await startServices({ kafka: true, postgres: true, pgbouncer: true });
    const platform = new ReadModelPlatform(services, seed);
    try {
      const { postgres, kafka } = services;
      const options = { adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin(PASSWORD) };
      await Promise.all([
        migrate({ ...options, seedAccounts: accounts }, log),
        createTopics(kafka.brokers, [
          { topic: TOPIC, partitions: PARTITIONS },
          { topic: DLQ_TOPIC, partitions: 1 },
        ]),
      ]);
      const rows = await platform.ledger<{ id: string; currency: string }>(
        `SELECT id, currency FROM account WHERE kind = 'customer' ORDER BY id`,
      );
      platform.accounts.push(...rows);
      return platform;
    } catch (error) {
      await platform.stop();
      throw error;
    }
  }

  /** Runs a statement in the ledger's database as the administrator. */
  async ledger<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#ledger.query<R>(text, values)).rows;
  }

  /** Runs a statement in the read model's database as the administrator. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#readModel.query<R>(text, values)).rows;
  }

  env(database: 'readmodel' | 'ledger' | 'orchestrator' = 'readmodel', role: string = database): Record<string, string> {
    const { host, port } = this.services.pgbouncer;
    return {
      PLATFORM: 'test',
      KAFKA_BROKERS: this.services.kafka.brokers.join(','),
      DATABASE_URL: `postgresql://${role}@${host}:${port}/${database}`,
      PGPASSWORD: PASSWORD,
      API_KEY: KEY,
    };
  }

  async replica(env: Record<string, string> = {}): Promise<Replica> {
    const port = await freePort();
    const variables = { ...this.env(), PORT: String(port), ...env };
    const workload = await this.run('read-model', variables);
    return { workload: await workload.ready(), url: `http://127.0.0.1:${variables.PORT}` };
  }

  /** Starts a workload; it is ended by {@link stop} at the latest. @param logFile as for {@link Workload.start} */
  async run(name: string, env: Record<string, string>, logFile?: string): Promise<Workload> {
    const workload = await Workload.start(name, env, logFile);
    this.#workloads.push(workload);
    return workload;
  }

  /** Random transfers between customer accounts of one currency through the engine; those without funds are rejected. */
  async transfers(count: number): Promise<void> {
    const operations = Array.from({ length: count }, () => {
      const currency = this.#random.pick(['EUR', 'EUR', 'USD']);
      const candidates = this.accounts.filter((account) => account.currency === currency);
      const [from, to] = [this.#random.pick(candidates), this.#random.pick(candidates)];
      const amount = String(1 + this.#random.below(5_000));
      const externalId = `transfer:${(this.#externalIds += 1)}`;
      const postings = [
        { accountId: from.id, amountMinor: `-${amount}` },
        { accountId: to.id, amountMinor: amount },
      ];
      return postOperation({ externalId, currency, postings });
    });
    await this.#engine.submitAll(operations);
  }

  /** The postings of customer accounts that are not published yet, as messages in the order of each account. */
  async unpublished(): Promise<LedgerEntry[]> {
    const rows = await this.ledger<LedgerEntry>(
      `SELECT t.id::text AS "entryId", p.line::int, t.kind, t.external_id AS "externalId", p.account_id AS "accountId", p.currency,
              p.amount_minor::text AS "amountMinor", p.account_seq::float8 AS sequence, p.balance_after_minor::text AS "balanceAfterMinor",
              t.value_date::text AS "valueDate", ${isoText('p.posted_at')} AS "postedAt"
         FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id JOIN account a ON a.id = p.account_id
        WHERE a.kind = 'customer' ORDER BY p.posted_at, p.account_id, p.account_seq`,
    );
    const entries = rows.filter(({ accountId, sequence }) => sequence > (this.#published.get(accountId) ?? 0));
    for (const { accountId, sequence } of entries) this.#published.set(accountId, Math.max(sequence, this.#published.get(accountId) ?? 0));
    return entries.toSorted((a, b) => (a.accountId === b.accountId ? a.sequence - b.sequence : 0));
  }

  /** Sends records; resolves when Kafka has them. */
  async send(records: OutgoingRecord[]): Promise<void> {
    if (records.length > 0) await this.#producer.send(TOPIC, () => records);
  }

  /** Sends entries. @param headers of every message */
  async sendEntries(entries: readonly LedgerEntry[], headers: Record<string, string> = {}): Promise<void> {
    await this.send(entries.map((entry) => recordOf(entry, headers)));
  }

  /** Publishes what the journal has and the topic does not. @returns the messages */
  async publish(headers: Record<string, string> = {}): Promise<LedgerEntry[]> {
    const entries = await this.unpublished();
    await this.sendEntries(entries, headers);
    return entries;
  }

  /** Waits until the positions are at the end of the topic. */
  async drained(): Promise<void> {
    await waitFor('the topic to be projected up to its end', async () => {
      const rows = await this.sql<{ partition: number; next: string }>(
        'SELECT partition, next_offset::text AS next FROM consumer_offset WHERE consumer_group = $1',
        [GROUP],
      );
      const positions = new Map(rows.map(({ partition, next }) => [partition, BigInt(next)]));
      return (await this.admin.extents(TOPIC)).every(({ partition, high }) => high === 0n || positions.get(partition) === high);
    });
  }

  /** Waits until the outbox is empty, and the topic is projected. */
  async settled(): Promise<void> {
    await waitFor('the outbox to be empty', async () => (await this.ledger('SELECT FROM outbox LIMIT 1')).length === 0);
    await this.drained();
  }

  /** Deletes the records of one partition below an offset, or all of the topic, as retention does. */
  async deleteRecords(only?: { partition: number; offset: string }): Promise<void> {
    const ends = only ? [{ partition: only.partition, high: BigInt(only.offset) }] : await this.admin.extents(TOPIC);
    for (const { partition, high } of ends) await this.admin.deleteRecords(TOPIC, partition, high);
  }

  /** Differences between the generation that serves and the ledger: balances, sequences and every line. */
  differences(): Promise<unknown[]> {
    return differences(
      (text) => this.ledger(text),
      (text) => this.sql(text),
    );
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#workloads.map((workload) => workload.stop()));
    await Promise.allSettled([this.#producer.close(), this.admin.close(), this.#ledger.end(), this.#readModel.end(), this.#pool.close()]);
    await this.services.stop();
  }
}

/** The record of an entry. */
export function recordOf(entry: LedgerEntry, headers: Record<string, string> = {}): OutgoingRecord {
  return { key: entry.accountId, value: JSON.stringify(entry), headers };
}

/** GETs a path with the key of the read model. */
export async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${KEY}`, ...headers } });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
}

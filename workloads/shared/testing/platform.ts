import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { Client, Pool } from 'pg';
import { startServices } from '../../../local/src/services/index.ts';
import type { ServiceSet } from '../../../local/src/services/index.ts';
import { LedgerStore } from '../../ledger/store.ts';
import type { LedgerCheck } from '../../ledger/store.ts';
import { migrate } from '../../migrate/migrate.ts';
import { cloudEventHeaders, type InterestTransaction } from '../contracts/interest-transaction.ts';
import { KafkaAdmin } from '../kernel/kafka/admin.ts';
import { createKafka, type Admin } from '../kernel/kafka/client.ts';
import { KafkaProducer } from '../kernel/kafka/producer.ts';
import type { OutgoingRecord } from '../kernel/kafka/producer.ts';
import { createLogger } from '../kernel/log.ts';
import { Metrics } from '../kernel/metrics.ts';
import type { FaultProxy } from './fault-proxy.ts';
import { everyLogin } from './logins.ts';
import { createTopics } from './topics.ts';
import { waitFor } from './wait.ts';
import { Workload } from './workload.ts';

export const TOPIC = 'interest.transaction.v1';
export const DLQ_TOPIC = 'interest.transaction.v1.dlq';
export const GROUP = 'interest-batch';
const PARTITIONS = 12;
const PASSWORD = 'test-password';
/** Kafka's number of the resource type "topic". */
const TOPIC_RESOURCE = 2;

type Services = Pick<ServiceSet, 'kafka' | 'postgres' | 'pgbouncer'> & { stop(): Promise<void> };

/** Real servers with the ledger's schema, demo accounts and topics, and the workloads as processes beside them. */
export class TestPlatform {
  readonly services: Services;
  readonly producer: KafkaProducer;
  readonly admin: KafkaAdmin;
  /** Ids and currencies of the customer accounts. */
  readonly accounts: { id: string; currency: string }[] = [];
  readonly #log = createLogger(
    { service: 'test', platform: 'test', namespace: 'test', pod: 'test' },
    process.env['TEST_LOG_LEVEL'] ?? 'silent',
  );
  readonly #database: Pool;
  readonly #workloads: Workload[] = [];

  private constructor(services: Services) {
    this.services = services;
    this.producer = new KafkaProducer(this.#connection(), 'test', this.#log, new Metrics({}));
    this.admin = new KafkaAdmin(this.#connection(), 'test', this.#log);
    this.#database = new Pool({ connectionString: services.postgres.url('ledger'), max: 2, connectionTimeoutMillis: 2_000 });
    this.#database.on('error', () => undefined);
  }

  /**
   * Starts everything up to the point where workloads can run.
   * @param own a Kafka of its own, for a test that kills or freezes servers, or measures; otherwise the runner's shared one is taken when free
   * @param kafka one that the test has started, and stops
   * @param kafkaProxy through which every client reaches a Kafka of the test's own: the broker advertises it
   */
  static async start(
    accounts = 1_000,
    { own = false, kafka, kafkaProxy }: { own?: boolean; kafka?: ServiceSet['kafka']; kafkaProxy?: FaultProxy } = {},
  ): Promise<TestPlatform> {
    const kafkaSettings = kafkaProxy ? [`advertised.listeners=PLAINTEXT://${kafkaProxy.host}:${kafkaProxy.port}`] : [];
    const services = kafka
      ? { ...(await startServices({ postgres: true, pgbouncer: true })), kafka }
      : await startServices({ kafka: true, postgres: true, pgbouncer: true }, { own, kafkaSettings });
    const [host = '', port] = (services.kafka.brokers[0] ?? '').split(':');
    if (kafkaProxy) kafkaProxy.target = { host, port: Number(port) };
    const platform = new TestPlatform(services);
    try {
      await platform.#prepare(accounts);
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  async #prepare(accounts: number): Promise<void> {
    const { postgres } = this.services;
    const options = { adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin(PASSWORD) };
    const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
    await Promise.all([
      migrate({ ...options, seedAccounts: accounts }, log),
      createTopics(this.services.kafka.brokers, [
        { topic: TOPIC, partitions: PARTITIONS },
        { topic: DLQ_TOPIC, partitions: 1 },
      ]),
    ]);
    this.accounts.push(
      ...(await this.sql<{ id: string; currency: string }>(`SELECT id, currency FROM account WHERE kind = 'customer' ORDER BY id`)),
    );
  }

  #connection() {
    return { KAFKA_BROKERS: this.services.kafka.brokers, KAFKA_SSL: false };
  }

  /** Runs a statement as the administrator, past PgBouncer. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#database.query<R>(text, values)).rows;
  }

  /** Keeps a copy of the ledger's database as it is now. No process may write to it meanwhile. */
  async backUp(): Promise<void> {
    await this.#onServer(async (client) => {
      await client.query('ALTER DATABASE ledger ALLOW_CONNECTIONS false');
      await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ledger'`);
      await waitFor('the connections to end', async () => {
        await client.query('CREATE DATABASE ledger_backup TEMPLATE ledger');
        return true;
      });
      await client.query('ALTER DATABASE ledger ALLOW_CONNECTIONS true');
    });
  }

  /** Replaces the ledger's database by its copy. */
  async restore(): Promise<void> {
    await this.#onServer(async (client) => {
      await client.query('DROP DATABASE ledger WITH (FORCE)');
      await client.query('ALTER DATABASE ledger_backup RENAME TO ledger');
    });
  }

  async #onServer(work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client({ connectionString: this.services.postgres.url() });
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  }

  /** Environment of a workload: every variable that the operator would set. */
  env(role: 'ledger' | 'interest' | 'relay' | 'orchestrator' | 'accounts' | 'crm'): Record<string, string> {
    const database = role === 'orchestrator' || role === 'accounts' || role === 'crm' ? role : 'ledger';
    const { host, port } = this.services.pgbouncer;
    return {
      PLATFORM: 'test',
      KAFKA_BROKERS: this.services.kafka.brokers.join(','),
      DATABASE_URL: `postgresql://${role}@${host}:${port}/${database}`,
      PGPASSWORD: PASSWORD,
      INTEREST_TOPIC: TOPIC,
      INTEREST_DLQ_TOPIC: DLQ_TOPIC,
      INTEREST_GROUP: GROUP,
      INTEREST_FETCH_MAX_WAIT_MS: '100',
    };
  }

  /** Starts a workload; it is killed by {@link stop} at the latest. */
  async run(name: string, env: Record<string, string>): Promise<Workload> {
    const workload = await Workload.start(name, env);
    this.#workloads.push(workload);
    return workload;
  }

  /** Starts an interest consumer. */
  consumer(env: Record<string, string> = {}): Promise<Workload> {
    return this.run('interest', { ...this.env('interest'), ...env });
  }

  /** Adds up the ledger. */
  check(): Promise<LedgerCheck> {
    return new LedgerStore({ query: async (_name, text, values) => (await this.#database.query(text, values)).rows }).check();
  }

  /** Ids of the interest events in the journal. */
  async appliedIds(): Promise<Set<string>> {
    const rows = await this.sql<{ id: string }>(`SELECT id::text FROM journal_transaction WHERE kind = 'interest'`);
    return new Set(rows.map(({ id }) => id));
  }

  /** Waits until positions of the database and commits of Kafka are at the end of every partition. */
  async drained(limitMs = 150_000): Promise<void> {
    await waitFor(
      'the topic to be applied up to its end',
      async () => {
        const ends = await this.admin.extents(TOPIC);
        const positions = new Map(
          (await this.sql<{ partition: number; next: string }>('SELECT partition, next_offset::text AS next FROM consumer_offset')).map(
            ({ partition, next }) => [partition, BigInt(next)],
          ),
        );
        const [group] = await this.admin.positions(GROUP, [TOPIC]);
        return ends.every(
          ({ partition, high }) => high === 0n || (positions.get(partition) === high && group?.committed.get(partition) === high),
        );
      },
      limitMs,
    );
  }

  /** Creates a topic, once Kafka has finished the deletion of an earlier one. */
  async createTopic(topic: string, partitions: number): Promise<void> {
    await createTopics(this.services.kafka.brokers, [{ topic, partitions }]);
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#withAdmin((admin) => admin.deleteTopics({ topics: [topic] }));
  }

  /** Replaces the settings of a topic. */
  async configureTopic(name: string, config: Record<string, string>): Promise<void> {
    const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value }));
    const resources = [{ type: TOPIC_RESOURCE, name, configEntries }];
    await this.#withAdmin((admin) => admin.alterConfigs({ validateOnly: false, resources }));
  }

  /** Raises the number of partitions of the interest topic. Producers use them once their metadata expires. */
  async addPartitions(count: number): Promise<void> {
    await this.#withAdmin((admin) => admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count }] }));
  }

  /**
   * Produces records to one partition in a transaction that is then aborted. Kafka acknowledges the abort before it writes the marker. Until
   * then the partition ends before the transaction for every reader, so this waits for the marker.
   */
  async produceAborted(partition: number, values: string[]): Promise<void> {
    const producer = createKafka(this.#connection(), 'test', this.#log).producer({
      transactionalId: `aborted-${partition}`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    const end = async (): Promise<bigint> => (await this.admin.extents(TOPIC)).find((extent) => extent.partition === partition)?.high ?? 0n;
    const start = await end();
    await producer.connect();
    const transaction = await producer.transaction();
    for (const value of values) await transaction.send({ topic: TOPIC, messages: [{ partition, value }] });
    await transaction.abort();
    await producer.disconnect();
    await waitFor('the end of the aborted transaction to be readable', async () => (await end()) > start + BigInt(values.length));
  }

  /** Resets the group's committed offsets to the earliest ones; the group must be without members. */
  async rewindCommits(): Promise<void> {
    await this.#withAdmin((admin) => admin.resetOffsets({ groupId: GROUP, topic: TOPIC, earliest: true }));
  }

  /** Deletes every record that the topic holds now, as retention does. */
  async deleteRecords(): Promise<void> {
    await this.#withAdmin(async (admin) => {
      // Reading the offsets first loads the metadata that the deletion needs.
      const partitions = (await admin.fetchTopicOffsets(TOPIC)).map(({ partition, high }) => ({ partition, offset: high }));
      await admin.deleteTopicRecords({ topic: TOPIC, partitions });
    });
  }

  async #withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = createKafka(this.#connection(), 'test', this.#log).admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** A valid event for account number `index`. */
  event(index: number, change: Partial<InterestTransaction> = {}): InterestTransaction {
    const account = this.accounts[index % this.accounts.length];
    if (!account) throw new Error('no accounts');
    return {
      id: randomUUIDv7(),
      accountId: account.id,
      currency: account.currency,
      days: 1 + (index % 31),
      valueDate: '2026-01-31',
      ...change,
    };
  }

  /** Produces records to the interest topic; resolves when Kafka has acknowledged them. */
  async produce(records: OutgoingRecord[]): Promise<void> {
    await this.producer.send(TOPIC, () => records);
  }

  /** Produces events for the accounts, in turn. @returns the events */
  async produceEvents(count: number): Promise<InterestTransaction[]> {
    const events = Array.from({ length: count }, (_value, index) => this.event(index));
    await this.produce(events.map((event) => recordOf(event)));
    return events;
  }

  async stop(): Promise<void> {
    // Consumers leave their groups: a shared Kafka can only be emptied once its groups have no members.
    await Promise.allSettled(this.#workloads.map((workload) => workload.stop()));
    await Promise.allSettled([this.producer.close(), this.admin.close(), this.#database.end()]);
    await this.services.stop();
  }
}

/** Of the records that this process produces, as if one request had sent them all; sampled. */
export const TRACEPARENT = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

/** Headers of an event as the gateway sends them. */
function headersOf(event: InterestTransaction): Record<string, string> {
  return { ...cloudEventHeaders(event, '/test', new Date().toISOString()), traceparent: TRACEPARENT };
}

/** The record of an event. */
export function recordOf(event: InterestTransaction, headers = headersOf(event)): OutgoingRecord {
  return { key: event.accountId, value: JSON.stringify(event), headers };
}

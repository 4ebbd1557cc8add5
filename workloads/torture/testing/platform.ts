/** The whole event path with real servers: every service as a process of its own, and a proxy on every connection between two of them. */
import { Pool } from 'pg';
import { startServices, type ServiceSet } from '../../../local/src/services/index.ts';
import { freePorts } from '../../../local/src/services/ports.ts';
import { migrate } from '../../migrate/migrate.ts';
import { INTEREST_TRANSACTION_TYPE } from '../../shared/contracts/interest-transaction.ts';
import { LEDGER_ENTRY_TYPE } from '../../shared/contracts/ledger-entry.ts';
import { KafkaAdmin } from '../../shared/kernel/kafka/admin.ts';
import { KafkaProducer } from '../../shared/kernel/kafka/producer.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { FaultProxy } from '../../shared/testing/fault-proxy.ts';
import { everyLogin } from '../../shared/testing/logins.ts';
import { readTopic, type ReadRecord } from '../../shared/testing/read-topic.ts';
import { createTopics } from '../../shared/testing/topics.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { Workload } from '../../shared/testing/workload.ts';

export const INTEREST_TOPIC = INTEREST_TRANSACTION_TYPE;
export const INTEREST_DLQ_TOPIC = `${INTEREST_TOPIC}.dlq`;
export const ENTRY_TOPIC = LEDGER_ENTRY_TYPE;
export const ENTRY_DLQ_TOPIC = `${ENTRY_TOPIC}.dlq`;
export const KEY = 'the-key-of-every-service-for-this-test-0';
const PASSWORD = 'test-password';
const PARTITIONS = 6;
/** Of Postgres: enough for the rounds of one platform. */
const DISK_MEBIBYTES = 2_048;

export const SERVICES = [
  'gateway',
  'orchestrator',
  'ledger',
  'relay-0',
  'relay-1',
  'read-model-0',
  'read-model-1',
  'interest-0',
  'interest-1',
] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Connections with a proxy: from and to. */
export const LINKS = [
  'client>gateway',
  'client>ledger',
  'gateway>orchestrator',
  'gateway>ledger',
  'gateway>read-model-0',
  'orchestrator>ledger',
  'orchestrator>database',
  'ledger>database',
  'relay-0>database',
  'relay-1>database',
  'read-model-0>database',
  'read-model-1>database',
  'interest-0>database',
  'interest-1>database',
  'pgbouncer>postgres',
  'relay-0>kafka',
  'relay-1>kafka',
  'read-model-0>kafka',
  'read-model-1>kafka',
  'interest-0>kafka',
  'interest-1>kafka',
] as const;
export type Link = (typeof LINKS)[number];

type Servers = Pick<ServiceSet, 'kafka' | 'postgres' | 'pgbouncer'> & { stop(): Promise<void> };

const HOST = '127.0.0.1';
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

/** The broker advertises the proxy of a client at a listener of its own. */
const listenerOf = (link: Link): string => link.replace(/\W/g, '').toUpperCase();
const toKafka = LINKS.filter((link) => link.endsWith('>kafka'));

export class TorturePlatform {
  readonly servers: Servers;
  readonly links: Readonly<Record<Link, FaultProxy>>;
  readonly producer: KafkaProducer;
  readonly admin: KafkaAdmin;
  readonly #ports: Readonly<Record<string, number>>;
  readonly #pools: Readonly<Record<'ledger' | 'orchestrator' | 'readmodel', Pool>>;
  readonly #processes = new Map<ServiceName, Workload>();

  private constructor(servers: Servers, links: Record<Link, FaultProxy>, ports: Record<string, number>) {
    this.servers = servers;
    this.links = links;
    this.#ports = ports;
    const connection = { KAFKA_BROKERS: servers.kafka.brokers, KAFKA_SSL: false };
    this.producer = new KafkaProducer(connection, 'test', log, new Metrics({}));
    this.admin = new KafkaAdmin(connection, 'test', log);
    const pool = (database: string): Pool => {
      const made = new Pool({ connectionString: servers.postgres.url(database), max: 2, connectionTimeoutMillis: 2_000 });
      return made.on('error', () => undefined);
    };
    this.#pools = { ledger: pool('ledger'), orchestrator: pool('orchestrator'), readmodel: pool('readmodel') };
  }

  /** Starts servers and services. @param accounts demo accounts with opening balances */
  static async start(accounts: number): Promise<TorturePlatform> {
    const links = Object.fromEntries(await Promise.all(LINKS.map(async (link) => [link, await FaultProxy.start()] as const)));
    const kafkaListeners = Object.fromEntries(toKafka.map((link) => [listenerOf(link), `${HOST}:${links[link]?.port}`]));
    const postgresProxyPort = links['pgbouncer>postgres']?.port ?? 0;
    const servers = await startServices(
      { kafka: true, postgres: true, pgbouncer: true },
      { kafkaListeners, postgresProxyPort, postgresDiskMebibytes: DISK_MEBIBYTES, postgresSettings: { max_wal_size: '128MB' } },
    );
    const names = ['gateway', 'orchestrator', 'ledger', 'read-model-0', 'read-model-1'];
    const free = await freePorts(names.length);
    const ports = Object.fromEntries(names.map((name, index) => [name, free[index] ?? 0]));
    const platform = new TorturePlatform(servers, links as Record<Link, FaultProxy>, ports);
    try {
      await platform.#prepare(accounts);
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  async #prepare(accounts: number): Promise<void> {
    const { postgres, kafka } = this.servers;
    const options = { adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin(PASSWORD), seedAccounts: accounts };
    for (const link of LINKS) this.links[link].target = this.#targetOf(link);
    await Promise.all([
      migrate(options, log),
      createTopics(kafka.brokers, [
        { topic: INTEREST_TOPIC, partitions: PARTITIONS },
        { topic: INTEREST_DLQ_TOPIC, partitions: 1 },
        { topic: ENTRY_TOPIC, partitions: PARTITIONS },
        { topic: ENTRY_DLQ_TOPIC, partitions: 1 },
      ]),
    ]);
    await Promise.all(SERVICES.map((name) => this.launch(name)));
    await this.ready();
  }

  #targetOf(link: Link): { host: string; port: number } {
    const [, to = ''] = link.split('>');
    const { pgbouncer, postgres, kafka } = this.servers;
    if (to === 'postgres') return { host: postgres.host, port: postgres.port };
    if (to === 'database') return { host: pgbouncer.host, port: pgbouncer.port };
    if (to === 'kafka') return { host: HOST, port: Number(kafka.listeners?.[listenerOf(link)]?.split(':')[1]) };
    return { host: HOST, port: this.#ports[to] ?? 0 };
  }

  /** Address of a service behind a link. */
  url(link: Link): string {
    return `http://${HOST}:${this.links[link].port}`;
  }

  /** Starts the process of a service; it is not ready yet. */
  async launch(name: ServiceName): Promise<void> {
    const folder = name.replace(/-\d$/, '').replace('relay', 'outbox-relay');
    this.#processes.set(name, await Workload.start(folder, this.#variables(name)));
  }

  #variables(name: ServiceName): Record<string, string> {
    const common = { PLATFORM: 'test', API_KEY: KEY, PGPASSWORD: PASSWORD, PORT: String(this.#ports[name] ?? 0) };
    const database = (role: string, of = role): Record<string, string> => ({
      DATABASE_URL: `postgresql://${role}@${HOST}:${this.links[`${name}>database` as Link].port}/${of}`,
    });
    const kafka = (): Record<string, string> => ({ KAFKA_BROKERS: `${HOST}:${this.links[`${name}>kafka` as Link].port}` });
    const called = (prefix: string, link: Link): Record<string, string> => ({
      [`${prefix}_URL`]: this.url(link),
      [`${prefix}_API_KEY`]: KEY,
    });
    switch (name) {
      case 'gateway':
        return {
          ...common,
          ...called('LEDGER', 'gateway>ledger'),
          ...called('ORCHESTRATOR', 'gateway>orchestrator'),
          ...called('READ_MODEL', 'gateway>read-model-0'),
          KAFKA_BROKERS: this.servers.kafka.brokers.join(','),
          INTEREST_TOPIC,
        };
      case 'orchestrator':
        return { ...common, ...database('orchestrator'), ...called('LEDGER', 'orchestrator>ledger') };
      case 'ledger':
        return { ...common, ...database('ledger') };
      case 'relay-0':
      case 'relay-1':
        return { ...common, ...database('relay', 'ledger'), ...kafka() };
      case 'read-model-0':
      case 'read-model-1':
        return { ...common, ...database('readmodel'), ...kafka(), READ_MODEL_BATCH_MAX_RECORDS: '300' };
      case 'interest-0':
      case 'interest-1': {
        const batches = { INTEREST_BATCH_MAX_RECORDS: '100', INTEREST_FETCH_MIN_BYTES: '1', INTEREST_FETCH_MAX_WAIT_MS: '100' };
        return {
          ...common,
          ...database('interest', 'ledger'),
          ...kafka(),
          ...batches,
          INTEREST_TOPIC,
          INTEREST_DLQ_TOPIC,
          INTEREST_GROUP: 'interest-batch',
        };
      }
    }
  }

  process(name: ServiceName): Workload {
    const workload = this.#processes.get(name);
    if (!workload) throw new Error(`${name} has not been started`);
    return workload;
  }

  /** Waits until every service is ready. @throws Error with the log of one that has ended */
  async ready(): Promise<void> {
    await Promise.all(SERVICES.map((name) => this.process(name).ready()));
  }

  /** Runs a statement as the administrator, past PgBouncer. */
  async sql<R extends object>(
    text: string,
    values: unknown[] = [],
    database: 'ledger' | 'orchestrator' | 'readmodel' = 'ledger',
  ): Promise<R[]> {
    return (await this.#pools[database].query<R>(text, values)).rows;
  }

  records(topic: string): Promise<ReadRecord[]> {
    return readTopic(this.servers.kafka.brokers, topic);
  }

  /** Waits until every transfer has ended, the outbox is empty and both topics are applied up to their ends. @throws Error when a service is defective */
  async drained(): Promise<void> {
    await this.#unlessDefective('transfers to end', async () =>
      none(await this.sql(`SELECT FROM transfer WHERE status = 'initiated' LIMIT 1`, [], 'orchestrator')),
    );
    await this.#unlessDefective('the interest topic to be applied', () => this.#applied(INTEREST_TOPIC, 'ledger'));
    await this.#unlessDefective('the outbox to be empty', async () => none(await this.sql('SELECT FROM outbox LIMIT 1')));
    await this.#unlessDefective('the entries to be projected', () => this.#applied(ENTRY_TOPIC, 'readmodel'));
  }

  async #unlessDefective(what: string, probe: () => Promise<boolean>): Promise<void> {
    await waitFor(what, async () => this.#defect() !== undefined || (await probe()));
    this.assertSound();
  }

  /** No process has ended by itself, and no consumer has stopped at a record. @throws Error that names the service */
  assertSound(): void {
    const defect = this.#defect();
    if (defect !== undefined) throw new Error(defect);
  }

  #defect(): string | undefined {
    for (const [name, { exitCode, log: lines }] of this.#processes) {
      if (exitCode !== null) return `${name} has ended with ${exitCode}`;
      if (lines.includes('cannot continue')) return `a partition of ${name} cannot continue`;
    }
    return undefined;
  }

  async #applied(topic: string, database: 'ledger' | 'readmodel'): Promise<boolean> {
    const rows = await this.sql<{ partition: number; next: string }>(
      'SELECT partition, next_offset::text AS next FROM consumer_offset WHERE topic = $1',
      [topic],
      database,
    );
    const positions = new Map(rows.map(({ partition, next }) => [partition, BigInt(next)]));
    return (await this.admin.extents(topic)).every(({ partition, high }) => high === 0n || positions.get(partition) === high);
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.#processes.values()].map((workload) => workload.end('SIGKILL')));
    await Promise.allSettled([this.producer.close(), this.admin.close(), ...Object.values(this.#pools).map((pool) => pool.end())]);
    await Promise.all(LINKS.map((link) => this.links[link].stop()));
    await this.servers.stop();
  }
}

const none = (rows: object[]): boolean => rows.length === 0;

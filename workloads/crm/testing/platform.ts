/** The crm service with real servers, and a client for its API. */
import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { startServices } from '../../../local/src/services/index.ts';
import { migrate } from '../../migrate/migrate.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { CRM_EVENT_TOPIC } from '../../shared/contracts/crm/events.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { Postgres } from '../../shared/kernel/postgres.ts';
import { everyLogin } from '../../shared/testing/logins.ts';
import { createTopics } from '../../shared/testing/topics.ts';
import { freePort, Workload } from '../../shared/testing/workload.ts';

const PASSWORD = 'test-password';
export const CRM_KEY = 'the-key-of-the-crm-service-for-this-test';

export interface CrmAnswer {
  status: number;
  headers: Headers;
  /** The parsed body; empty for an answer without one. */
  body: Record<string, unknown>;
  etag: string;
}

type Sent = Record<string, string>;

/** A client of a running crm service, or of a gateway in front of it. */
export class CrmClient {
  readonly base: string;
  readonly #key: string;

  constructor(base: string, key: string = CRM_KEY) {
    this.base = base;
    this.#key = key;
  }

  async send(method: string, path: string, { body, headers = {} }: { body?: unknown; headers?: Sent } = {}): Promise<CrmAnswer> {
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const type: Sent = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`${this.base}/api/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#key}`, ...type, ...headers },
      ...content,
    });
    const text = await response.text();
    const parsed = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    return { status: response.status, headers: response.headers, body: parsed, etag: response.headers.get('etag') ?? '' };
  }

  get(path: string, headers: Sent = {}): Promise<CrmAnswer> {
    return this.send('GET', path, { headers });
  }

  /** @param key of idempotency; a new one by default */
  post(path: string, body: unknown, key: string = randomUUID(), headers: Sent = {}): Promise<CrmAnswer> {
    return this.send('POST', path, { body, headers: { 'idempotency-key': key, ...headers } });
  }

  patch(path: string, body: unknown, etag?: string): Promise<CrmAnswer> {
    return this.send('PATCH', path, { body, headers: etag === undefined ? {} : { 'if-match': etag } });
  }

  remove(path: string, etag?: string): Promise<CrmAnswer> {
    return this.send('DELETE', path, { headers: etag === undefined ? {} : { 'if-match': etag } });
  }
}

/** Postgres, PgBouncer and Kafka with every schema, and crm processes beside them. */
export class CrmPlatform {
  readonly services: Awaited<ReturnType<typeof startServers>>;
  readonly database: Pool;
  readonly #workloads: Workload[] = [];

  private constructor(services: Awaited<ReturnType<typeof startServers>>) {
    this.services = services;
    this.database = new Pool({ connectionString: services.postgres.url('crm'), max: 4 });
    this.database.on('error', () => undefined);
  }

  static async start(): Promise<CrmPlatform> {
    const services = await startServers();
    const { postgres } = services;
    const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
    await Promise.all([
      migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin(PASSWORD), seedAccounts: 0 }, log),
      createTopics(services.kafka.brokers, [{ topic: CRM_EVENT_TOPIC, partitions: 3 }]),
    ]);
    return new CrmPlatform(services);
  }

  #databaseUrl(): string {
    const { host, port } = this.services.pgbouncer;
    return `postgresql://crm@${host}:${port}/crm`;
  }

  /** A pool as the service has it, in this process. The caller closes it. */
  openDatabase(max = 4): Postgres {
    const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
    return new Postgres({ url: this.#databaseUrl(), password: PASSWORD, max, applicationName: 'test' }, log, new Metrics({}));
  }

  /** Starts a crm process. */
  async crm(env: Record<string, string> = {}): Promise<{ workload: Workload; client: CrmClient }> {
    const own = String(await freePort());
    const workload = await Workload.start('crm', {
      PLATFORM: 'test',
      KAFKA_BROKERS: this.services.kafka.brokers.join(','),
      DATABASE_URL: this.#databaseUrl(),
      PGPASSWORD: PASSWORD,
      PORT: own,
      API_KEY: CRM_KEY,
      ...env,
    });
    this.#workloads.push(workload);
    await workload.ready();
    return { workload, client: new CrmClient(`http://127.0.0.1:${own}`) };
  }

  /** Runs a statement as the administrator. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.database.query<R>(text, values)).rows;
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#workloads.map((workload) => workload.stop()));
    await this.database.end();
    await this.services.stop();
  }
}

function startServers() {
  return startServices({ kafka: true, postgres: true, pgbouncer: true });
}

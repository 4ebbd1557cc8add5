/** A real Postgres with the ledger's schema behind PgBouncer, for tests and measurements of the engine. */
import { Pool } from 'pg';
import { startServices, type PostgresService } from '../../../local/src/services/index.ts';
import { migrate } from '../../migrate/migrate.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { Postgres } from '../../shared/kernel/postgres.ts';
import { everyLogin } from '../../shared/testing/logins.ts';
import { LedgerEngine } from '../engine.ts';
import { ledgerMetrics } from '../metrics.ts';
import { LedgerStore } from '../store.ts';

const PASSWORD = 'test-password';

interface Address {
  host: string;
  port: number;
}
type EngineOptions = ConstructorParameters<typeof LedgerEngine>[3];

export const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

export class LedgerDatabase {
  readonly postgres: PostgresService;
  readonly pgbouncer: PostgresService;
  readonly store: LedgerStore;
  readonly #admin: Pool;
  readonly #pools: Postgres[] = [];
  readonly #stop: () => Promise<void>;

  private constructor(services: { postgres: PostgresService; pgbouncer: PostgresService; stop(): Promise<void> }) {
    this.postgres = services.postgres;
    this.pgbouncer = services.pgbouncer;
    this.#stop = () => services.stop();
    this.#admin = new Pool({ connectionString: services.postgres.url('ledger'), max: 4 });
    this.#admin.on('error', () => undefined);
    this.store = new LedgerStore(this.connect());
  }

  /**
   * @param seedAccounts demo accounts with opening balances
   * @param options.diskMebibytes size of the disk of Postgres, for a test that fills it
   * @param options.settings of Postgres
   */
  static async start(
    seedAccounts = 0,
    { diskMebibytes, settings = {} }: { diskMebibytes?: number; settings?: Record<string, string> } = {},
  ): Promise<LedgerDatabase> {
    const limited = diskMebibytes === undefined ? {} : { postgresDiskMebibytes: diskMebibytes };
    const small = diskMebibytes === undefined ? {} : { max_wal_size: '64MB' };
    const services = await startServices({ postgres: true, pgbouncer: true }, { ...limited, postgresSettings: { ...small, ...settings } });
    const { postgres } = services;
    try {
      const logins = everyLogin(PASSWORD);
      await migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins, seedAccounts }, log);
      return new LedgerDatabase(services);
    } catch (error) {
      await services.stop();
      throw error;
    }
  }

  /** Address of the database for a role, by default through PgBouncer. */
  url(role: 'ledger' | 'interest' | 'relay' = 'ledger', { host, port }: Address = this.pgbouncer): string {
    return `postgresql://${role}@${host}:${port}/ledger`;
  }

  /** Variables of a workload that uses the database. */
  env(role: 'ledger' | 'interest' | 'relay', through?: Address): Record<string, string> {
    return { PLATFORM: 'test', DATABASE_URL: this.url(role, through), PGPASSWORD: PASSWORD };
  }

  /** A pool of a role through PgBouncer, or another address. */
  connect(role: 'ledger' | 'interest' | 'relay' = 'ledger', through?: Address, max = 4): Postgres {
    const options = { url: this.url(role, through), password: PASSWORD, max, applicationName: role };
    const pool = new Postgres(options, log, new Metrics({}));
    this.#pools.push(pool);
    return pool;
  }

  /** An engine, and how many database calls it has made. */
  engine(options: EngineOptions = {}, through?: Address, max = 4): { engine: LedgerEngine; calls: () => number } {
    const pool = this.connect('ledger', through, max);
    return { engine: new LedgerEngine(pool, log, ledgerMetrics(new Metrics({})), options), calls: () => pool.calls };
  }

  /** Runs a statement as the administrator, past PgBouncer. */
  async sql<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.#admin.query<R>(text, values)).rows;
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.#pools.map((pool) => pool.close()), this.#admin.end()]);
    await this.#stop();
  }
}

import { Client } from 'pg';
import { runner } from 'node-pg-migrate';
import type { Logger } from '../src/kernel/log.ts';
import { withPassword } from '../src/kernel/postgres.ts';
import { ensureDatabase, ensureRole } from './roles.ts';
import { seedAccounts } from './seed-accounts.ts';

const DATABASE = 'ledger';
const OWNER = 'ledger';
const CONSUMER = 'interest';
const MIGRATIONS = new URL('../ledger/migrations', import.meta.url).pathname;

export interface MigrateOptions {
  /** Direct address of the server with an administrator's user name: migrations need a session of their own, so no PgBouncer. */
  adminUrl: string;
  adminPassword: string;
  ledgerPassword: string;
  interestPassword: string;
  seedAccounts: number;
}

/**
 * Brings the server to where the workloads need it: roles, database, schema, demo accounts. Safe to repeat, and to run twice at a time
 * (the migrations take a lock).
 */
export async function migrate(options: MigrateOptions, log: Logger): Promise<void> {
  await withClient(options.adminUrl, options.adminPassword, async (admin) => {
    // Two jobs at a time would both find a role missing.
    await admin.query('SELECT pg_advisory_lock(727367)');
    await ensureRole(admin, { name: OWNER, password: options.ledgerPassword });
    await ensureRole(admin, { name: CONSUMER, password: options.interestPassword });
    await ensureDatabase(admin, DATABASE, OWNER, [CONSUMER]);
  });
  const url = ownerUrl(options.adminUrl);
  await withClient(url, options.ledgerPassword, async (owner) => {
    // The owner's limits are for requests; a migration may take its time.
    await owner.query('SET statement_timeout = 0; SET lock_timeout = 0');
    const applied = await runner({
      dbClient: owner,
      dir: MIGRATIONS,
      direction: 'up',
      migrationsTable: 'schema_migration',
      singleTransaction: true,
      advisoryLockMode: 'wait',
      logger: { debug: () => undefined, info: () => undefined, warn: (line) => log.warn(line), error: (line) => log.error(line) },
    });
    log.info({ applied: applied.map(({ name }) => name) }, 'schema is up to date');
    const created = await seedAccounts(owner, options.seedAccounts);
    log.info({ created, wanted: options.seedAccounts }, 'demo accounts are there');
    if (created > 0) await owner.query('ANALYZE');
  });
}

function ownerUrl(adminUrl: string): string {
  const url = new URL(adminUrl);
  url.username = OWNER;
  url.pathname = `/${DATABASE}`;
  return url.href;
}

async function withClient<T>(url: string, password: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: withPassword(url, password), application_name: 'migrate', connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

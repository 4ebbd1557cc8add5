import { Client, DatabaseError } from 'pg';
import { runner } from 'node-pg-migrate';
import { DATABASES, EXPORTER_ROLE, migrationsOf, ROLES, type Database } from '../shared/databases/index.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { withPassword } from '../shared/kernel/postgres.ts';
import { waitForPoolers, type Pooler } from './poolers.ts';
import { ensureDatabase, ensureMonitor, ensureRole, type Login } from './roles.ts';
import { scramVerifier } from './scram.ts';
import { seedAccounts } from './seed-accounts.ts';

/** The database with the demo accounts. */
const SEEDED = 'ledger';

export interface MigrateOptions {
  /** Direct address of the server with an administrator's user name: migrations need a session of their own, so no PgBouncer. */
  adminUrl: string;
  adminPassword: string;
  /** The password that the server may still have: the administrator then gets the new one. */
  formerAdminPassword?: string | undefined;
  /** Valid logins by role; all other logins are locked. An owner of tables needs at least one. */
  logins: Record<string, Login[]>;
  /** Of EXPORTER_ROLE; without it, the role stays as it is. */
  exporterPassword?: string | undefined;
  /** They must accept every login before the migration is done. */
  poolers?: Pooler;
  seedAccounts: number;
}

/**
 * Brings the server to the state that the workloads need: roles, databases, schemas, demo accounts. It can run repeatedly, and two runs at once
 * wait for each other.
 */
export async function migrate(options: MigrateOptions, log: Logger): Promise<void> {
  await changeAdminPassword(options, log);
  await withClient(options.adminUrl, options.adminPassword, async (admin) => {
    // Two jobs at once would both find a role missing.
    await admin.query('SELECT pg_advisory_lock(727367)');
    for (const role of ROLES) await ensureRole(admin, role, options.logins[role] ?? [], log);
    for (const { name, owner, users } of DATABASES) await ensureDatabase(admin, name, owner, users);
    if (options.exporterPassword !== undefined)
      await ensureMonitor(
        admin,
        { name: EXPORTER_ROLE, password: options.exporterPassword },
        DATABASES.map(({ name }) => name),
        log,
      );
  });
  for (const database of DATABASES) await migrateDatabase(database, options, log);
  if (options.poolers)
    for (const { name, owner, users } of DATABASES) await waitForPoolers(options.poolers, name, loginsOf([owner, ...users], options), log);
}

async function migrateDatabase({ name, owner }: Database, options: MigrateOptions, log: Logger): Promise<void> {
  const [login] = loginsOf([owner], options);
  if (login === undefined) throw new Error(`role ${owner}, which owns the tables of database ${name}, has no login`);
  await withClient(databaseUrl(options.adminUrl, login.name, name), login.password, async (client) => {
    // The owner's limits are for requests; a migration may take longer.
    await client.query('SET statement_timeout = 0; SET lock_timeout = 0');
    const applied = await runner({
      dbClient: client,
      dir: migrationsOf(name),
      direction: 'up',
      migrationsTable: 'schema_migration',
      singleTransaction: true,
      advisoryLockMode: 'wait',
      logger: { debug: () => undefined, info: () => undefined, warn: (line) => log.warn(line), error: (line) => log.error(line) },
    });
    log.info({ database: name, applied: applied.map((migration) => migration.name) }, 'schema is up to date');
    if (name === SEEDED) await seed(client, options.seedAccounts, log);
  });
}

async function seed(client: Client, wanted: number, log: Logger): Promise<void> {
  const created = await seedAccounts(client, wanted);
  log.info({ created, wanted }, 'demo accounts exist');
  if (created > 0) await client.query('ANALYZE');
}

function loginsOf(roles: readonly string[], { logins }: MigrateOptions): Login[] {
  return roles.flatMap((role) => logins[role] ?? []);
}

/** Gives the administrator the new password, where the server still has the former one. */
async function changeAdminPassword({ adminUrl, adminPassword, formerAdminPassword }: MigrateOptions, log: Logger): Promise<void> {
  if (formerAdminPassword === undefined || (await isAccepted(adminUrl, adminPassword))) return;
  await withClient(adminUrl, formerAdminPassword, async (admin) => {
    const user = decodeURIComponent(new URL(adminUrl).username);
    await admin.query(`ALTER ROLE ${admin.escapeIdentifier(user)} PASSWORD '${scramVerifier(adminPassword)}'`);
    log.info({ role: user }, 'the administrator has a new password');
  });
}

const WRONG_PASSWORD = '28P01';

async function isAccepted(url: string, password: string): Promise<boolean> {
  try {
    await withClient(url, password, () => Promise.resolve());
    return true;
  } catch (error) {
    if (error instanceof DatabaseError && error.code === WRONG_PASSWORD) return false;
    throw error;
  }
}

function databaseUrl(adminUrl: string, login: string, database: string): string {
  const url = new URL(adminUrl);
  url.username = login;
  url.pathname = `/${database}`;
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

import { Client, DatabaseError } from 'pg';
import { runner } from 'node-pg-migrate';
import type { Logger } from '../shared/kernel/log.ts';
import { withPassword } from '../shared/kernel/postgres.ts';
import { untilPoolersKnow, type Pooler } from './poolers.ts';
import { ensureDatabase, ensureRole, type Login } from './roles.ts';
import { seedAccounts } from './seed-accounts.ts';

const DATABASE = 'ledger';
const OWNER = 'ledger';
const CONSUMER = 'interest';
const MIGRATIONS = new URL('../shared/databases/ledger', import.meta.url).pathname;

export interface MigrateOptions {
  /** Direct address of the server with an administrator's user name: migrations need a session of their own, so no PgBouncer. */
  adminUrl: string;
  adminPassword: string;
  /** The one that the server may still have: with it the administrator is given the other one. */
  formerAdminPassword?: string | undefined;
  /** Logins of each role that are to be good, at least one; all others are locked. */
  logins: Record<typeof OWNER | typeof CONSUMER, Login[]>;
  /** They must let every login through before this is done. */
  poolers?: Pooler;
  seedAccounts: number;
}

/**
 * Brings the server to where the workloads need it: roles, database, schema, demo accounts. Safe to repeat, and to run twice at a time
 * (the migrations take a lock).
 */
export async function migrate(options: MigrateOptions, log: Logger): Promise<void> {
  const { logins } = options;
  await changeAdminPassword(options, log);
  await withClient(options.adminUrl, options.adminPassword, async (admin) => {
    // Two jobs at a time would both find a role missing.
    await admin.query('SELECT pg_advisory_lock(727367)');
    for (const role of [OWNER, CONSUMER] as const) await ensureRole(admin, role, logins[role], log);
    await ensureDatabase(admin, DATABASE, OWNER, [CONSUMER]);
  });
  const [login] = logins[OWNER];
  if (login === undefined) throw new Error('the owner of the tables has no login');
  await withClient(ownerUrl(options.adminUrl, login.name), login.password, async (owner) => {
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
  if (options.poolers) await untilPoolersKnow(options.poolers, DATABASE, Object.values(logins).flat(), log);
}

/** Brings the administrator to the new password by the former one, where that is still what the server has. */
async function changeAdminPassword({ adminUrl, adminPassword, formerAdminPassword }: MigrateOptions, log: Logger): Promise<void> {
  if (formerAdminPassword === undefined || (await isAccepted(adminUrl, adminPassword))) return;
  await withClient(adminUrl, formerAdminPassword, async (admin) => {
    const user = decodeURIComponent(new URL(adminUrl).username);
    await admin.query(`ALTER ROLE ${admin.escapeIdentifier(user)} PASSWORD ${admin.escapeLiteral(adminPassword)}`);
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

function ownerUrl(adminUrl: string, login: string): string {
  const url = new URL(adminUrl);
  url.username = login;
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

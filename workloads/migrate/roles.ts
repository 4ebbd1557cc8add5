import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import type { Logger } from '../shared/kernel/log.ts';
import { scramVerifier } from './scram.ts';

/** A role with LOGIN, and its password. */
export interface Login {
  name: string;
  password: string;
}

/** Server-side limits, set on the login because PgBouncer in transaction mode keeps no session settings. */
const LIMITS = { statement_timeout: '60s', idle_in_transaction_session_timeout: '15s', lock_timeout: '20s' };

/**
 * Logins of a role: its own name, and a second login that acts as the role, so that one can get a new password while clients use the other.
 */
export function loginNames(role: string): [string, string] {
  return [role, `${role}_b`];
}

/**
 * Creates the role if it is missing. The given logins get their passwords and limits; the role's other logins are locked, and their sessions
 * terminated.
 */
export async function ensureRole(client: Client, role: string, logins: Login[], log: Logger): Promise<void> {
  await ensureExists(client, role);
  for (const name of loginNames(role)) {
    const login = logins.find((one) => one.name === name);
    if (login === undefined) await lock(client, name, log);
    else await open(client, role, login);
  }
}

interface ExistingRole {
  superuser: boolean;
}

async function find(client: Client, name: string): Promise<ExistingRole | undefined> {
  return (await client.query<ExistingRole>('SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = $1', [name])).rows[0];
}

async function ensureExists(client: Client, name: string): Promise<void> {
  if (!(await find(client, name))) await client.query(`CREATE ROLE ${client.escapeIdentifier(name)}`);
  await joinRole(client, name);
}

/**
 * Makes an administrator that is no superuser a member of a role that it has created. Otherwise it may alter the role, but create no database
 * for it and terminate none of its sessions.
 */
async function joinRole(client: Client, name: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = current_user AND rolsuper');
  if (rowCount === 0) await client.query(`GRANT ${client.escapeIdentifier(name)} TO CURRENT_USER`);
}

async function open(client: Client, role: string, { name, password }: Login): Promise<void> {
  await ensureExists(client, name);
  const login = client.escapeIdentifier(name);
  // Only a superuser may name this attribute, even where nothing changes.
  const demoted = (await find(client, name))?.superuser ? 'NOSUPERUSER ' : '';
  await client.query(`ALTER ROLE ${login} LOGIN ${demoted}NOCREATEDB NOCREATEROLE PASSWORD '${scramVerifier(password)}'`);
  for (const [setting, value] of Object.entries(LIMITS)) await client.query(`ALTER ROLE ${login} SET ${setting} = '${value}'`);
  if (name === role) return;
  await client.query(`GRANT ${client.escapeIdentifier(role)} TO ${login}`);
  // The role owns what either login creates.
  await client.query(`ALTER ROLE ${login} SET role = ${client.escapeLiteral(role)}`);
}

async function lock(client: Client, name: string, log: Logger): Promise<void> {
  if (!(await find(client, name))) return;
  await client.query(`ALTER ROLE ${client.escapeIdentifier(name)} NOLOGIN PASSWORD NULL`);
  try {
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
  } catch (error) {
    // An administrator that is neither a superuser nor a member of the login: the sessions end with the poolers' own limits.
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error;
    log.warn({ login: name }, 'the administrator may not terminate the sessions of a locked login');
  }
}

/** Creates the database if it is missing; only its owner and the named roles may connect. */
export async function ensureDatabase(client: Client, name: string, owner: string, users: readonly string[]): Promise<void> {
  const database = client.escapeIdentifier(name);
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${database} OWNER ${client.escapeIdentifier(owner)}`);
  // JIT compilation takes longer than the short statements here, and not every build of Postgres has it.
  await client.query(`ALTER DATABASE ${database} SET jit = off`);
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  for (const user of users) await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${client.escapeIdentifier(user)}`);
}

/** Creates the role of a metrics exporter if it is missing: it may connect, and read the server's statistics and settings, but no table. */
export async function ensureMonitor(client: Client, login: Login, databases: readonly string[], log: Logger): Promise<void> {
  await open(client, login.name, login);
  const name = client.escapeIdentifier(login.name);
  for (const database of databases) await client.query(`GRANT CONNECT ON DATABASE ${client.escapeIdentifier(database)} TO ${name}`);
  try {
    await client.query(`GRANT pg_monitor TO ${name}`);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== '42501') throw error;
    const what = `the administrator may not grant pg_monitor: statistics of other roles are missing until a superuser runs GRANT pg_monitor TO ${login.name}`;
    log.warn({ login: login.name }, what);
  }
}

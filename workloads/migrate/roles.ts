import { DatabaseError } from 'pg';
import type { Client } from 'pg';
import type { Logger } from '../shared/kernel/log.ts';

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

async function exists(client: Client, name: string): Promise<boolean> {
  return (await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name])).rowCount === 1;
}

async function ensureExists(client: Client, name: string): Promise<void> {
  if (!(await exists(client, name))) await client.query(`CREATE ROLE ${client.escapeIdentifier(name)}`);
}

async function open(client: Client, role: string, { name, password }: Login): Promise<void> {
  await ensureExists(client, name);
  const login = client.escapeIdentifier(name);
  await client.query(`ALTER ROLE ${login} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD ${client.escapeLiteral(password)}`);
  for (const [setting, value] of Object.entries(LIMITS)) await client.query(`ALTER ROLE ${login} SET ${setting} = '${value}'`);
  if (name === role) return;
  await client.query(`GRANT ${client.escapeIdentifier(role)} TO ${login}`);
  // The role owns what either login creates.
  await client.query(`ALTER ROLE ${login} SET role = ${client.escapeLiteral(role)}`);
}

async function lock(client: Client, name: string, log: Logger): Promise<void> {
  if (!(await exists(client, name))) return;
  await client.query(`ALTER ROLE ${client.escapeIdentifier(name)} NOLOGIN PASSWORD NULL`);
  try {
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [name]);
  } catch (error) {
    // An administrator without superuser rights may not terminate sessions of others: they end with the poolers' own limits.
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

import type { Client } from 'pg';

/** A login role with its password and the limits that bound what a hung client can hold up. */
export interface Role {
  name: string;
  password: string;
}

/** Server-side limits, set on the role because PgBouncer in transaction mode keeps no session settings. */
const LIMITS = { statement_timeout: '60s', idle_in_transaction_session_timeout: '15s', lock_timeout: '20s' };

/** Creates the role when missing, and sets its password and limits. */
export async function ensureRole(client: Client, { name, password }: Role): Promise<void> {
  const role = client.escapeIdentifier(name);
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [name]);
  if (rowCount === 0) await client.query(`CREATE ROLE ${role}`);
  await client.query(`ALTER ROLE ${role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD ${client.escapeLiteral(password)}`);
  for (const [setting, value] of Object.entries(LIMITS)) await client.query(`ALTER ROLE ${role} SET ${setting} = '${value}'`);
}

/** Creates the database when missing; only its owner and the named roles may connect. */
export async function ensureDatabase(client: Client, name: string, owner: string, users: string[]): Promise<void> {
  const database = client.escapeIdentifier(name);
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
  if (rowCount === 0) await client.query(`CREATE DATABASE ${database} OWNER ${client.escapeIdentifier(owner)}`);
  // Compiling a statement takes longer than the short ones here run, and not every build of Postgres has the compiler.
  await client.query(`ALTER DATABASE ${database} SET jit = off`);
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  for (const user of users) await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${client.escapeIdentifier(user)}`);
}

/** An external PostgreSQL whose administrator is no superuser, as on RDS, Cloud SQL and CloudNativePG: a role with CREATEROLE and CREATEDB. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Client, DatabaseError, escapeLiteral } from 'pg';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { everyLogin } from '../shared/testing/logins.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { migrate } from './migrate.ts';
import type { Login } from './roles.ts';

const LIMIT = { timeout: 120_000 };
const ADMIN = 'cloud_admin';
/** A quote, a backslash and a percent sign must survive the statement and the connection. */
const PASSWORDS = {
  admin: `admin-s3cret'\\%24`,
  nextAdmin: 'admin-s3cret-next',
  ledger: `ledger-s3cret'\\%24`,
  second: 'second-s3cret',
  interest: 'interest-s3cret',
  exporter: `exporter-s3cret'\\%24`,
  others: 'others-s3cret',
};
const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

let services: { postgres: PostgresService; stop(): Promise<void> };

before(async () => {
  services = await startServices({ postgres: true });
  const { password } = services.postgres;
  // The only statement with a password, before the server logs every statement.
  await as('postgres', password, `CREATE ROLE ${ADMIN} LOGIN CREATEROLE CREATEDB PASSWORD ${escapeLiteral(PASSWORDS.admin)}`);
  await as('postgres', password, `ALTER SYSTEM SET log_statement = 'all'`);
  await as('postgres', password, 'SELECT pg_reload_conf()');
}, LIMIT);
after(() => services?.stop(), LIMIT);

async function as<R extends object>(user: string, password: string, text: string, database = 'postgres'): Promise<R[]> {
  const { host, port } = services.postgres;
  const client = new Client({ host, port, user, password, database });
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

interface Run {
  admin?: string;
  formerAdmin?: string;
  ledger?: Login[];
}

function run({ admin = PASSWORDS.admin, formerAdmin, ledger = [{ name: 'ledger', password: PASSWORDS.ledger }] }: Run = {}): Promise<void> {
  const { host, port } = services.postgres;
  const interest = [{ name: 'interest', password: PASSWORDS.interest }];
  const adminUrl = `postgresql://${ADMIN}@${host}:${port}/postgres`;
  return migrate(
    {
      adminUrl,
      adminPassword: admin,
      formerAdminPassword: formerAdmin,
      logins: { ...everyLogin(PASSWORDS.others), ledger, interest },
      exporterPassword: PASSWORDS.exporter,
      seedAccounts: 10,
    },
    log,
  );
}

const userOf = (user: string, password: string): Promise<{ acts: string }[]> => as(user, password, 'SELECT current_user AS acts', 'ledger');

async function isRefused(user: string, password: string): Promise<boolean> {
  try {
    await userOf(user, password);
    return false;
  } catch (error) {
    return error instanceof DatabaseError && ['28P01', '28000'].includes(error.code ?? '');
  }
}

test('an administrator with CREATEROLE and CREATEDB creates the database and its roles, twice', LIMIT, async () => {
  await run();
  await run();
  assert.deepEqual(await userOf('ledger', PASSWORDS.ledger), [{ acts: 'ledger' }]);
  assert.deepEqual(await userOf('interest', PASSWORDS.interest), [{ acts: 'interest' }]);
  const rows = await as(
    'postgres',
    services.postgres.password,
    `SELECT rolname AS name FROM pg_roles WHERE rolname ~ '^(ledger|interest)' AND (rolsuper OR rolcreatedb OR rolcreaterole)`,
  );
  assert.deepEqual(rows, []);
});

interface Sight {
  statements: number;
  hidden: number;
}

/** What the exporter sees of the sessions of other roles. */
async function sight(): Promise<Sight | undefined> {
  const text = `SELECT count(*)::int AS statements, count(*) FILTER (WHERE query = '<insufficient privilege>')::int AS hidden
    FROM pg_stat_activity WHERE usename = 'postgres' AND datname = 'ledger'`;
  return (await as<Sight>('exporter', PASSWORDS.exporter, text, 'ledger'))[0];
}

test('the exporter connects and reads no table; it sees the statistics of others once a superuser grants pg_monitor', LIMIT, async () => {
  const { host, port, password } = services.postgres;
  const other = new Client({ host, port, user: 'postgres', password, database: 'ledger' });
  await other.connect();
  try {
    await assert.rejects(as('exporter', PASSWORDS.exporter, 'SELECT * FROM account', 'ledger'), /permission denied/);
    assert.deepEqual(await sight(), { statements: 1, hidden: 1 });
    const login = (name: 'ledger' | 'interest') => [{ name, password: PASSWORDS[name] }];
    const logins = { ...everyLogin(PASSWORDS.others), ledger: login('ledger'), interest: login('interest') };
    const adminUrl = `postgresql://postgres@${host}:${port}/postgres`;
    await migrate({ adminUrl, adminPassword: password, logins, exporterPassword: PASSWORDS.exporter, seedAccounts: 10 }, log);
    assert.deepEqual(await sight(), { statements: 1, hidden: 0 });
    await assert.rejects(as('exporter', PASSWORDS.exporter, 'SELECT * FROM account', 'ledger'), /permission denied/);
  } finally {
    await other.end();
  }
});

test('it rotates the logins and ends the sessions of a locked one', LIMIT, async () => {
  const { host, port } = services.postgres;
  const second = { name: 'ledger_b', password: PASSWORDS.second };
  await run({ ledger: [{ name: 'ledger', password: PASSWORDS.ledger }, second] });
  assert.deepEqual(await userOf('ledger_b', PASSWORDS.second), [{ acts: 'ledger' }]);
  const session = new Client({ host, port, user: 'ledger', password: PASSWORDS.ledger, database: 'ledger' });
  let ended = false;
  session.on('error', () => (ended = true));
  await session.connect();
  await run({ ledger: [second] });
  await waitFor('the session of the locked login to end', () => Promise.resolve(ended));
  assert.ok(await isRefused('ledger', PASSWORDS.ledger));
  await run();
  assert.ok(await isRefused('ledger_b', PASSWORDS.second));
  assert.deepEqual(await userOf('ledger', PASSWORDS.ledger), [{ acts: 'ledger' }]);
});

test(
  'a role that has become a superuser loses that right when the administrator may take it away, and is an error otherwise',
  LIMIT,
  async () => {
    const { password } = services.postgres;
    await as('postgres', password, 'ALTER ROLE interest SUPERUSER');
    await assert.rejects(run(), /permission denied to grant role "interest"/);
    const { host, port } = services.postgres;
    const login = (name: string, secret: string) => [{ name, password: secret }];
    const known = { ledger: login('ledger', PASSWORDS.ledger), interest: login('interest', PASSWORDS.interest) };
    const logins = { ...everyLogin(PASSWORDS.others), ...known };
    await migrate({ adminUrl: `postgresql://postgres@${host}:${port}/postgres`, adminPassword: password, logins, seedAccounts: 0 }, log);
    assert.deepEqual(await as('postgres', password, `SELECT rolsuper FROM pg_roles WHERE rolname = 'interest'`), [{ rolsuper: false }]);
    await run();
  },
);

test('it changes its own password', LIMIT, async () => {
  await run({ admin: PASSWORDS.nextAdmin, formerAdmin: PASSWORDS.admin });
  assert.ok(await isRefused(ADMIN, PASSWORDS.admin));
  await run({ admin: PASSWORDS.nextAdmin });
});

test('the log of the server has the statements and none of the passwords', LIMIT, async () => {
  const text = await readFile(services.postgres.logFile, 'utf8');
  assert.match(text, /ALTER ROLE "ledger" .*PASSWORD 'SCRAM-SHA-256\$/);
  for (const [name, password] of Object.entries(PASSWORDS)) assert.ok(!text.includes(password), `the password of ${name} is in the log`);
  assert.doesNotMatch(text, /s3cret/);
});

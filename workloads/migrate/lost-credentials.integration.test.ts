/** The credentials Secret was deleted while no operator ran: the command of docs/rotation.md gives the administrator the new password. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Client, escapeLiteral } from 'pg';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { DATABASE_ROLES, type Credentials } from '../../operator/src/platform/credentials.ts';
import { buildPlatform, completeCredentials, FIRST_SLOT, parseSpec } from '../../operator/src/platform/index.ts';
import { passwordKey } from '../../operator/src/platform/logins.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { migrate } from './migrate.ts';

const LIMIT = { timeout: 180_000 };
const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

let services: { postgres: PostgresService; stop(): Promise<void> };
let former: Credentials;

before(async () => {
  services = await startServices({ postgres: true });
  former = completeCredentials({ 'postgres-password': services.postgres.password }, randomBytes);
  await usePlatformRules();
}, LIMIT);
after(() => services?.stop(), LIMIT);

/** The server authenticates its clients by the pg_hba.conf that the operator gives it. */
async function usePlatformRules(): Promise<void> {
  const parsed = parseSpec({});
  assert.ok(parsed.ok);
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system', secretHashes: {}, slots: FIRST_SLOT };
  const manifests = buildPlatform({ ...identity, spec: parsed.spec }).flatMap((component) => component.manifests);
  const config = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'demo-postgres');
  const rules = (config?.['data'] as Record<string, string> | undefined)?.['pg_hba.conf'] ?? '';
  const encoded = Buffer.from(rules).toString('base64');
  await asAdministrator(`COPY (SELECT '${encoded}') TO PROGRAM 'base64 -d > /data/pgdata/pg_hba.conf'`);
  await asAdministrator('SELECT pg_reload_conf()');
}

async function asAdministrator(text: string): Promise<void> {
  const client = new Client({ connectionString: services.postgres.url() });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

function runJob(secret: Credentials): Promise<void> {
  const logins = DATABASE_ROLES.map((role) => [role, [{ name: role, password: secret[passwordKey(role, 'a')] ?? '' }]]);
  const adminUrl = services.postgres.url().replace(/:[^:@]*@/, '@');
  return migrate({ adminUrl, adminPassword: secret['postgres-password'] ?? '', logins: Object.fromEntries(logins), seedAccounts: 0 }, log);
}

/** The command that the page has for within the container; PostgreSQL runs it as the container would: under its own user, with lines on stdin. */
async function documentedCommand(): Promise<string> {
  const page = await readFile(new URL('../../docs/rotation.md', import.meta.url), 'utf8');
  const command = /exec -i \S+ -c postgres -- (psql .*)$/m.exec(page)?.[1];
  assert.ok(command, 'docs/rotation.md has the command');
  return command;
}

test('the new password of the administrator is set from within the container, without the former one', LIMIT, async () => {
  await runJob(former);
  const fresh = completeCredentials({}, randomBytes);
  await assert.rejects(runJob(fresh), /password authentication failed for user "postgres"/);

  const command = `${await documentedCommand()} -p ${services.postgres.port}`;
  const password = escapeLiteral(fresh['postgres-password'] ?? '');
  await asAdministrator(`COPY (SELECT ${password} UNION ALL SELECT ${password}) TO PROGRAM ${escapeLiteral(command)}`);

  await runJob(fresh);
  const { host, port } = services.postgres;
  const ledger = new Client({ host, port, database: 'ledger', user: 'ledger', password: fresh['ledger-password'] ?? '' });
  await ledger.connect();
  await ledger.query('SELECT count(*) FROM account');
  await ledger.end();
});

test('over TCP the administrator still needs the password', LIMIT, async () => {
  const { host, port } = services.postgres;
  const client = new Client({ host, port, user: 'postgres', password: 'wrong', database: 'postgres' });
  await assert.rejects(client.connect(), /password authentication failed/);
});

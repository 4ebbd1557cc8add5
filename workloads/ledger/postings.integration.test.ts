/** The ledger's triggers with several writers at once, and what the server's log says of their statements, against a real Postgres. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { buildPlatform, FIRST_SLOT, parseSpec } from '../../operator/src/platform/index.ts';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { migrate } from '../migrate/migrate.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { everyLogin } from '../shared/testing/logins.ts';

const LIMIT = { timeout: 120_000 };
const ACCOUNTS = 2_000;
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
let services: { postgres: PostgresService; stop(): Promise<void> };
let ids: string[];

before(async () => {
  services = await startServices({ postgres: true });
  const logins = everyLogin('test-password');
  const { postgres } = services;
  await migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins, seedAccounts: ACCOUNTS }, log);
  ids = await connected(async (client) => {
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM account WHERE kind = 'customer' AND currency = 'EUR'`);
    return rows.map(({ id }) => id);
  });
}, LIMIT);
after(() => services?.stop(), LIMIT);

async function connected<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: services.postgres.url('ledger') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** One transaction that moves a cent from the opening equity to each of the accounts. */
async function credit(client: Client, accounts: string[]): Promise<void> {
  const id = randomUUID();
  await client.query('BEGIN');
  await client.query(`INSERT INTO journal_transaction (id, kind, currency, value_date) VALUES ($1, 'opening', 'EUR', '2026-01-01')`, [id]);
  await client.query(
    `INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
     SELECT $1::uuid, row_number() OVER (), account_id, 'EUR', 1 FROM unnest($2::text[]) AS a (account_id)
     UNION ALL SELECT $1::uuid, 0, $3, 'EUR', -cardinality($2::text[])`,
    [id, accounts, 'opening-equity.EUR'],
  );
  await client.query('COMMIT');
}

test('writers that post to the same accounts wait for each other and do not deadlock', LIMIT, async () => {
  const writer = (share: number) =>
    connected(async (client) => {
      for (let round = 0; round < 15; round++) await credit(client, ids.slice(0, Math.floor(ids.length * share)));
    });
  await Promise.all([1, 0.9, 0.6, 0.3, 0.1].map(writer));
});

/** The settings of the managed server that begin with log_, as the operator writes them. */
function logSettings(): [string, string][] {
  const parsed = parseSpec({});
  assert.ok(parsed.ok);
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system' };
  const components = buildPlatform({ ...identity, spec: parsed.spec, secretHashes: {}, slots: FIRST_SLOT });
  const text = JSON.stringify(components.find(({ name }) => name === 'postgres')?.manifests.filter(({ kind }) => kind === 'ConfigMap'));
  return [...text.matchAll(/(log_[a-z_]+) = '([^']*)'/g)].map(([, name = '', setting = '']) => [name, setting]);
}

/** The log of this process's server, which writes it into a folder with the process's id. */
async function serverLog(): Promise<string> {
  const folder = (await readdir(tmpdir())).find((name) => name.startsWith(`bss-services-${process.pid}-`));
  assert.ok(folder !== undefined);
  return readFile(join(tmpdir(), folder, 'postgres.log'), 'utf8');
}

test('the log of the managed server has slow and failed statements without their parameters', LIMIT, async () => {
  const settings = logSettings();
  assert.ok(settings.some(([name]) => name === 'log_min_duration_statement'));
  await connected(async (client) => {
    for (const [name, setting] of settings) await client.query(`ALTER SYSTEM SET ${name} = ${client.escapeLiteral(setting)}`);
    await client.query('SELECT pg_reload_conf()');
  });
  await connected(async (client) => {
    await waitFor('the settings to apply', async () => {
      const { rows } = await client.query<{ limit: string }>(`SELECT current_setting('log_min_duration_statement') AS limit`);
      return rows[0]?.limit === '500ms';
    });
    await client.query('SELECT pg_sleep(0.6), $1::text AS slow', ['a-customer-who-is-slow']);
    await assert.rejects(
      client.query('SELECT 1 / length($1::text) - length($1) / 0 AS failed', ['a-customer-who-fails']),
      /division by zero/,
    );
    const text = await waitFor('both statements to be in the log', async () => {
      const written = await serverLog();
      return /AS slow/.test(written) && /AS failed/.test(written) && written;
    });
    assert.doesNotMatch(text, /a-customer-who/);
  });
});

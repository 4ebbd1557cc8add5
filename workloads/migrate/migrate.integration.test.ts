/** The migration run again, beside accounts of real customers, and stopped in the middle. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { runner } from 'node-pg-migrate';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { migrationsOf } from '../shared/databases/index.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { everyLogin } from '../shared/testing/logins.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { Workload } from '../shared/testing/workload.ts';
import { migrate } from './migrate.ts';

const LIMIT = { timeout: 120_000 };
const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
let services: { postgres: PostgresService; stop(): Promise<void> };

before(async () => {
  services = await startServices({ postgres: true });
}, LIMIT);
after(() => services?.stop(), LIMIT);

function run(seedAccounts: number): Promise<void> {
  const { postgres } = services;
  return migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin('test-password'), seedAccounts }, log);
}

async function sql<R extends object>(text: string, database = 'ledger'): Promise<R[]> {
  const client = new Client({ connectionString: services.postgres.url(database) });
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

test('a second run adds the missing demo accounts and credits no account of a customer', LIMIT, async () => {
  await run(10);
  await sql(
    `INSERT INTO account (id, kind, currency, product_code) VALUES ('customer-1', 'customer', 'EUR', 'savings'), ('acc-0000012', 'customer', 'EUR', 'savings')`,
  );
  await run(20);
  const accounts = await sql<{ id: string; balance: number }>(
    `SELECT id, balance_minor::int AS balance FROM account WHERE kind = 'customer' ORDER BY id`,
  );
  assert.equal(accounts.length, 21);
  const empty = accounts.filter(({ balance }) => balance === 0).map(({ id }) => id);
  assert.deepEqual(empty, ['acc-0000012', 'customer-1'], 'also an account that a customer has under the id of a demo account');
  const first = JSON.stringify(accounts);
  await run(20);
  assert.equal(
    JSON.stringify(await sql(`SELECT id, balance_minor::int AS balance FROM account WHERE kind = 'customer' ORDER BY id`)),
    first,
  );
});

/** Runs migrations backwards, down to the one before the topic id, as the owner. */
async function migrateDown(): Promise<void> {
  const url = new URL(services.postgres.url('ledger'));
  [url.username, url.password] = ['ledger', 'test-password'];
  const dbClient = new Client({ connectionString: url.href });
  await dbClient.connect();
  try {
    const undone = await runner({
      dbClient,
      dir: migrationsOf('ledger'),
      direction: 'down',
      count: 7,
      migrationsTable: 'schema_migration',
      log: () => undefined,
    });
    assert.deepEqual(
      undone.map(({ name }) => name),
      [
        '011_day_count',
        '010_grouped_once',
        '009_outbox',
        '008_apply_operations',
        '007_transactions_and_holds',
        '006_limits_and_sequence',
        '005_topic_id',
      ],
    );
  } finally {
    await dbClient.end();
  }
}

test('the topic id is added beside stored positions, and consumers of the former version go on', LIMIT, async () => {
  await run(10);
  await migrateDown();
  const former = `INSERT INTO consumer_offset (consumer_group, topic, partition, next_offset) SELECT 'g', 't', p, 1000 + p FROM generate_series`;
  await sql(`${former} (0, 999) AS p`);
  await run(10);
  const columns = 'SELECT count(*)::int AS rows, sum(next_offset)::int AS sum, count(topic_id)::int AS ids FROM consumer_offset';
  assert.deepEqual(await sql(columns), [{ rows: 1_000, sum: 1_499_500, ids: 0 }]);
  await sql(`UPDATE consumer_offset SET topic_id = 'uQgcSL1WQpywvMEoQwHFKg' WHERE partition = 7`);
  // As the consumer's role, with the statements of the former version.
  await sql(
    `SET ROLE interest; ${former} (1000, 1000) AS p;
     UPDATE consumer_offset SET next_offset = next_offset + 1, updated_at = now() WHERE partition = 7`,
  );
  assert.deepEqual(await sql(columns), [{ rows: 1_001, sum: 1_501_501, ids: 1 }]);
  await assert.rejects(sql(`UPDATE consumer_offset SET topic_id = 'no id'`), /consumer_offset_topic_id_check/);
});

test('a Job that SIGTERM stops in the middle has not succeeded', LIMIT, async () => {
  const { postgres } = services;
  const blocker = new Client({ connectionString: postgres.url() });
  await blocker.connect();
  await blocker.query('SELECT pg_advisory_lock(727367)');
  const job = await Workload.start('migrate', {
    DATABASE_ADMIN_URL: postgres.url().replace(/:[^:@]*@/, '@'),
    PGPASSWORD: postgres.password,
    LEDGER_PASSWORD: 'test-password',
    INTEREST_PASSWORD: 'test-password',
    POOLERS: 'localhost:1',
  });
  try {
    await waitFor('the Job to wait for the lock', async () => {
      const waiting = await sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 727367 AND NOT granted`, 'postgres');
      return waiting.length > 0;
    });
    assert.equal(await job.end('SIGTERM'), 143, job.log);
  } finally {
    await job.end('SIGKILL');
    await blocker.end();
  }
});

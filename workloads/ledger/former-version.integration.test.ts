/** Migrations 006 to 011 on a filled database, and the interest consumer of the version before them, which keeps writing during a rollout. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { runner } from 'node-pg-migrate';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { migrate } from '../migrate/migrate.ts';
import { migrationsOf } from '../shared/databases/index.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { LedgerStore, type LedgerCheck } from './store.ts';
import { everyLogin } from '../shared/testing/logins.ts';

const LIMIT = { timeout: 120_000 };
const ACCOUNTS = 200;
const EVENTS = 5_000;
const log = createLogger({ service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
let services: { postgres: PostgresService; stop(): Promise<void> };

before(async () => {
  services = await startServices({ postgres: true });
}, LIMIT);
after(() => services?.stop(), LIMIT);

/** The statements of the consumer before migration 006, without its positions. */
const FORMER_READ = `SELECT id, currency, product_code, balance_minor FROM account WHERE id = ANY ($1::text[]) ORDER BY id FOR NO KEY UPDATE`;
const FORMER_WRITE = `
WITH event AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::date[])
    AS e (id, account_id, contra_id, currency, amount, value_date)
), journal AS (
  INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT id, 'interest', currency, value_date FROM event
)
INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
SELECT id, line, CASE line WHEN 1 THEN account_id ELSE contra_id END, currency, CASE line WHEN 1 THEN amount ELSE -amount END
  FROM event CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS l (line) WHERE amount <> 0`;

async function connected<T>(work: (client: Client) => Promise<T>, role?: string): Promise<T> {
  const client = new Client({ connectionString: services.postgres.url('ledger') });
  await client.connect();
  try {
    if (role !== undefined) await client.query(`SET ROLE ${role}`);
    return await work(client);
  } finally {
    await client.end();
  }
}

function up(): Promise<void> {
  const logins = everyLogin('test-password');
  const { postgres } = services;
  return migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins, seedAccounts: ACCOUNTS }, log);
}

/** Back to the schema of the former version; accounts and journal stay. */
async function down(): Promise<void> {
  const options = { dir: migrationsOf('ledger'), direction: 'down', count: 6, migrationsTable: 'schema_migration' } as const;
  const undone = await connected((dbClient) => runner({ ...options, dbClient, log: () => undefined }), 'ledger');
  assert.deepEqual(undone.map(({ name }) => name).toSorted()[0], '006_limits_and_sequence');
}

/** A batch of the former consumer: interest on accounts in EUR, in one transaction. */
async function formerBatch(events: number): Promise<void> {
  await connected(async (client) => {
    const { rows } = await client.query<{ id: string }>(`SELECT id FROM account WHERE kind = 'customer' AND currency = 'EUR' ORDER BY id`);
    const accounts = Array.from({ length: events }, (_value, index) => rows[(index * 7) % rows.length]?.id ?? '');
    await client.query('BEGIN');
    await client.query(FORMER_READ, [[...new Set([...accounts, 'interest-expense.EUR.3'])]]);
    await client.query(FORMER_WRITE, [
      accounts.map(() => randomUUIDv7()),
      accounts,
      accounts.map(() => 'interest-expense.EUR.3'),
      accounts.map(() => 'EUR'),
      accounts.map((_account, index) => String(index % 50)),
      accounts.map(() => '2026-01-31'),
    ]);
    await client.query('COMMIT');
  }, 'interest');
}

const check = (): Promise<LedgerCheck> =>
  connected((client) => new LedgerStore({ query: async (_name, text, values) => (await client.query(text, values)).rows }).check());

/** Postings of customers, those of them in the outbox, and those that it has before an earlier posting of their account, or twice. */
async function outbox(): Promise<{ postings: number; queued: number; misplaced: number; ranges: number }> {
  const { rows } = await connected((client) =>
    client.query<{ postings: number; queued: number; misplaced: number; ranges: number }>(
      `WITH customer AS (SELECT p.* FROM posting p JOIN account a ON a.id = p.account_id WHERE a.kind = 'customer'),
            queued AS (
              SELECT o.seq, p.account_id, p.account_seq FROM outbox o CROSS JOIN unnest(o.transaction_ids) AS u (id) JOIN customer p ON p.transaction_id = u.id
              UNION ALL SELECT o.seq, p.account_id, p.account_seq FROM outbox o
                JOIN customer p ON p.account_id = o.account_id AND p.account_seq BETWEEN o.first_seq AND o.last_seq),
            placed AS (SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY seq, account_seq) AS place FROM queued)
       SELECT (SELECT count(*) FROM customer)::int AS postings, count(*)::int AS queued,
              (count(*) FILTER (WHERE account_seq <> place))::int AS misplaced,
              (SELECT count(*) FROM outbox WHERE account_id IS NOT NULL)::int AS ranges FROM placed`,
    ),
  );
  return rows[0] ?? assert.fail('no row');
}

test(
  'postings of a filled database get their sequence, and the former consumer keeps writing beside the new schema',
  LIMIT,
  async (context) => {
    await up();
    await down();
    await formerBatch(EVENTS);
    const startedAt = performance.now();
    await up();
    context.diagnostic(`migrations 006 to 009 took ${((performance.now() - startedAt) / 1000).toFixed(1)} s for ${2 * EVENTS} postings`);
    const migrated = await check();
    assert.ok(migrated.ok, JSON.stringify(migrated));
    assert.equal(migrated.interestTransactions, EVENTS);
    const filled = await outbox();
    assert.ok(filled.ranges >= ACCOUNTS, 'the postings that existed are in the outbox by account');
    assert.deepEqual([filled.queued, filled.misplaced], [filled.postings, 0], JSON.stringify(filled));

    const writers = Array.from({ length: 4 }, () => formerBatch(1_000));
    await Promise.all(writers);
    const rolledOut = await check();
    assert.ok(rolledOut.ok, JSON.stringify(rolledOut));
    assert.equal(rolledOut.interestTransactions, EVENTS + 4_000);
    const unnumbered = await connected((client) =>
      client.query('SELECT FROM posting WHERE account_seq IS NULL OR balance_after_minor IS NULL'),
    );
    assert.equal(unnumbered.rowCount, 0);
    const queued = await outbox();
    assert.ok(queued.postings > filled.postings);
    assert.deepEqual([queued.queued, queued.misplaced, queued.ranges], [queued.postings, 0, filled.ranges], JSON.stringify(queued));
  },
);

/** Plans stay as long as their session: one that was made while the journal was small must do for a large one. The server's counters of rows decide. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../shared/testing/wait.ts';
import type { LedgerEngine } from './engine.ts';
import { postOperation } from './operations.ts';
import { LedgerDatabase } from './testing/database.ts';

const LIMIT = { timeout: 120_000 };
const BATCHES = 100;
const BATCH = 20;
/** For a transaction: its check, and those of its postings' foreign keys. Against the whole journal it would be 50 on average. */
const MOST_READS = 10;

let database: LedgerDatabase;

before(async () => {
  database = await LedgerDatabase.start();
}, LIMIT);
after(() => database?.stop(), LIMIT);

/** Rows of the journal since the counters began: inserted, and read by index. */
async function counters(): Promise<{ inserted: number; read: number }> {
  const [row] = await database.sql<{ inserted: number; read: number }>(
    `SELECT n_tup_ins::int AS inserted, idx_tup_fetch::int AS read FROM pg_stat_user_tables WHERE relname = 'journal_transaction'`,
  );
  assert.ok(row);
  return row;
}

/** Transfers of one minor unit, in one call. */
async function transfer(engine: LedgerEngine, count: number): Promise<void> {
  const postings = [
    { accountId: 'one', amountMinor: '-1' },
    { accountId: 'other', amountMinor: '1' },
  ];
  const operations = Array.from({ length: count }, () => postOperation({ externalId: randomUUID(), currency: 'EUR', postings }));
  for (const { errorType } of await engine.submitAll(operations)) assert.equal(errorType, undefined);
}

test('what a batch reads of the journal does not grow with the journal', LIMIT, async (context) => {
  await database.sql(`INSERT INTO account (id, kind, currency) VALUES ('one', 'internal', 'EUR'), ('other', 'internal', 'EUR')`);
  await transfer(database.engine().engine, 1);
  // With one row in its only page, the planner expects one row a page for as long as these statistics last.
  await database.sql('ALTER TABLE journal_transaction SET (autovacuum_enabled = false)');
  await database.sql('ANALYZE');
  const start = await counters();
  const { engine } = database.engine();
  for (let batch = 0; batch < BATCHES; batch += 1) await transfer(engine, BATCH);
  const end = await waitFor(
    'the counters to have every transaction',
    async () => {
      const now = await counters();
      return now.inserted - start.inserted >= BATCHES * BATCH ? now : undefined;
    },
    30_000,
  );
  const reads = (end.read - start.read) / (BATCHES * BATCH);
  context.diagnostic(`${reads.toFixed(1)} rows of the journal read for a transaction`);
  assert.ok(reads < MOST_READS, `${reads} rows of the journal read for a transaction`);
});

/** What the database itself refuses, whoever writes; and several writers at once, the interest consumer's statements among them. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { InterestStore } from '../interest/store.ts';
import { ProductConfigs } from '../interest/product-configs.ts';
import { interestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { decodeSlice, jsonDecoder } from '../shared/kernel/consumer/decode.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { cut } from '../shared/kernel/consumer/slice.ts';
import { FaultProxy } from '../shared/testing/fault-proxy.ts';
import { consumed } from '../shared/testing/record.ts';
import { holdOperation, postOperation, settleOperation } from './operations.ts';
import type { Operation } from './operations.ts';
import { LedgerDatabase } from './testing/database.ts';

const LIMIT = { timeout: 180_000 };
let database: LedgerDatabase;
let customers: string[];

before(async () => {
  database = await LedgerDatabase.start(200);
  await database.sql(`INSERT INTO account (id, kind, currency) VALUES ('cash', 'internal', 'EUR'), ('cash.usd', 'internal', 'USD')`);
  await database.sql(`INSERT INTO account (id, kind, currency, min_balance_minor, closed_at) VALUES ('gone', 'internal', 'EUR', 0, now())`);
  await database.sql(`INSERT INTO account (id, kind, currency, min_balance_minor) VALUES ('strict', 'internal', 'EUR', 0)`);
  const rows = await database.sql<{ id: string }>(`SELECT id FROM account WHERE kind = 'customer' AND currency = 'EUR' ORDER BY id`);
  customers = rows.map(({ id }) => id);
}, LIMIT);
after(() => database?.stop(), LIMIT);

function transfer(from: string, to: string, amount: number, externalId: string = randomUUIDv7()): Operation {
  const postings = [
    { accountId: from, amountMinor: String(-amount) },
    { accountId: to, amountMinor: String(amount) },
  ];
  return postOperation({ externalId, currency: 'EUR', postings });
}

/** Postings of a transaction as a writer of our own would insert them: [account, amount, sequence]. */
function posted(lines: readonly (readonly [string, number, number?])[], currency = 'EUR'): string {
  const rows = lines.map(
    ([account, amount, seq], line) => `(t, ${line + 1}, '${account}', '${currency}', ${amount}, ${seq ?? 'NULL::bigint'})`,
  );
  return `WITH t AS (SELECT gen_random_uuid() AS t), j AS (
    INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT t, 'opening', 'EUR', '2026-01-01' FROM t)
    INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor, account_seq)
    SELECT v.* FROM t, LATERAL (VALUES ${rows.join(', ')}) AS v (id, line, account_id, currency, amount, seq)`;
}

const refused: Record<string, { statement: string; error: RegExp }> = {
  'postings that do not sum to zero': {
    statement: posted([
      ['cash', 5],
      ['strict', -4],
    ]),
    error: /does not balance/,
  },
  'a posting in another currency than its account': {
    statement: posted([
      ['cash.usd', 5],
      ['cash', -5],
    ]),
    error: /does not exist in the currency of its postings/,
  },
  'a balance below its limit': {
    statement: posted([
      ['strict', -1],
      ['cash', 1],
    ]),
    error: /account_limit/,
  },
  'postings of a closed account, even if they sum to zero': {
    statement: posted([
      ['gone', 5],
      ['gone', -5],
    ]),
    error: /account gone is closed/,
  },
  'a gap in the sequence of an account': {
    statement: posted([
      ['cash', 5, 1_000_000],
      ['cash', -5, 1_000_001],
    ]),
    error: /do not continue their sequence/,
  },
  'a hold above what is available': {
    statement: `INSERT INTO hold (id, external_id, content_hash, account_id, currency, amount_minor)
      VALUES (gen_random_uuid(), 'h', decode(repeat('00', 16), 'hex'), 'strict', 'EUR', 1)`,
    error: /account_limit/,
  },
  'a hold in another currency than its account': {
    statement: `INSERT INTO hold (id, external_id, content_hash, account_id, currency, amount_minor)
      VALUES (gen_random_uuid(), 'h', decode(repeat('00', 16), 'hex'), 'cash', 'USD', 1)`,
    error: /are not open in the currency/,
  },
  'a changed posting': { statement: 'UPDATE posting SET amount_minor = 1', error: /append-only/ },
  'a renumbered posting': { statement: 'UPDATE posting SET account_seq = account_seq + 1', error: /append-only/ },
  'a deleted posting': { statement: 'DELETE FROM posting', error: /append-only/ },
  'a changed balance': { statement: 'UPDATE account SET balance_minor = 0', error: /moves by postings alone/ },
  'a changed held amount': { statement: 'UPDATE account SET held_minor = 0', error: /moves by postings alone/ },
  'a changed currency': { statement: `UPDATE account SET currency = 'USD' WHERE id = 'strict'`, error: /cannot change/ },
  'an account with a comma in its id': {
    statement: `INSERT INTO account (id, kind, currency) VALUES ('a,b', 'internal', 'EUR')`,
    error: /account id "a,b" must be 1 to 64 letters/,
  },
  'a changed id': { statement: `UPDATE account SET id = 'a,b' WHERE id = 'strict'`, error: /cannot change/ },
  'a transaction in two currencies, each of which sums to zero': {
    statement: `WITH t AS (SELECT gen_random_uuid() AS t), j AS (
      INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT t, 'opening', 'EUR', '2026-01-01' FROM t)
      INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
      SELECT t, v.* FROM t, (VALUES (1, 'cash', 'EUR', 5), (2, 'cash', 'EUR', -5), (3, 'cash.usd', 'USD', 5), (4, 'cash.usd', 'USD', -5)) v`,
    error: /does not balance/,
  },
  'a closed account that opens again': { statement: `UPDATE account SET closed_at = NULL WHERE id = 'gone'`, error: /stays closed/ },
  'closing an account with a balance': {
    statement: `UPDATE account SET closed_at = now() WHERE id = 'acc-0000001'`,
    error: /account_closed_empty/,
  },
  'a deleted hold': { statement: 'DELETE FROM hold', error: /append-only/ },
};
for (const [name, { statement, error }] of Object.entries(refused)) {
  // As the administrator, whom no missing right stops: triggers and constraints alone refuse.
  test(`the database refuses ${name}`, LIMIT, () => assert.rejects(database.sql(statement), error));
}

const forbidden = [
  'UPDATE posting SET amount_minor = 1',
  'DELETE FROM posting',
  'DELETE FROM journal_transaction',
  'DELETE FROM hold',
  'TRUNCATE account',
];
test('the role of the ledger has no right to change the journal', LIMIT, async () => {
  const pool = database.connect('ledger');
  for (const statement of forbidden) await assert.rejects(pool.query('break', statement), /permission denied/, statement);
  const interest = database.connect('interest');
  for (const statement of ['SELECT expire_holds(1)', 'UPDATE account SET held_minor = 0', 'SELECT * FROM hold']) {
    await assert.rejects(interest.query('break', statement), /permission denied/, statement);
  }
});

test('the role of the relay reads the journal and empties the outbox, and has no other right', LIMIT, async () => {
  const relay = database.connect('relay');
  const [found] = await relay.query<{ rows: number }>(
    'read',
    'SELECT count(*)::int AS rows FROM outbox, (SELECT FROM posting LIMIT 1) p, (SELECT FROM account LIMIT 1) a',
  );
  assert.ok(found && found.rows > 0);
  const statements = [
    'INSERT INTO outbox (transaction_ids) VALUES (ARRAY[gen_random_uuid()])',
    'UPDATE outbox SET created_at = now()',
    'TRUNCATE outbox_trace',
    'DELETE FROM posting',
    'UPDATE account SET balance_minor = 0',
    'SELECT FROM hold',
    'SELECT FROM consumer_offset',
  ];
  for (const statement of statements) await assert.rejects(relay.query('break', statement), /permission denied/, statement);
});

test('an ended hold does not change again', LIMIT, async () => {
  const { engine } = database.engine();
  await engine.submit(transfer('cash', 'strict', 100));
  const placed = await engine.submit(holdOperation({ externalId: 'ended', accountId: 'strict', currency: 'EUR', amountMinor: '60' }));
  assert.ok(placed.errorType === undefined);
  const hold = { id: placed.id, accountId: 'strict', currency: 'EUR', amountMinor: 60n };
  assert.ok(
    (await engine.submit(settleOperation({ externalId: 'ended', toAccountId: 'cash', amountMinor: '20' }, hold))).errorType === undefined,
  );
  await assert.rejects(
    database.sql(`UPDATE hold SET state = 'pending', ended_at = NULL, settled_minor = NULL WHERE id = $1`, [placed.id]),
    /only the state of a pending hold can change/,
  );
  const [row] = await database.sql('SELECT balance_minor::int AS balance, held_minor::int AS held FROM account WHERE id = $1', ['strict']);
  assert.deepEqual(row, { balance: 80, held: 0 }, 'the rest is released');
});

test('a balance that would leave its range is rejected alone', LIMIT, async () => {
  const { engine, calls } = database.engine();
  const large = Number.MAX_SAFE_INTEGER;
  await database.sql(`INSERT INTO account (id, kind, currency) VALUES ('sea', 'internal', 'EUR')`);
  const times = Math.floor(8e18 / large);
  const operations = Array.from({ length: times + 1 }, () => transfer('cash', 'sea', large));
  const callsBefore = calls();
  const outcomes = await engine.submitAll([...operations, transfer('cash', 'strict', 1)].slice(-500));
  assert.equal(outcomes.at(-1)?.errorType, undefined);
  const rest = await engine.submitAll(operations.slice(0, -499));
  assert.equal(calls(), callsBefore + 1 + Math.ceil((times + 1 - 499) / 500), 'no call failed');
  assert.equal([...outcomes, ...rest].filter(({ errorType }) => errorType === 'balance_out_of_range').length, 1);
  await engine.submit(transfer('sea', 'cash', large));
});

/** Interest on random customers through the consumer's store, in slices of 200. */
async function interestWriter(partition: number, rounds: number): Promise<number> {
  const pool = database.connect('interest');
  const group = `group-${partition}`;
  await new Positions(pool, group, 'topic').place([
    { partition, from: undefined, to: { next: 0n, topicId: undefined }, lost: 0n, reason: 'new' as const },
  ]);
  const [store, configs] = [new InterestStore(pool, group, 'topic'), new ProductConfigs(pool)];
  const decode = jsonDecoder(interestTransaction, ({ accountId }) => accountId);
  let applied = 0;
  for (let start = 0n; start < BigInt(rounds * 200); start += 200n) {
    const records = Array.from({ length: 200 }, (_value, index) => recordOf(start + BigInt(index)));
    const slices = cut<InterestTransaction>([{ topic: 'topic', partition, start, next: start + 200n, records }], 200);
    for (const slice of slices) {
      await decodeSlice(slice, decode);
      const outcome = await store.apply(slice, await configs.lookup(), () => undefined);
      if (outcome.kind === 'applied') applied += outcome.events;
    }
  }
  return applied;
}

function recordOf(offset: bigint) {
  const accountId = customers[Math.floor(Math.random() * customers.length)] ?? '';
  const event = { id: randomUUIDv7(), accountId, currency: 'EUR', days: 30, valueDate: '2026-01-31' };
  return consumed({ offset, key: Buffer.from(accountId), value: Buffer.from(JSON.stringify(event)) });
}

/** Batches of random transfers among the customers, from its own engine. */
async function transferWriter(batches: number): Promise<number> {
  const { engine } = database.engine();
  const pick = () => customers[Math.floor(Math.random() * customers.length)] ?? '';
  let accepted = 0;
  for (let batch = 0; batch < batches; batch++) {
    const operations = Array.from({ length: 100 }, () => transfer(pick(), pick(), 1 + Math.floor(Math.random() * 50)));
    const outcomes = await engine.submitAll(operations);
    accepted += outcomes.filter(({ errorType }) => errorType === undefined).length;
  }
  return accepted;
}

async function deadlocks(): Promise<number> {
  const [row] = await database.sql<{ deadlocks: number }>(`SELECT deadlocks::int FROM pg_stat_database WHERE datname = 'ledger'`);
  return row?.deadlocks ?? -1;
}

test('transfers, holds and interest on the same accounts wait for one another and do not deadlock', LIMIT, async () => {
  const atStart = await database.store.check();
  const writers = [1, 2, 3].map(() => transferWriter(10));
  const consumers = [1, 2].map((partition) => interestWriter(partition, 10));
  const sweeps = Array.from({ length: 5 }, () => database.store.expireHolds(100));
  const [transfers, interest] = await Promise.all([Promise.all(writers), Promise.all(consumers), Promise.all(sweeps)]);
  const check = await database.store.check();
  assert.ok(check.ok, JSON.stringify(check));
  const written = [...transfers, ...interest].reduce((sum, count) => sum + count, 0);
  assert.equal(check.transactions - atStart.transactions, written);
  assert.ok(Math.min(...transfers) > 0 && Math.min(...interest) === 2_000, `${transfers.join()} transfers, ${interest.join()} events`);
  assert.equal(await deadlocks(), 0);
});

test('one external id, submitted by several processes at once, makes one transaction', LIMIT, async () => {
  const engines = Array.from({ length: 6 }, () => database.engine().engine);
  const atStart = await database.store.check();
  const same = await Promise.all(engines.map((engine) => engine.submit(transfer('cash', customers[0] ?? '', 7, 'the-same'))));
  const ids = new Set(same.map((outcome) => outcome.errorType ?? outcome.id));
  assert.equal(ids.size, 1);
  assert.equal(same.filter((outcome) => outcome.errorType === undefined && !outcome.replayed).length, 1);
  assert.equal((await database.store.check()).transactions - atStart.transactions, 1);
});

test('one external id with different contents is accepted once, also when no account is shared', LIMIT, async () => {
  // No lock orders these: only the unique index decides, and the losers must find the winner.
  for (let round = 0; round < 20; round++) {
    const engines = Array.from({ length: 4 }, () => database.engine({}, undefined, 1).engine);
    const key = `race-${round}`;
    const outcomes = await Promise.all(
      engines.map((engine, index) => {
        const [from = '', to = ''] = customers.slice(2 * index);
        return engine.submitAll([transfer(from, to, 1), transfer(from, to, 1, key)]);
      }),
    );
    const raced = outcomes.map(([, outcome]) => outcome?.errorType ?? 'accepted');
    assert.deepEqual(
      raced.toSorted((one, other) => (one < other ? -1 : 1)),
      ['accepted', 'duplicate', 'duplicate', 'duplicate'],
    );
    assert.ok(outcomes.every(([other]) => other?.errorType === undefined && other?.replayed === false));
  }
});

test('a batch whose answer is lost is applied once, and its callers get their outcomes', LIMIT, async () => {
  const proxy = await FaultProxy.start(database.pgbouncer);
  try {
    const { engine } = database.engine({}, proxy);
    await engine.submit(transfer('cash', customers[0] ?? '', 1));
    const atStart = await database.store.check();
    const operations = Array.from({ length: 50 }, (_value, index) => transfer('cash', customers[index % 20] ?? '', 1));
    // The call commits on its own: it is the request whose answer tells of the commit.
    const lost = proxy.dropAnswers((chunk) => chunk.includes('apply_operations'));
    const outcomes = await engine.submitAll(operations);
    await lost;
    assert.deepEqual(
      outcomes.map((outcome) => outcome.errorType ?? outcome.id),
      operations.map(({ id }) => id),
    );
    assert.ok(outcomes.every((outcome) => outcome.errorType === undefined && !outcome.replayed));
    const check = await database.store.check();
    assert.equal(check.transactions - atStart.transactions, 50);
    assert.ok(check.ok, JSON.stringify(check));
  } finally {
    await proxy.stop();
  }
});

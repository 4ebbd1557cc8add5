/**
 * `node workloads/benchmarks/ledger.ts [transfers]`: transfers per second of the ledger engine in batches of 500, beside the same transfers as
 * one SQL function call and commit each from 20 connections, on uniform and on hot accounts, in one run on real servers. Three rounds. Prints
 * the table and writes docs/results/ledger.md.
 */
import { randomUUIDv7 } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { LedgerEngine } from '../ledger/engine.ts';
import { postOperation } from '../ledger/operations.ts';
import type { Operation, Outcome } from '../ledger/operations.ts';
import { LedgerDatabase } from '../ledger/testing/database.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { postgresClock } from './processor-time.ts';
import { median, ratios, spread, type Measured, type Pair } from './report.ts';

const TRANSFERS = Number(process.argv[2] ?? 30_000);
/** One at a time is slower: fewer of them take about the same time. */
const SINGLE_SHARE = 0.2;
const ROUNDS = 3;
const BATCH = 500;
const CONNECTIONS = 20;
const ACCOUNTS = 10_000;
const HOT = 10;
const HOT_SHARE = 0.8;
/** Batches that callers keep waiting, so that a call finds the next one. */
const LANES = 4;
const RESULT = new URL('../../docs/results/ledger.md', import.meta.url);

/**
 * The tables once more, with the same columns and indexes and without the triggers, and a function that moves money between two accounts: it
 * locks both in order of id, checks currency and limit, and writes journal, postings with sequence and balance, and balances.
 */
const SINGLE = `
CREATE TABLE single_account (LIKE account INCLUDING ALL);
CREATE TABLE single_journal (LIKE journal_transaction INCLUDING ALL);
CREATE TABLE single_posting (LIKE posting INCLUDING ALL);
INSERT INTO single_account SELECT * FROM account;
CREATE FUNCTION single_transfer(id uuid, external_id text, hash text, payer text, payee text, amount bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  p single_account;
  q single_account;
BEGIN
  IF payer < payee THEN
    SELECT * INTO p FROM single_account a WHERE a.id = payer FOR NO KEY UPDATE;
    SELECT * INTO q FROM single_account a WHERE a.id = payee FOR NO KEY UPDATE;
  ELSE
    SELECT * INTO q FROM single_account a WHERE a.id = payee FOR NO KEY UPDATE;
    SELECT * INTO p FROM single_account a WHERE a.id = payer FOR NO KEY UPDATE;
  END IF;
  IF p.currency <> q.currency THEN RETURN 'currency_mismatch'; END IF;
  IF p.balance_minor - p.held_minor - amount < p.min_balance_minor THEN RETURN 'insufficient_funds'; END IF;
  INSERT INTO single_journal (id, kind, currency, value_date, external_id, content_hash)
    VALUES (single_transfer.id, 'transfer', p.currency, current_date, single_transfer.external_id, decode(hash, 'hex'));
  INSERT INTO single_posting (transaction_id, line, account_id, currency, amount_minor, account_seq, balance_after_minor) VALUES
    (single_transfer.id, 1, payer, p.currency, -amount, p.posting_count + 1, p.balance_minor - amount),
    (single_transfer.id, 2, payee, p.currency, amount, q.posting_count + 1, q.balance_minor + amount);
  UPDATE single_account a SET balance_minor = a.balance_minor - amount, posting_count = a.posting_count + 1 WHERE a.id = payer;
  UPDATE single_account a SET balance_minor = a.balance_minor + amount, posting_count = a.posting_count + 1 WHERE a.id = payee;
  RETURN NULL;
END $$;
GRANT ALL ON single_account, single_journal, single_posting TO ledger`;

const accountId = (index: number): string => `bench-${String(index).padStart(5, '0')}`;

/** One of all accounts, or in four of five cases one of ten. */
function account(hot: boolean): string {
  const among = hot && Math.random() < HOT_SHARE ? HOT : ACCOUNTS;
  return accountId(Math.floor(Math.random() * among));
}

function transfers(count: number, hot: boolean): Operation[] {
  return Array.from({ length: count }, () => {
    const payer = account(hot);
    let payee = account(hot);
    while (payee === payer) payee = account(hot);
    const postings = [
      { accountId: payer, amountMinor: '-1' },
      { accountId: payee, amountMinor: '1' },
    ];
    return postOperation({ externalId: randomUUIDv7(), currency: 'EUR', postings });
  });
}

type Clock = Awaited<ReturnType<typeof postgresClock>>;

async function measured(count: number, clock: Clock, work: () => Promise<unknown>): Promise<Measured> {
  const startedAt = performance.now();
  let seconds = 0;
  const processor = await clock(async () => {
    await work();
    seconds = (performance.now() - startedAt) / 1000;
  });
  return { rate: count / seconds, processorMicroseconds: (processor / count) * 1e6 };
}

/** On a busy machine a batch may exceed its deadline: it is repeated, as a caller would. */
async function submitted(engine: LedgerEngine, batch: Operation[]): Promise<Outcome[]> {
  for (;;) {
    try {
      return await engine.submitAll(batch);
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
}

async function inBatches(engine: LedgerEngine, clock: Clock, hot: boolean): Promise<Measured> {
  const operations = transfers(TRANSFERS, hot);
  const batches = Array.from({ length: Math.ceil(TRANSFERS / BATCH) }, (_value, index) =>
    operations.slice(index * BATCH, (index + 1) * BATCH),
  );
  const lane = async (): Promise<void> => {
    for (let batch = batches.shift(); batch; batch = batches.shift()) {
      const outcomes = await submitted(engine, batch);
      if (outcomes.some(({ errorType }) => errorType !== undefined)) throw new Error('a transfer was rejected');
    }
  };
  return measured(TRANSFERS, clock, () => Promise.all(Array.from({ length: LANES }, lane)));
}

async function oneByOne(pool: Postgres, clock: Clock, hot: boolean): Promise<Measured> {
  const operations = transfers(Math.round(TRANSFERS * SINGLE_SHARE), hot);
  const count = operations.length;
  const connection = async (): Promise<void> => {
    for (let operation = operations.pop(); operation; operation = operations.pop()) {
      const { id, externalId, hash, lines } = operation;
      const values = [id, externalId, hash, lines[0]?.accountId, lines[1]?.accountId, 1];
      const [row] = await pool.query<{ failure: string | null }>(
        'transfer',
        'SELECT single_transfer($1, $2, $3, $4, $5, $6) AS failure',
        values,
      );
      if (row?.failure !== null) throw new Error(`a transfer failed: ${row?.failure}`);
    }
  };
  return measured(count, clock, () => Promise.all(Array.from({ length: CONNECTIONS }, connection)));
}

async function prepare(database: LedgerDatabase): Promise<void> {
  await database.sql(
    `INSERT INTO account (id, kind, currency, min_balance_minor) SELECT 'bench-' || lpad(n::text, 5, '0'), 'internal', 'EUR', 0 FROM generate_series(0, $1::int - 1) AS n`,
    [ACCOUNTS],
  );
  await database.sql(
    `WITH t AS (INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT gen_random_uuid(), 'opening', 'EUR', '2026-01-01' RETURNING id)
     INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
     SELECT t.id, n, 'bench-' || lpad(n::text, 5, '0'), 'EUR', 1000000000 FROM t, generate_series(0, $1::int - 1) AS n
     UNION ALL SELECT t.id, -1, 'opening-equity.EUR', 'EUR', -1000000000::bigint * $1 FROM t`,
    [ACCOUNTS],
  );
  await database.sql(SINGLE);
  await database.sql('ANALYZE');
}

async function measure(database: LedgerDatabase, hot: boolean): Promise<Pair[]> {
  const pool = database.connect('ledger', undefined, CONNECTIONS);
  const { engine } = database.engine();
  const clock = await postgresClock(database.postgres.port);
  const pairs: Pair[] = [];
  for (let round = 0; round < ROUNDS; round++)
    pairs.push({ single: await oneByOne(pool, clock, hot), batched: await inBatches(engine, clock, hot) });
  return pairs;
}

const number = (value: number): string => Math.round(value).toLocaleString('en');

function tableRow(name: string, pairs: Pair[]): string {
  const rates = [pairs.map(({ single }) => single.rate), pairs.map(({ batched }) => batched.rate)];
  const times = [pairs.map(({ single }) => single.processorMicroseconds), pairs.map(({ batched }) => batched.processorMicroseconds)];
  const byRate = ratios(pairs, ({ rate }) => rate);
  const byTime = ratios(pairs, ({ processorMicroseconds }) => 1 / processorMicroseconds);
  const range = (values: number[], text: (value: number) => string): string => spread(values).map(text).join(' to ');
  const cells = [
    ...rates.map((values) => `${number(median(values))} (${range(values, number)})`),
    `**${median(byRate).toFixed(1)}** (${range(byRate, (value) => value.toFixed(1))})`,
    ...times.map((values) => number(median(values))),
    `**${median(byTime).toFixed(1)}** (${range(byTime, (value) => value.toFixed(1))})`,
  ];
  return `| ${name} | ${cells.join(' | ')} |`;
}

/** What one setting of fsync gave. */
interface Run {
  readonly uniform: Pair[];
  readonly hot: Pair[];
  readonly transactions: number;
  readonly settings: string;
}

/** @param fsync of Postgres: on is what the platform runs with @throws Error when the ledger does not add up afterwards */
async function run(fsync: 'on' | 'off'): Promise<Run> {
  const database = await LedgerDatabase.start(0, { settings: { fsync } });
  try {
    await prepare(database);
    const uniform = await measure(database, false);
    const hot = await measure(database, true);
    const check = await database.store.check();
    if (!check.ok) throw new Error(`the ledger does not add up: ${JSON.stringify(check)}`);
    const [settings] = await database.sql<{ text: string }>(
      `SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) AS text FROM pg_settings WHERE name IN ('server_version', 'synchronous_commit')`,
    );
    return { uniform, hot, transactions: check.transactions, settings: settings?.text ?? '' };
  } finally {
    await database.stop();
  }
}

function table({ uniform, hot }: Run): string {
  return `| accounts | one by one, transfers/s | batches of ${BATCH}, transfers/s | ratio | one by one, µs of Postgres | batches, µs of Postgres | ratio |
|---|--:|--:|--:|--:|--:|--:|
${tableRow(`uniform, ${number(ACCOUNTS)}`, uniform)}
${tableRow(`hot: ${HOT_SHARE * 100} % on ${HOT} of ${number(ACCOUNTS)}`, hot)}`;
}

const loadBefore = loadavg();
const durable = await run('on');
const volatile = await run('off');
const load = `load ${loadBefore[0]?.toFixed(1)} before and ${loadavg()[0]?.toFixed(1)} after`;
const report = `# Transfers per second of the ledger

Written by \`make bench-ledger\` (\`node workloads/benchmarks/ledger.ts ${TRANSFERS}\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

With fsync on, as the platform runs Postgres: a transfer that is answered survives a power cut.

${table(durable)}

With fsync off, where a commit costs little, which favors one by one:

${table(volatile)}

- Medians of ${ROUNDS} rounds, in parentheses the lowest and the highest; a round measures both ways one after the other. The goals are a ratio of 4 on uniform accounts and of 6 on hot ones.
- One by one: one SQL function call and commit for each transfer, from ${CONNECTIONS} connections through PgBouncer. The function is written for this alone. It locks, checks and writes the same rows as
  the engine, into tables with the same columns and indexes, and without the triggers that check the invariants once more.
- Batches: \`LedgerEngine\` through PgBouncer, with every trigger and constraint of the ledger.
- µs of Postgres: processor time of the server for one transfer. It does not depend on what else the machine does; the rates do.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, ${load}. Postgres, PgBouncer and benchmark share it.
- Postgres: ${durable.settings}.
- The ledger added up after each run: ${number(durable.transactions)} and ${number(volatile.transactions)} transactions, sum 0, no balance, sequence or hold that differs.
`;
await writeFile(RESULT, report);
process.stdout.write(`${report}\n`);
process.exit(0);

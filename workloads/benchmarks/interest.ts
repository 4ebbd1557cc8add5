/**
 * `node workloads/benchmarks/interest.ts [events]`: events per second of the interest consumer, beside COPY of the same rows and beside one
 * event at a time, in one run on real servers. Prints the table and writes docs/results/interest-benchmark.md.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import { interestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { decodeSlice, jsonDecoder } from '../shared/kernel/consumer/decode.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { cut } from '../shared/kernel/consumer/slice.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { Metrics } from '../shared/kernel/metrics.ts';
import { Postgres } from '../shared/kernel/postgres.ts';
import { GROUP, recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { Traffic } from '../shared/testing/traffic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { table, type Row } from './report.ts';
import { ProductConfigs } from '../interest/product-configs.ts';
import { InterestStore } from '../interest/store.ts';

const EVENTS = Number(process.argv[2] ?? 100_000);
const ONE_BY_ONE = 1_000;
const BATCH = 5_000;
const ACCOUNTS = 10_000;
const RESULT = new URL('../../docs/results/interest-benchmark.md', import.meta.url);

async function timed(name: string, events: number, work: () => Promise<unknown>): Promise<Row> {
  const startedAt = performance.now();
  await work();
  return { name, events, seconds: (performance.now() - startedAt) / 1000 };
}

/** Records as a fetch would bring them, over twelve partitions; then through decoding, calculation and database. */
async function applyPath(platform: TestPlatform, name: string, events: number, batch: number): Promise<Row> {
  const topic = `benchmark-${batch}`;
  const log = createLogger({ service: 'benchmark', platform: 'benchmark', namespace: 'benchmark', pod: 'benchmark' }, 'silent');
  const { DATABASE_URL: url = '', PGPASSWORD: password = '' } = platform.env('interest');
  const database = new Postgres({ url, password, max: 2, applicationName: 'benchmark' }, log, new Metrics({}));
  const store = new InterestStore(database, GROUP, topic);
  const configs = new ProductConfigs(database);
  const decode = jsonDecoder(interestTransaction, ({ accountId }) => accountId);
  const slices = cut<InterestTransaction>(fetched(platform, topic, events), batch);
  await new Positions(database, GROUP, topic).place(
    Array.from({ length: 12 }, (_value, partition) => ({ partition, from: undefined, to: 0n, reason: 'new' as const })),
  );
  const row = await timed(name, events, async () => {
    let decoded = decodeSlice(slices[0] ?? [], decode);
    for (const [index, slice] of slices.entries()) {
      await decoded;
      decoded = decodeSlice(slices[index + 1] ?? [], decode);
      const outcome = await store.apply(slice, await configs.lookup(), () => undefined);
      if (outcome.kind !== 'applied') throw new Error(`a batch was ${outcome.kind}`);
    }
  });
  await database.close();
  return row;
}

function fetched(platform: TestPlatform, topic: string, events: number) {
  const perFetch = 20_000;
  const next = Array.from({ length: 12 }, () => 0n);
  return Array.from({ length: Math.ceil(events / perFetch) }, (_fetch, fetchIndex) => {
    const count = Math.min(perFetch, events - fetchIndex * perFetch);
    return next.map((start, partition) => {
      const size = Math.floor(count / 12) + (partition < count % 12 ? 1 : 0);
      const records = Array.from({ length: size }, (_record, index) => {
        const event = platform.event(Math.floor(Math.random() * ACCOUNTS));
        const { key, value } = recordOf(event);
        return {
          offset: start + BigInt(index),
          key: Buffer.from(String(key)),
          value: Buffer.from(String(value)),
          headers: {},
          timestamp: '0',
        };
      });
      next[partition] = start + BigInt(size);
      return { topic, partition, start, next: start + BigInt(size), records };
    });
  }).flat();
}

/** What the journal holds now, written once more by COPY into tables with the same columns and indexes, without the ledger's trigger. */
async function copyPath(platform: TestPlatform, events: number): Promise<Row> {
  await platform.sql(`COPY (SELECT * FROM journal_transaction WHERE kind = 'interest') TO '/tmp/journal'`);
  await platform.sql(
    `COPY (SELECT p.* FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id WHERE t.kind = 'interest') TO '/tmp/posting'`,
  );
  await platform.sql(
    'CREATE TABLE copy_journal (LIKE journal_transaction INCLUDING ALL); CREATE TABLE copy_posting (LIKE posting INCLUDING ALL)',
  );
  const row = await timed('COPY of the same rows (server side, no trigger, no balances)', events, async () => {
    await platform.sql(`COPY copy_journal FROM '/tmp/journal'`);
    await platform.sql(`COPY copy_posting FROM '/tmp/posting'`);
  });
  await platform.sql('DROP TABLE copy_journal, copy_posting');
  return row;
}

/** One consumer process takes a waiting backlog from Kafka; timed from its first applied batch's start of consuming to the last event. */
async function endToEnd(platform: TestPlatform): Promise<Row> {
  const count = async (): Promise<number> => {
    const [row] = await platform.sql<{ applied: number }>(
      `SELECT coalesce(sum(next_offset), 0)::int AS applied FROM consumer_offset WHERE topic = $1`,
      [TOPIC],
    );
    return row?.applied ?? 0;
  };
  const traffic = new Traffic(platform);
  await traffic.burst(EVENTS);
  await platform.consumer({ INTEREST_FETCH_MAX_WAIT_MS: '500' });
  const first = await waitFor('the first batch', async () => {
    const applied = await count();
    return applied > 0 && applied;
  });
  return timed('Kafka to database, one consumer process', EVENTS - first, () =>
    waitFor('all events', async () => (await count()) === EVENTS, 600_000),
  );
}

async function settings(platform: TestPlatform): Promise<string> {
  const names = ['server_version', 'synchronous_commit', 'fsync', 'shared_buffers'];
  const shown = await Promise.all(names.map((name) => platform.sql<Record<string, string>>(`SHOW ${name}`)));
  return names.map((name, index) => `${name} ${shown[index]?.[0]?.[name]}`).join(', ');
}

const platform = await TestPlatform.start(ACCOUNTS, { own: true });
try {
  const loadBefore = loadavg();
  const apply = await applyPath(platform, `apply path, batches of ${BATCH}: JSON, interest, two calls through PgBouncer`, EVENTS, BATCH);
  const copy = await copyPath(platform, EVENTS);
  const single = await applyPath(platform, 'apply path, one event at a time', ONE_BY_ONE, 1);
  const whole = await endToEnd(platform);
  const check = await platform.check();
  if (!check.ok) throw new Error(`the ledger does not add up: ${JSON.stringify(check)}`);
  const machine = `${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadBefore[0]?.toFixed(1)} before and ${loadavg()[0]?.toFixed(1)} after`;
  const text = table([copy, apply, whole, single]);
  const report = `# What the interest consumer applies per second

Written by \`node workloads/benchmarks/interest.ts ${EVENTS}\` on ${new Date().toISOString().slice(0, 10)}; all rows come from one run.

${text}

- Machine: ${machine}. Kafka, Postgres, PgBouncer, consumer and benchmark share it.
- Postgres: ${await settings(platform)}.
- One event is one journal transaction and two postings, over ${ACCOUNTS.toLocaleString('en')} accounts; COPY writes the same three rows into tables with the same indexes.
- The ledger added up afterwards: ${check.interestTransactions.toLocaleString('en')} interest transactions, sum ${check.sumMinor}, ${check.balanceMismatches} balances that differ.
`;
  await writeFile(RESULT, report);
  process.stdout.write(`${report}\n`);
} finally {
  await platform.stop();
}
process.exit(0);

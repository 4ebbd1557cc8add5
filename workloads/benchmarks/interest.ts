/**
 * `node workloads/benchmarks/interest.ts [events] [rounds]`: events per second of the interest consumer, beside COPY of the same rows and beside one
 * event at a time, in rounds of one run on real servers; and where the time goes. Prints the tables and writes docs/results/interest-benchmark.md
 * up to its section "Tried", which is kept.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { applyInterest } from '../interest/apply.ts';
import { interestMetrics } from '../interest/metrics.ts';
import { ProductConfigs } from '../interest/product-configs.ts';
import { REJECTIONS } from '../interest/rejections.ts';
import { InterestStore } from '../interest/store.ts';
import { interestTransaction, readInterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { decodeSlice, jsonDecoder } from '../shared/kernel/consumer/decode.ts';
import { consumerMetrics } from '../shared/kernel/consumer/metrics.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { Processor } from '../shared/kernel/consumer/processor.ts';
import { cut } from '../shared/kernel/consumer/slice.ts';
import type { PartitionBatch } from '../shared/kernel/kafka/batch.ts';
import type { Lease } from '../shared/kernel/kafka/lease.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { Metrics } from '../shared/kernel/metrics.ts';
import { Postgres } from '../shared/kernel/postgres.ts';
import { startTelemetry } from '../shared/kernel/telemetry.ts';
import { GROUP, recordOf, TestPlatform, TOPIC, TRACEPARENT } from '../shared/testing/platform.ts';
import { consumed } from '../shared/testing/record.ts';
import { countStatementTimes, resetStatementTimes, statementTimes } from '../shared/testing/statement-times.ts';
import { Traffic } from '../shared/testing/traffic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { postgresClock, residentMebibytes } from './processor-time.ts';
import { median, medianRow, rate, spread, STEADY_SHARE, table, type Row } from './report.ts';

const EVENTS = Number(process.argv[2] ?? 200_000);
/** An odd number. */
const ROUNDS = Number(process.argv[3] ?? 3);
const ONE_BY_ONE = 1_000;
const BATCH = 5_000;
const LANES = 2;
/** About what one fetch brings. */
const FETCHED = 20_000;
const PARTITIONS = 12;
const ACCOUNTS = 10_000;
/** What the operator sets for a memory limit of 256 MiB. */
const HEAP = '--max-old-space-size=192 --max-semi-space-size=8';
const RESULT = new URL('../../docs/results/interest-benchmark.md', import.meta.url);
const TRIED = '\n## Tried\n';

const log = createLogger({ service: 'benchmark', platform: 'benchmark', namespace: 'benchmark', pod: 'benchmark' }, 'silent');
// Spans are recorded and queued; the exporter drops them.
startTelemetry(
  {
    serviceName: 'benchmark',
    version: '0',
    resource: {},
    ratio: 1,
    exporter: { export: (_spans, done) => done({ code: 0 }), shutdown: () => Promise.resolve() },
  },
  new Metrics({}),
);
const decode = jsonDecoder(interestTransaction, ({ accountId }) => accountId, readInterestTransaction);

async function timed(name: string, events: number, work: () => Promise<unknown>): Promise<Row> {
  const startedAt = performance.now();
  await work();
  return { name, events, seconds: (performance.now() - startedAt) / 1000 };
}

/** A stable partition for an account. */
function partitionOf(accountId: string): number {
  let hash = 0;
  for (const character of accountId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash % PARTITIONS;
}

/** Records as fetches would bring them, over twelve partitions. */
function fetches(platform: TestPlatform, topic: string, events: number): PartitionBatch[][] {
  const next = Array.from({ length: PARTITIONS }, () => 0n);
  return Array.from({ length: Math.ceil(events / FETCHED) }, (_fetch, fetchIndex) => {
    const batches = next.map((start, partition): PartitionBatch => ({ topic, partition, start, next: start, records: [] }));
    for (let count = Math.min(FETCHED, events - fetchIndex * FETCHED); count > 0; count--) {
      const event = platform.event(Math.floor(Math.random() * ACCOUNTS));
      const { key, value } = recordOf(event);
      const batch = batches[partitionOf(event.accountId)];
      const bytes = { key: Buffer.from(String(key)), value: Buffer.from(String(value)) };
      batch?.records.push(consumed({ ...bytes, offset: batch.next++, traceparent: TRACEPARENT }));
    }
    for (const batch of batches) next[batch.partition] = batch.next;
    return batches.filter(({ records }) => records.length > 0);
  });
}

const LEASE: Lease = { held: true, done: () => undefined, seek: () => undefined, suspend: () => undefined };

interface Applied {
  row: Row;
  /** Processor time of this process, in milliseconds. */
  client: number;
}

/** What a consumer does with the records of its fetches: decoding, calculation and database, with metrics and spans. */
async function applyPath(platform: TestPlatform, name: string, events: number, batch: number): Promise<Applied> {
  const topic = `benchmark-${batch}-${Math.random()}`;
  const { DATABASE_URL: url = '', PGPASSWORD: password = '' } = platform.env('interest');
  const metrics = new Metrics({});
  const database = new Postgres({ url, password, max: LANES, applicationName: 'benchmark' }, log, metrics);
  const positions = new Positions(database, GROUP, topic);
  const processor = new Processor<InterestTransaction>({
    decode,
    apply: applyInterest(new InterestStore(database, GROUP, topic), new ProductConfigs(database), interestMetrics(metrics)),
    deadLetters: undefined,
    resumeFrom: () => Promise.reject(new Error('a position has moved')),
    topicIdOf: () => undefined,
    metrics: consumerMetrics(metrics, 'interest', Object.keys(REJECTIONS)),
    log,
    group: GROUP,
    maxRecords: batch,
    lanes: batch === 1 ? 1 : LANES,
  });
  const start = { from: undefined, to: { next: 0n, topicId: undefined }, lost: 0n, reason: 'new' as const };
  await positions.place(Array.from({ length: PARTITIONS }, (_value, partition) => ({ partition, ...start })));
  const fetched = fetches(platform, topic, events);
  const before = process.cpuUsage();
  const row = await timed(name, events, async () => {
    for (const batches of fetched) await processor.onBatches(batches, LEASE);
  });
  const client = processorMillis(before);
  const applied = [...(await positions.read(Array.from({ length: PARTITIONS }, (_value, partition) => partition))).values()];
  const sum = applied.reduce((total, { next }) => total + next, 0n);
  if (sum !== BigInt(events)) throw new Error(`${sum} of ${events} events were applied`);
  await database.close();
  return { row, client };
}

/** Processor time of this process since `before`. */
function processorMillis(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Writes what the journal holds now to files, and makes tables with the same columns and indexes, without the ledger's trigger. */
async function exportRows(platform: TestPlatform): Promise<void> {
  await platform.sql(`COPY (SELECT * FROM journal_transaction WHERE kind = 'interest') TO '/tmp/journal'`);
  await platform.sql(
    `COPY (SELECT p.* FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id WHERE t.kind = 'interest') TO '/tmp/posting'`,
  );
  await platform.sql(
    'CREATE TABLE copy_journal (LIKE journal_transaction INCLUDING ALL); CREATE TABLE copy_posting (LIKE posting INCLUDING ALL)',
  );
}

/** The rows once more, by COPY. */
async function copyPath(platform: TestPlatform): Promise<Row> {
  const [row] = await platform.sql<{ events: number }>(`SELECT count(*)::int AS events FROM journal_transaction WHERE kind = 'interest'`);
  return timed('COPY of the same rows (server side, no trigger, no balances)', row?.events ?? 0, async () => {
    await platform.sql(`COPY copy_journal FROM '/tmp/journal'`);
    await platform.sql(`COPY copy_posting FROM '/tmp/posting'`);
  });
}

interface EndToEnd {
  /** Without the end of the backlog, see STEADY_SHARE. */
  steady: Row;
  toEnd: Row;
  /** Of the consumer, in MiB. */
  memory: Awaited<ReturnType<typeof residentMebibytes>>;
}

/** One consumer process takes a waiting backlog from Kafka; timed from its first applied batch. */
async function endToEnd(platform: TestPlatform): Promise<EndToEnd> {
  const count = async (): Promise<number> => {
    const [row] = await platform.sql<{ applied: number }>(
      `SELECT coalesce(sum(next_offset), 0)::int AS applied FROM consumer_offset WHERE topic = $1`,
      [TOPIC],
    );
    return row?.applied ?? 0;
  };
  const before = await count();
  await new Traffic(platform).burst(EVENTS);
  const consumer = await platform.consumer({ INTEREST_FETCH_MAX_WAIT_MS: '500', NODE_OPTIONS: HEAP });
  const first = await waitFor('the first batch', async () => {
    const applied = await count();
    return applied > before && applied;
  });
  const startedAt = performance.now();
  const until = async (target: number): Promise<Row> => {
    const reached = async (): Promise<number | false> => {
      const applied = await count();
      return applied >= target && applied;
    };
    const applied = await waitFor(`${target} events`, reached, 600_000);
    const seconds = (performance.now() - startedAt) / 1000;
    return { name: 'Kafka to database, one consumer process', events: applied - first, seconds };
  };
  const steady = await until(before + Math.round(STEADY_SHARE * EVENTS));
  const toEnd = await until(before + EVENTS);
  const memory = await residentMebibytes(consumer.pid);
  await consumer.stop();
  return { steady, toEnd, memory };
}

const millis = (value: number): string => value.toFixed(1);

/** Where the time of 5,000 events goes, in milliseconds: as Postgres counts its statements, and as the system counts processor time. */
async function parts(platform: TestPlatform): Promise<string> {
  const clock = await postgresClock(platform.services.postgres.port);
  const batches = EVENTS / BATCH;
  await resetStatementTimes(platform);
  let client = 0;
  const server = await clock(async () => ({ client } = await applyPath(platform, '', EVENTS, BATCH)));
  const times = await statementTimes(platform);
  const pick = (start: string) => times.filter(({ text }) => text.startsWith(start));
  const sum = (rows: typeof times): number => rows.reduce((total, { executionMs, planMs }) => total + executionMs + planMs, 0) / batches;
  const inside = (start: string): number => sum(pick(start).filter(({ topLevel }) => !topLevel));
  const [check, move, outbox] = [inside('SELECT array_agg(p.transaction_id)'), inside('WITH changed'), inside('INSERT INTO outbox')];
  const [read, write, commit] = [sum(pick('WITH position')), sum(pick('WITH event')), sum(pick('COMMIT'))];
  const rows: [string, number][] = [
    ['call 1: lock positions and accounts, read balances', read],
    ['call 2: insert journal and postings, move positions', write - check - move - outbox],
    ['trigger: check the transactions, collect them for the outbox', check],
    ['trigger: move the balances', move],
    ['trigger: insert into the outbox', outbox],
    ['COMMIT', commit],
    ['processor time of Postgres, all processes', (server * 1000) / batches],
    ['processor time of the client', client / batches],
    ['of which decoding', await decoding(platform)],
  ];
  return ['| part, per 5,000 events | ms |', '|---|--:|', ...rows.map(([name, ms]) => `| ${name} | ${millis(ms)} |`)].join('\n');
}

/** Processor time of decoding 5,000 events, in milliseconds. */
async function decoding(platform: TestPlatform): Promise<number> {
  const slices = cut<InterestTransaction>(fetches(platform, 'decoding', EVENTS).flat(), BATCH);
  const before = process.cpuUsage();
  for (const slice of slices) await decodeSlice(slice, decode);
  return processorMillis(before) / slices.length;
}

async function settings(platform: TestPlatform): Promise<string> {
  const names = ['server_version', 'synchronous_commit', 'fsync', 'shared_buffers'];
  const shown = await Promise.all(names.map((name) => platform.sql<Record<string, string>>(`SHOW ${name}`)));
  return names.map((name, index) => `${name} ${shown[index]?.[0]?.[name]}`).join(', ');
}

interface Round {
  copy: Row;
  apply: Row;
  steady: Row;
  toEnd: Row;
  single: Row;
  /** Processor time of Postgres for 5,000 events, in milliseconds. */
  copyProcessor: number;
  applyProcessor: number;
}

type Clock = Awaited<ReturnType<typeof postgresClock>>;

/** @returns what `work` returns, and Postgres' processor time for 5,000 of `events`, in milliseconds */
async function clocked<T>(clock: Clock, events: (result: T) => number, work: () => Promise<T>): Promise<[result: T, millis: number]> {
  const results: T[] = [];
  const seconds = await clock(async () => results.push(await work()));
  const [result] = results;
  if (result === undefined) throw new Error('no result');
  return [result, (seconds * 1000 * BATCH) / events(result)];
}

async function inRound(platform: TestPlatform, clock: Clock): Promise<Round & Pick<EndToEnd, 'memory'>> {
  const name = `apply path, batches of ${BATCH}: JSON, interest, two calls through PgBouncer`;
  const [{ row: apply }, applyProcessor] = await clocked(
    clock,
    () => EVENTS,
    () => applyPath(platform, name, EVENTS, BATCH),
  );
  await exportRows(platform);
  const [copy, copyProcessor] = await clocked(
    clock,
    ({ events }: Row) => events,
    () => copyPath(platform),
  );
  await platform.sql('DROP TABLE copy_journal, copy_posting');
  const { row: single } = await applyPath(platform, 'apply path, one event at a time', ONE_BY_ONE, 1);
  const { steady, toEnd, memory } = await endToEnd(platform);
  return { copy, apply, single, steady, toEnd, copyProcessor, applyProcessor, memory };
}

/** What a machine with other work means for the figures. */
const BUSY = `
- The machine was busy. COPY is one process and the apply path several, which together get a larger share of the processors: its ratio to COPY looks
  better than on a machine of its own. The ratio of the processor times depends little on other work.`;

const isBusy = (load: number): boolean => load > availableParallelism();

function ratioLine(name: string, rounds: Round[], of: (round: Round) => number): string {
  const values = rounds.map(of);
  const [low, high] = spread(values);
  const digits = median(values) < 10 ? 2 : 0;
  return `| ${name} | ${median(values).toFixed(digits)} | ${low.toFixed(digits)} to ${high.toFixed(digits)} |`;
}

const platform = await TestPlatform.start(ACCOUNTS, { own: true });
try {
  await countStatementTimes(platform);
  const loadBefore = loadavg();
  await applyPath(platform, 'warm-up', FETCHED, BATCH);
  const clock = await postgresClock(platform.services.postgres.port);
  const rounds: Round[] = [];
  let memory: EndToEnd['memory'] = { resident: 0, file: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const { memory: used, ...times } = await inRound(platform, clock);
    if (used.resident > memory.resident) memory = used;
    rounds.push(times);
  }
  const partTable = await parts(platform);
  const check = await platform.check();
  if (!check.ok) throw new Error(`the ledger does not add up: ${JSON.stringify(check)}`);
  const machine = `${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadBefore[0]?.toFixed(1)} before and ${loadavg()[0]?.toFixed(1)} after`;
  const report = `# What the interest consumer applies per second

Written by \`node workloads/benchmarks/interest.ts ${EVENTS} ${ROUNDS}\` on ${new Date().toISOString().slice(0, 10)}; all rows come from one run of ${ROUNDS} rounds. The rows are those with the median rate.

${table([medianRow(rounds.map(({ copy }) => copy)), medianRow(rounds.map(({ apply }) => apply)), medianRow(rounds.map(({ steady }) => steady)), medianRow(rounds.map(({ single }) => single))])}

| ratio, by round | median | lowest to highest |
|---|--:|--:|
${ratioLine('apply path, of COPY', rounds, ({ apply, copy }) => rate(apply) / rate(copy))}
${ratioLine('Kafka to database, of COPY', rounds, ({ steady, copy }) => rate(steady) / rate(copy))}
${ratioLine('Kafka to database, with the end of the backlog, of COPY', rounds, ({ toEnd, copy }) => rate(toEnd) / rate(copy))}
${ratioLine('processor time of Postgres: that of COPY, of the apply path', rounds, ({ applyProcessor, copyProcessor }) => copyProcessor / applyProcessor)}
${ratioLine('apply path, times one event at a time', rounds, ({ apply, single }) => rate(apply) / rate(single))}

- Machine: ${machine}. Kafka, Postgres, PgBouncer, consumer and benchmark share it.${isBusy(loadBefore[0] ?? 0) ? BUSY : ''}
- Postgres: ${await settings(platform)}; pg_stat_statements counts every statement.
- One event is one journal transaction and two postings, over ${ACCOUNTS.toLocaleString('en')} accounts, and has the eight headers that the gateway sends; COPY writes the same three rows into tables with the same indexes.
- Kafka to database is timed until ${STEADY_SHARE * 100} % of the backlog is applied. At its end, fetches wait for 1 MiB or for 500 ms.
- Metrics and spans are on. Two transactions at a time, each with partitions of its own.
- The consumer process ran with \`${HEAP}\`, which the operator sets for a limit of 256 MiB. It had ${Math.round(memory.resident)} MiB of resident memory at the end of a backlog, at most; ${Math.round(memory.file)} MiB of them are pages of program files, which the kernel can drop.
- The ledger added up afterwards: ${check.interestTransactions.toLocaleString('en')} interest transactions, sum ${check.sumMinor}, ${check.balanceMismatches} balances that differ.

## Where the time goes

Two transactions run at a time on two processors, with the client beside them: the times of the statements are those of the clock, and add up to more than a batch takes.

${partTable}
`;
  const former = await readFile(RESULT, 'utf8').catch(() => '');
  const kept = former.includes(TRIED) ? former.slice(former.indexOf(TRIED)) : '';
  await writeFile(RESULT, `${report}${kept}`);
  process.stdout.write(`${report}\n`);
} finally {
  await platform.stop();
}
process.exit(0);

/**
 * `node workloads/benchmarks/drain.ts [entries]`: how fast the relay publishes a backlog of the outbox, and how fast the read model projects it,
 * with the memory of both, with real servers on one machine. Three rounds. Prints the table and writes docs/results/drain.md.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { ReadModelPlatform } from '../read-model/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort } from '../shared/testing/workload.ts';
import { runtimeOf, SpanSink, type ServiceName } from './event-path.ts';
import { peakMebibytes, processorSecondsByProgram } from './processor-time.ts';
import { cell, whole } from './report.ts';

const ENTRIES = Number(process.argv[2] ?? 100_000);
const ROUNDS = 3;
const ACCOUNTS = 10_000;
/** Transactions of a row of the outbox, as under the load of many clients. */
const PER_ROW = 100;
const RESULT = new URL('../../docs/results/drain.md', import.meta.url);

interface Drained {
  readonly entries: number;
  /** Entries per second. */
  readonly rate: number;
  /** Processor time in microseconds for one entry. */
  readonly micros: number;
  /** Most memory of the process in MiB. */
  readonly peak: number;
}

interface Round {
  readonly relay: Drained;
  readonly projection: Drained;
}

/** The customers with euros by number: those with odd numbers pay the ones after them. */
const CUSTOMERS = `
CREATE TABLE bench_customer AS SELECT row_number() OVER (ORDER BY id) AS n, id FROM account WHERE kind = 'customer' AND currency = 'EUR';
ALTER TABLE bench_customer ADD PRIMARY KEY (n)`;

/** Transfers between customers, by statements of a few of them, as the ledger makes them: journal, postings and a row of the outbox. */
const TRANSFERS = `
WITH chosen AS (
  SELECT gen_random_uuid() AS id, 1 + 2 * floor(random() * $1)::int AS n FROM generate_series(1, $2::int)
), pair AS (
  SELECT c.id, p.id AS payer, q.id AS payee FROM chosen c JOIN bench_customer p ON p.n = c.n JOIN bench_customer q ON q.n = c.n + 1
), journal AS (
  INSERT INTO journal_transaction (id, kind, currency, value_date, external_id, content_hash)
  SELECT id, 'transfer', 'EUR', current_date, 'transfer:' || id, substring(sha256(id::text::bytea) FOR 16) FROM pair
)
INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
SELECT id, 1, payer, 'EUR', -1 FROM pair UNION ALL SELECT id, 2, payee, 'EUR', 1 FROM pair`;

/** A trace context for every transaction that waits, as of a request that is sampled. */
const TRACES = `
INSERT INTO outbox_trace (transaction_id, traceparent)
SELECT id, '00-' || md5(id::text) || '-' || left(md5('span' || id), 16) || '-01' FROM outbox, unnest(transaction_ids) AS u (id)`;

async function backlog(platform: ReadModelPlatform, entries: number): Promise<void> {
  const pairs = Math.floor(platform.accounts.filter(({ currency }) => currency === 'EUR').length / 2);
  const rows = Math.ceil(entries / 2 / PER_ROW);
  for (let made = 0; made < rows; made += 1) await platform.ledger(TRANSFERS, [pairs, PER_ROW]);
  await platform.ledger(TRACES);
}

/** Runs a service until its work is done, from the moment at which its first entry is done. */
async function drained(
  platform: ReadModelPlatform,
  { name, env, counter, done }: { name: ServiceName; env: Record<string, string>; counter: string; done: () => Promise<unknown> },
): Promise<Drained> {
  const folder = await mkdtemp(join(tmpdir(), 'drain-'));
  try {
    const workload = await platform.run(name, { ...env, NODE_OPTIONS: runtimeOf(name).nodeOptions }, join(folder, 'log'));
    const first = await waitFor(`${name} to begin`, async () => (await workload.metric(counter)) || undefined);
    const [startedAt, before] = [performance.now(), await processorSecondsByProgram()];
    await done();
    const [seconds, after] = [(performance.now() - startedAt) / 1000, await processorSecondsByProgram()];
    const entries = (await workload.metric(counter)) - first;
    const used = (after.get(name) ?? 0) - (before.get(name) ?? 0);
    const lost = await workload.metric('otel_spans_dropped_total');
    if (lost > 0) console.log(`${name}: ${lost} spans were dropped`);
    const peak = await peakMebibytes(workload.pid);
    await workload.stop();
    return { entries, rate: entries / seconds, micros: (used * 1e6) / entries, peak };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function round(platform: ReadModelPlatform): Promise<Round> {
  await backlog(platform, ENTRIES);
  const sink = await SpanSink.start();
  const spans = { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url };
  const relay = await drained(platform, {
    name: 'outbox-relay',
    env: { ...platform.env('ledger', 'relay'), ...spans },
    counter: 'outbox_events_published_total',
    done: () => waitFor('the outbox to be empty', async () => (await platform.ledger('SELECT FROM outbox LIMIT 1')).length === 0),
  });
  const projection = await drained(platform, {
    name: 'read-model',
    env: { ...platform.env(), ...spans, PORT: String(await freePort()) },
    counter: 'events_processed_total',
    done: () => platform.drained(),
  });
  sink.stop();
  return { relay, projection };
}

function row(name: string, drains: readonly Drained[]): string {
  const cells = [
    cell(drains.map(({ entries }) => entries)),
    cell(drains.map(({ rate }) => rate)),
    cell(drains.map(({ micros }) => micros)),
    cell(drains.map(({ peak }) => peak)),
  ];
  return `| ${name} | ${cells.join(' | ')} |`;
}

function report(rounds: readonly Round[], load: string): string {
  const rows = [
    row(
      'relay',
      rounds.map(({ relay }) => relay),
    ),
    row(
      'read model',
      rounds.map(({ projection }) => projection),
    ),
  ];
  return `# Draining a backlog of entries

Written by \`make bench-drain\` (\`node workloads/benchmarks/drain.ts ${ENTRIES}\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

| process | entries | entries/s | µs of its processor time for an entry | peak memory, MiB |
|---|--:|--:|--:|--:|
${rows.join('\n')}

- Medians of ${ROUNDS} rounds, in parentheses the lowest and the highest. The backlog of a round has ${whole(ENTRIES)} entries in rows of ${PER_ROW} transactions; that of the first one also the opening entries of ${whole(ACCOUNTS)} accounts, in rows of
  5,000.
- Relay: one process publishes the outbox to Kafka. Read model: then one process projects the topic. The time begins with the first entries that the process has done; these are not counted.
- Each transaction belongs to a sampled request, as by default: each entry has a span in the relay and one in the read model, which are exported.
- Peak memory: the most that the process had resident, from its start on. The memory limits are ${runtimeOf('outbox-relay').memoryLimit} and ${runtimeOf('read-model').memoryLimit}.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, ${load}. Kafka, Postgres, PgBouncer and the process share it. Postgres runs with fsync off.
- Afterwards the read model had every balance and line of the ledger.
`;
}

const platform = await ReadModelPlatform.start(ACCOUNTS, 1);
try {
  const loadBefore = loadavg()[0] ?? 0;
  await platform.ledger(CUSTOMERS);
  const rounds: Round[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    rounds.push(await round(platform));
    const [last] = rounds.slice(-1);
    const text = ({ rate, peak }: Drained): string => `${whole(rate)} entries/s, ${whole(peak)} MiB`;
    if (last) console.log(`round ${index + 1} of ${ROUNDS}: relay ${text(last.relay)}; read model ${text(last.projection)}`);
  }
  const differences = await platform.differences();
  if (differences.length > 0) throw new Error(`the read model differs from the ledger: ${JSON.stringify(differences.slice(0, 3))}`);
  const text = report(rounds, `load ${loadBefore.toFixed(1)} before`);
  await writeFile(RESULT, text);
  process.stdout.write(`${text}\n`);
} finally {
  await platform.stop();
}
process.exit(0);

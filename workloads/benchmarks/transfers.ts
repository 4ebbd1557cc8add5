/**
 * `node workloads/benchmarks/transfers.ts [seconds] [--profile service]...`: transfers per second over HTTP through gateway, orchestrator, ledger,
 * relay, Kafka and read model, with real servers and the load generator on one machine: at the peak of 64 clients, then at half of it, and at the
 * peak without telemetry. Three rounds. Prints the table and writes docs/results/transfers.md.
 *
 * With --profile it makes one round with telemetry, writes a CPU profile of each service that is named to the current folder, and no table.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ReadModelPlatform } from '../read-model/testing/platform.ts';
import { EventPath, SERVICES, type EventPathOptions } from './event-path.ts';
import { bucketQuantile, bucketsOf, since } from './exposition.ts';
import { closedLoop, openLoop, quantile, type LoadResult } from './load.ts';
import { processorSecondsByProgram } from './processor-time.ts';
import { cell, precise, whole } from './report.ts';

const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { profile: { type: 'string', multiple: true } } });
const SECONDS = Number(positionals[0] ?? 10);
const ROUNDS = 3;
const CLIENTS = 64;
const ACCOUNTS = 10_000;
/** The compilers of fresh processes are busy at first. */
const WARM_UP_SHARE = 0.4;
const SAMPLE_MS = 100;
/** On a busy machine a request may exceed its deadline. */
const MOST_FAILED = 0.01;
const RESULT = new URL('../../docs/results/transfers.md', import.meta.url);
const SERVERS = ['Postgres', 'PgBouncer', 'Kafka'] as const;

/** Microseconds of processor time by program, for one transfer. */
type Cost = ReadonlyMap<string, number>;

interface Peak {
  readonly load: LoadResult;
  readonly cost: Cost;
}

interface Half extends Peak {
  readonly perSecond: number;
  /** Seconds at the 99th percentile. */
  readonly relay: number;
  readonly projection: number;
  readonly oldest: number;
}

interface Round {
  readonly peak: Peak;
  readonly half: Half;
  readonly untraced: Peak;
}

const rateOf = ({ load }: Peak): number => load.latencies.length / load.seconds;
const sumOf = (cost: Cost, programs: readonly string[]): number => programs.reduce((sum, name) => sum + (cost.get(name) ?? 0), 0);

/** Runs a load and measures what it costs. @throws Error when more than a hundredth of the transfers were not made in time */
async function measured(run: () => Promise<LoadResult>): Promise<Peak> {
  const [before, own] = [await processorSecondsByProgram(), process.cpuUsage()];
  const load = await run();
  const [after, mine] = [await processorSecondsByProgram(), process.cpuUsage(own)];
  if (load.failed > MOST_FAILED * load.latencies.length) throw new Error(`${load.failed} transfers were not made`);
  const micros = (seconds: number): number => (seconds * 1e6) / load.latencies.length;
  const cost = new Map([...after].map(([name, seconds]) => [name, micros(seconds - (before.get(name) ?? 0))]));
  cost.set('load generator', (mine.user + mine.system) / load.latencies.length);
  return { load, cost };
}

const peakOf = (path: EventPath): Promise<Peak> => measured(() => closedLoop(CLIENTS, SECONDS, () => path.transfer()));

/** Ages of the oldest row of the outbox in seconds, sampled while `work` runs, in ascending order. */
async function agesDuring(platform: ReadModelPlatform, work: Promise<unknown>): Promise<number[]> {
  const ages: number[] = [];
  const ended = new AbortController();
  const end = (): void => ended.abort();
  void work.then(end, end);
  while (!ended.signal.aborted) {
    const [row] = await platform.ledger<{ age: number }>(
      'SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age FROM outbox',
    );
    ages.push(row?.age ?? 0);
    await delay(SAMPLE_MS, undefined, { signal: ended.signal }).catch(() => undefined);
  }
  return ages.toSorted((one, other) => one - other);
}

/** At a fixed rate; the histograms of relay and read model have what was observed meanwhile, up to the last entry. */
async function halfOf(platform: ReadModelPlatform, path: EventPath, perSecond: number): Promise<Half> {
  await path.settled();
  const histograms = async () => ({
    relay: bucketsOf(await path.exposition('outbox-relay'), 'outbox_relay_latency_seconds'),
    projection: bucketsOf(await path.exposition('read-model'), 'projection_latency_seconds'),
  });
  const before = await histograms();
  const running = measured(() => openLoop(perSecond, SECONDS, () => path.transfer()));
  const ages = await agesDuring(platform, running);
  const half = await running;
  await path.settled();
  const after = await histograms();
  const p99 = (name: 'relay' | 'projection'): number => bucketQuantile(since(before[name], after[name]), 0.99);
  return { ...half, perSecond, relay: p99('relay'), projection: p99('projection'), oldest: quantile(ages, 0.99) };
}

async function withPath<T>(platform: ReadModelPlatform, options: EventPathOptions, work: (path: EventPath) => Promise<T>): Promise<T> {
  const path = await EventPath.start(platform, options);
  try {
    await closedLoop(CLIENTS, SECONDS * WARM_UP_SHARE, () => path.transfer());
    const result = await work(path);
    await path.settled();
    const lost = await path.total('otel_spans_dropped_total');
    if (lost > 0) throw new Error(`${lost} spans were lost`);
    return result;
  } finally {
    await path.stop();
  }
}

const traced = (platform: ReadModelPlatform, profile?: EventPathOptions['profile']) =>
  withPath(platform, { telemetry: true, profile }, async (path) => {
    const peak = await peakOf(path);
    return { peak, half: await halfOf(platform, path, rateOf(peak) / 2) };
  });

const untraced = (platform: ReadModelPlatform) => withPath(platform, { telemetry: false }, peakOf);

/** With telemetry and without it, one after the other; the order alternates, so that what grows or slows down meets both. */
async function round(platform: ReadModelPlatform, index: number): Promise<Round> {
  if (index % 2 === 0) {
    const first = await traced(platform);
    return { ...first, untraced: await untraced(platform) };
  }
  const first = await untraced(platform);
  return { ...(await traced(platform)), untraced: first };
}

function latencyRow(name: string, peaks: readonly Peak[], extra: string): string {
  const at = (share: number): string => cell(peaks.map(({ load }) => quantile(load.latencies, share)));
  return `| ${name} | ${cell(peaks.map(rateOf))} | ${at(0.5)} | ${at(0.95)} | ${at(0.99)} | ${extra} |`;
}

function costRows(rounds: readonly Round[]): string {
  const cells = (of: (cost: Cost) => number): string =>
    [rounds.map(({ peak }) => peak), rounds.map(({ half }) => half), rounds.map((one) => one.untraced)]
      .map((peaks) => cell(peaks.map(({ cost }) => of(cost))))
      .join(' | ');
  const rows = [...SERVICES, ...SERVERS, 'load generator'].map((name) => `| ${name} | ${cells((cost) => cost.get(name) ?? 0)} |`);
  return [...rows, `| **the five services** | ${cells((cost) => sumOf(cost, SERVICES))} |`].join('\n');
}

function failures(rounds: readonly Round[]): string {
  const loads = rounds.flatMap(({ peak, half, untraced: off }) => [peak.load, half.load, off.load]);
  const [failed, made] = [
    loads.reduce((sum, load) => sum + load.failed, 0),
    loads.reduce((sum, { latencies }) => sum + latencies.length, 0),
  ];
  return failed === 0 ? 'Every one was made.' : `Of ${whole(made + failed)} requests ${failed} had another answer within their deadline.`;
}

function report(rounds: readonly Round[], entries: number, load: string): string {
  const [peaks, halves, off] = [rounds.map(({ peak }) => peak), rounds.map(({ half }) => half), rounds.map((one) => one.untraced)];
  const byRate = rounds.map((one) => (1 - rateOf(one.peak) / rateOf(one.untraced)) * 100);
  const services = (peak: Peak): number => sumOf(peak.cost, SERVICES);
  const path = (peak: Peak): number => sumOf(peak.cost, [...SERVICES, ...SERVERS]);
  const more = (of: (peak: Peak) => number): number[] => rounds.map((one) => (of(one.peak) / of(one.untraced) - 1) * 100);
  return `# Transfers over HTTP

Written by \`make bench-transfers\` (\`node workloads/benchmarks/transfers.ts ${SECONDS}\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

| load | transfers/s | p50, ms | p95, ms | p99, ms | goal |
|---|--:|--:|--:|--:|---|
${latencyRow(`${CLIENTS} clients`, peaks, '')}
${latencyRow('half of that rate', halves, 'p95 below 200 ms')}
${latencyRow(`${CLIENTS} clients, without telemetry`, off, '')}

At half of the peak:

| measured | p99, seconds | goal |
|---|--:|---|
| age of the oldest row of the outbox, every ${SAMPLE_MS} ms | ${cell(
    halves.map(({ oldest }) => oldest),
    precise,
  )} | below 1 |
| from the insertion of a row until Kafka has acknowledged it (\`outbox_relay_latency_seconds\`) | ${cell(
    halves.map(({ relay }) => relay),
    precise,
  )} | below 1 |
| from the posting until its projection (\`projection_latency_seconds\`) | ${cell(
    halves.map(({ projection }) => projection),
    precise,
  )} | |

## Processor time of one transfer, in µs

| process | at the peak | at half of it | at the peak, without telemetry |
|---|--:|--:|--:|
${costRows(rounds)}

## What telemetry costs

| measure | with telemetry against without, in % | goal |
|---|--:|---|
| transfers/s, less | ${cell(byRate, (value) => value.toFixed(1))} | at most 10 |
| processor time of the five services, more | ${cell(more(services), (value) => value.toFixed(1))} | |
| processor time of services and servers, more | ${cell(more(path), (value) => value.toFixed(1))} | at most 10 |

## How it is measured

- Medians of ${ROUNDS} rounds, in parentheses the lowest and the highest. Each round starts the services with telemetry and without it, one after the other, and the order alternates.
- A load lasts ${SECONDS} s, after ${(SECONDS * WARM_UP_SHARE).toFixed(0)} s that are not measured. A transfer moves one minor unit between two of ${whole(ACCOUNTS)} accounts, each with a key of its own. ${failures(rounds)}
- ${CLIENTS} clients send the next request when the former one is answered, over kept connections. At half of the peak a request is sent when it is due, whatever the former ones do, and its time begins then.
- With telemetry: every trace is recorded and exported, as by default, and each process is scraped every 5 s. Without it no span is recorded, and nothing is scraped; counters and log records are the same. What receives the spans
  forgets them.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, ${load}. One process of each service, Kafka, Postgres, PgBouncer and the load generator share it. Postgres runs with fsync off.
- Afterwards the read model had each of the ${whole(entries)} entries of the ledger, every balance and line.
`;
}

function profileOf(names: readonly string[]): EventPathOptions['profile'] {
  const unknown = names.filter((name) => !SERVICES.some((service) => service === name));
  if (unknown.length > 0) throw new Error(`${unknown.join(', ')}: name services of this path: ${SERVICES.join(', ')}`);
  return { services: names, folder: process.cwd() };
}

async function assertProjected(platform: ReadModelPlatform): Promise<number> {
  const differences = await platform.differences();
  if (differences.length > 0) throw new Error(`the read model differs from the ledger: ${JSON.stringify(differences.slice(0, 3))}`);
  const [row] = await platform.ledger<{ entries: number }>(
    `SELECT count(*)::int AS entries FROM posting p JOIN account a ON a.id = p.account_id WHERE a.kind = 'customer'`,
  );
  return row?.entries ?? 0;
}

async function main(platform: ReadModelPlatform): Promise<void> {
  if (flags.profile !== undefined) {
    await traced(platform, profileOf(flags.profile));
    return;
  }
  const loadBefore = loadavg()[0] ?? 0;
  const rounds: Round[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    rounds.push(await round(platform, index));
    console.log(`round ${index + 1} of ${ROUNDS}: ${whole(rateOf(rounds[index]?.peak as Peak))} transfers/s`);
  }
  const text = report(rounds, await assertProjected(platform), `load ${loadBefore.toFixed(1)} before`);
  await writeFile(RESULT, text);
  process.stdout.write(`${text}\n`);
}

const platform = await ReadModelPlatform.start(ACCOUNTS, 1);
try {
  await main(platform);
} finally {
  await platform.stop();
}
process.exit(0);

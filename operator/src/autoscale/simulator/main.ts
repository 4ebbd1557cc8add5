/**
 * Compares the builtin policy with KEDA in every setting, on named and on random loads, and writes a page and charts.
 * Usage: node operator/src/autoscale/simulator/main.ts --out docs/results [--random 100] [--only NAME]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { comparisonChart, frontierChart } from './chart.ts';
import { compare, costOf, nameOf } from './compare.ts';
import type { Comparison } from './compare.ts';
import { geometricMean } from './frontier.ts';
import { kedaScaler } from './keda.ts';
import { CALIBRATED } from './model.ts';
import { randomLoad } from './random-loads.ts';
import { ourScaler } from './ours.ts';
import { chartName, frontierChartName, report, traceNames } from './report.ts';
import { meanOf, run } from './run.ts';
import { CHANGING_TRACES, TRACES } from './traces.ts';
import type { Trace } from './traces.ts';
import { WORLDS } from './worlds.ts';

const NAMED = [...TRACES, ...CHANGING_TRACES];
/** The day and the thousand partitions take as long as all others together: they run in one world with two seeds. */
const LONG = 500_000;
const SEEDS = [1, 2, 3];
const LONG_SEEDS = [1, 2];
/** Random loads come from seeds that nothing was tuned on. */
const FIRST_RANDOM_SEED = 7001;
/** Grid of the first comparison. */
const FORMER_THRESHOLDS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
const FORMER_WINDOWS = [0, 15, 30, 60, 120, 300];

/** What a worker is asked. */
type Job = { kind: 'named'; trace: string; world: string } | { kind: 'random'; seed: number } | { kind: 'former'; trace: string };
type Answer = { comparison: Comparison } | { lag: number; pods: number };

if (isMainThread) await main();
else serve();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { out: { type: 'string', default: 'docs/results' }, random: { type: 'string', default: '100' }, only: { type: 'string' } },
  });
  const begun = performance.now();
  const chosen = NAMED.filter(({ name }) => values.only === undefined || name === values.only);
  const jobs: Job[] = [
    ...chosen.flatMap((trace) => worldsOf(trace).map(({ name }) => ({ kind: 'named', trace: trace.name, world: name }) as const)),
    ...Array.from({ length: Number(values.random) }, (_, index) => ({ kind: 'random', seed: FIRST_RANDOM_SEED + index }) as const),
    ...TRACES.filter((trace) => chosen.includes(trace)).map(({ name }) => ({ kind: 'former', trace: name }) as const),
  ];
  const answers = await inParallel(jobs);
  const of = (kind: Job['kind']) => answers.filter((_, index) => jobs[index]?.kind === kind);
  const comparisons = (kind: Job['kind']) => of(kind).flatMap((answer) => ('comparison' in answer ? [answer.comparison] : []));
  const former = of('former').flatMap((answer) => ('comparison' in answer ? [] : [answer]));
  const named = comparisons('named');
  const results = {
    named,
    random: comparisons('random'),
    former: { lag: geometricMean(former.map(({ lag }) => lag)), pods: geometricMean(former.map(({ pods }) => pods)) },
    seconds: (performance.now() - begun) / 1000,
  };
  mkdirSync(values.out, { recursive: true });
  const page = report(results);
  writeFileSync(join(values.out, 'autoscale-simulator.md'), page);
  for (const trace of traceNames(named))
    writeCharts(
      values.out,
      named.filter((one) => one.trace === trace),
    );
  process.stdout.write(page.slice(page.indexOf('## Goals'), page.indexOf('## Figures')));
}

function worldsOf({ seconds, partitions, commitSeconds }: Trace) {
  // A load that says how often its consumers commit has one kind of consumers.
  return seconds * partitions > LONG || commitSeconds !== undefined ? WORLDS.slice(0, 1) : WORLDS;
}

function writeCharts(folder: string, comparisons: readonly Comparison[]): void {
  const [first] = comparisons;
  if (first === undefined) return;
  writeFileSync(
    join(folder, chartName(first.trace)),
    comparisonChart(first.trace, first.chart.ours, first.chart.keda, 'KEDA, least product'),
  );
  const panels = comparisons.map((one) => ({
    label: `${one.world} in flight`,
    tried: one.tried,
    frontier: one.frontier.map(({ lag, pods, settings }) => ({ lag, pods, label: nameOf(settings) })),
    ours: costOf(one.ours),
    keepUp: one.keepUp,
  }));
  writeFileSync(join(folder, frontierChartName(first.trace)), frontierChart(first.trace, panels));
}

/** One worker per core, each taking the next job when it is done. */
async function inParallel(jobs: readonly Job[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const work = async () => {
    const worker = new Worker(new URL(import.meta.url));
    while (next < jobs.length) {
      const index = next++;
      const job = jobs[index];
      if (job !== undefined) answers[index] = await ask(worker, job);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(jobs.length, availableParallelism()) }, work));
  return answers;
}

async function ask(worker: Worker, job: Job): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.postMessage(job);
  const answer = await promise;
  worker.off('error', reject);
  return answer;
}

function serve(): void {
  parentPort?.on('message', (job: Job) => parentPort?.postMessage(answerOf(job)));
}

function answerOf(job: Job): Answer {
  if (job.kind === 'random') {
    const { trace, group } = randomLoad(job.seed);
    const inFlight = group.commitSeconds === undefined ? group.inFlight : group.commitSeconds / 2;
    return { comparison: compare(trace, { name: `${inFlight} s`, group }, [job.seed]) };
  }
  const trace = NAMED.find(({ name }) => name === job.trace);
  if (trace === undefined) throw new Error(`no trace is called ${job.trace}`);
  const seeds = trace.seconds * trace.partitions > LONG ? LONG_SEEDS : SEEDS;
  if (job.kind === 'former') return formerOf(trace, seeds);
  const world = WORLDS.find(({ name }) => name === job.world);
  if (world === undefined) throw new Error(`no world is called ${job.world}`);
  return { comparison: compare(trace, world, seeds) };
}

/** The measure of the first comparison: against the setting with the least product of lag and pods. */
function formerOf(trace: Trace, seeds: readonly number[]): { lag: number; pods: number } {
  const coarse = trace.seconds * trace.partitions > LONG;
  const reset = trace.neverCommitted === true ? ({ reset: 'earliest' } as const) : {};
  const settings = FORMER_THRESHOLDS.filter((_, index) => !coarse || index % 3 === 0).flatMap((threshold) =>
    FORMER_WINDOWS.filter((_, index) => !coarse || index % 2 === 1).map((window) => ({ threshold, window, behavior: true, ...reset })),
  );
  const costs = settings.map((one) => costOf(meanOf(seeds.map((seed) => run(trace, kedaScaler(one, trace, (seed * 3) % 15), seed)))));
  const best = costs.toSorted((a, b) => a.lag * a.pods - b.lag * b.pods)[0] ?? { lag: 1, pods: 1 };
  const ours = costOf(meanOf(seeds.map((seed) => run(trace, ourScaler(trace, seed), seed, { group: CALIBRATED }))));
  return { lag: ours.lag / best.lag, pods: ours.pods / best.pods };
}

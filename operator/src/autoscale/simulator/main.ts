/**
 * Compares the builtin policy with KEDA and fixed replicas on every trace, and writes a page and charts.
 * Usage: node operator/src/autoscale/simulator/main.ts --out docs/results
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { comparisonChart } from './chart.ts';
import { CALIBRATED } from './model.ts';
import { ourScaler } from './ours.ts';
import { chartName, ratiosOf, report } from './report.ts';
import { run } from './run.ts';
import { compare } from './search.ts';
import type { Comparison } from './search.ts';
import { TRACES } from './traces.ts';

/** Seconds in flight for which the comparison is repeated. */
const IN_FLIGHT = [0.02, CALIBRATED.inFlight, 0.1];
/** The day and the thousand partitions take as long as all others together. */
const QUICK = TRACES.filter(({ seconds, partitions }) => seconds * partitions < 500_000).map(({ name }) => name);
const DAYS = 100;

/** What a worker is asked: a comparison, or some days of our policy alone. */
type Job = { kind: 'compare'; trace: string; inFlight: number } | { kind: 'days'; seeds: number[] };
type Answer = Comparison | { days: number };

if (isMainThread) await main();
else serve();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { out: { type: 'string', default: 'docs/results' } } });
  const jobs: Job[] = IN_FLIGHT.flatMap((inFlight) =>
    (inFlight === CALIBRATED.inFlight ? TRACES.map(({ name }) => name) : QUICK).map(
      (trace) => ({ kind: 'compare', trace, inFlight }) as const,
    ),
  );
  const answers = await inParallel(jobs);
  const of = (inFlight: number) =>
    jobs.flatMap((job, index) => (job.kind === 'compare' && job.inFlight === inFlight ? [answers[index]] : [])).filter(isComparison);
  const comparisons = of(CALIBRATED.inFlight);
  const sensitivity = IN_FLIGHT.map((inFlight) => ({
    inFlight,
    ratios: ratiosOf(of(inFlight).filter(({ trace }) => QUICK.includes(trace))),
  }));
  const speed = { days: DAYS, seconds: await timeDays(), workers: availableParallelism() };
  mkdirSync(values.out, { recursive: true });
  const page = report(comparisons, sensitivity, speed);
  writeFileSync(join(values.out, 'autoscale-simulator.md'), page);
  for (const { trace, chart, bestProduct } of comparisons) {
    const { threshold, window } = bestProduct.settings;
    writeFileSync(join(values.out, chartName(trace)), comparisonChart(trace, chart.ours, chart.keda, `KEDA ${threshold}/${window} s`));
  }
  process.stdout.write(page.slice(page.indexOf('## Summary'), page.indexOf('## Figures')));
}

function isComparison(answer: Answer | undefined): answer is Comparison {
  return answer !== undefined && 'trace' in answer;
}

async function timeDays(): Promise<number> {
  const begun = performance.now();
  const workers = availableParallelism();
  const seeds = Array.from({ length: DAYS }, (_, index) => index + 1);
  await inParallel(
    Array.from({ length: workers }, (_, worker) => ({ kind: 'days', seeds: seeds.filter((seed) => seed % workers === worker) })),
  );
  return (performance.now() - begun) / 1000;
}

/** One worker per core, each taking the next job when it is done. */
async function inParallel(jobs: readonly Job[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const work = async () => {
    const worker = new Worker(new URL(import.meta.url));
    while (next < jobs.length) {
      const index = next++;
      answers[index] = await ask(worker, jobs[index]);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({ length: Math.min(jobs.length, availableParallelism()) }, work));
  return answers;
}

async function ask(worker: Worker, job: Job | undefined): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  worker.once('message', resolve);
  worker.once('error', reject);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage(job);
  const answer = await promise;
  worker.off('error', reject);
  return answer;
}

function serve(): void {
  parentPort?.on('message', (job: Job) => {
    const answer = job.kind === 'compare' ? compare(job.trace, { ...CALIBRATED, inFlight: job.inFlight }) : simulateDays(job.seeds);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    parentPort?.postMessage(answer);
  });
}

function simulateDays(seeds: readonly number[]): { days: number } {
  const day = TRACES.find(({ name }) => name === 'day');
  if (day === undefined) throw new Error('the day is missing');
  for (const seed of seeds) run(day, ourScaler(day, seed), seed);
  return { days: seeds.length };
}

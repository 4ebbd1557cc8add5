/** Runs the files of a suite: side by side, then those that measure time one after the other. */
import process from 'node:process';
import { keepOutput } from './logs.ts';
import { order, readPlans, shuffled } from './plan.ts';
import { runFile, type FileResult } from './run-file.ts';
import { readTimes } from './times.ts';

export interface Counts {
  passed: number;
  /** "file: test name: beginning of its error", or what is wrong with a file as a whole. */
  failures: string[];
  /** "file test name (reason)". */
  skipped: string[];
  /** Seconds of each file that ran. */
  times: Record<string, number>;
  /** Where the outputs of files that failed are kept. */
  logs: string[];
}

export interface Limits {
  readonly fileMs: number;
  readonly suiteMs: number;
  /** Files at the same time. */
  readonly concurrency: number;
}

export function noCounts(failures: string[] = []): Counts {
  return { passed: 0, failures, skipped: [], times: {}, logs: [] };
}

/** The counts of several suites as one. Pure. */
export function addCounts(all: readonly Counts[]): Counts {
  return {
    passed: all.reduce((sum, { passed }) => sum + passed, 0),
    failures: all.flatMap(({ failures }) => failures),
    skipped: all.flatMap(({ skipped }) => skipped),
    times: Object.assign({}, ...all.map(({ times }) => times)) as Counts['times'],
    logs: all.flatMap(({ logs }) => logs),
  };
}

/** `N passed, N failed`, then the skipped where there are any. */
export function closingLine({ passed, failures, skipped }: Pick<FileResult, 'passed' | 'failures' | 'skipped'>): string {
  return `${passed} passed, ${failures.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`;
}

/**
 * Prints the output of each file when it ends, or as it comes where only one file runs at a time.
 * @param root folder that the paths of the files start from; with a slash at its end
 * @param env environment variables of the files
 */
export async function runSuite(root: string, files: readonly string[], limits: Limits, env = process.env): Promise<Counts> {
  if (files.length === 0) return noCounts(['the suite has no files']);
  const counts = noCounts();
  const plans = readPlans(root, files);
  // One file at a time: the order changes nothing about the total, so it stays as it was given.
  const { together, alone } = arranged(order(plans, limits.concurrency === 1 ? {} : readTimes()), limits);
  const deadline = Date.now() + limits.suiteMs;
  const work = async (queue: string[], live: boolean): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const limitMs = Math.min(limits.fileMs, deadline - Date.now());
      if (limitMs <= 0) counts.failures.push(`${file}: not run, because the suite exceeded its limit of ${limits.suiteMs / 1000} s`);
      else add(counts, await runFile(file, { limitMs, cwd: root, env, live }), live);
    }
  };
  await Promise.all(Array.from({ length: limits.concurrency }, () => work(together, limits.concurrency === 1)));
  for (const { file, serial } of plans) if (serial !== undefined) console.log(`runs alone: ${file}: ${serial}`);
  await work(alone, true);
  return counts;
}

/** TEST_SEED puts the files of a suite that may run in any order into another one: no file may depend on an earlier one. */
function arranged({ together, alone }: ReturnType<typeof order>, { concurrency }: Limits): ReturnType<typeof order> {
  const seed = process.env['TEST_SEED'];
  if (seed === undefined || concurrency === 1) return { together, alone };
  console.log(`files in the order of TEST_SEED=${seed}`);
  return { together: shuffled(together, seed), alone: shuffled(alone, seed) };
}

function add(counts: Counts, result: FileResult, printed: boolean): void {
  const { file, passed, failures, skipped, seconds, output } = result;
  counts.times[file] = seconds;
  counts.passed += passed;
  counts.failures.push(...failures.map((failure) => `${file}: ${failure}`));
  counts.skipped.push(...skipped.map((name) => `${file}: ${name}`));
  const log = keepOutput(result);
  if (log !== undefined) counts.logs.push(log);
  if (!printed) process.stdout.write(output);
  console.log(`${failures.length === 0 ? '✔' : '✖'} ${file}: ${closingLine(result)} in ${seconds.toFixed(1)} s`);
}

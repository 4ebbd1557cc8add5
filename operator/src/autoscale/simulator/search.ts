/** KEDA at its best for each trace, found by trying every setting, against one policy of ours for all. */
import { kedaScaler } from './keda.ts';
import type { KedaSettings } from './keda.ts';
import { ourScaler } from './ours.ts';
import type { OursOptions } from './ours.ts';
import { meanOf, run } from './run.ts';
import type { Result } from './run.ts';
import type { Trace } from './traces.ts';

/** `lagThreshold`s tried: a replica's work of a twentieth of a second up to that of 50 s. */
export const THRESHOLDS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/** Scale-down stabilization windows tried, seconds; 300 is the default. */
export const WINDOWS = [0, 15, 30, 60, 120, 300];

export interface KedaRun {
  settings: KedaSettings;
  result: Result;
}

/** One trace's outcome. */
export interface Comparison {
  trace: Trace;
  ours: Result;
  keda: readonly KedaRun[];
  /** The settings with the least lag integral, the fewest pod-seconds, and the least product of the two. */
  leastLag: KedaRun;
  cheapest: KedaRun;
  bestProduct: KedaRun;
}

/** Runs per policy and trace: seeds 1 to `runs`, each with another phase of the samples and of the HPA. */
export function runsOf(trace: Trace): number {
  return trace.seconds > 10_000 ? 2 : 5;
}

/** Our policy over a trace, averaged over seeds and phases. */
export function runOurs(trace: Trace, options: OursOptions = {}): Result {
  return meanOf(seeds(trace).map((seed) => run(trace, ourScaler(trace, seed % 5, options), seed)));
}

/** One KEDA setting over a trace, averaged over seeds and phases. */
export function runKeda(trace: Trace, settings: KedaSettings): Result {
  return meanOf(seeds(trace).map((seed) => run(trace, kedaScaler(settings, trace, (seed * 3) % 15), seed)));
}

/** The whole grid on one trace. A group without commits starts from the beginning, and KEDA is told so. */
export function searchKeda(trace: Trace): KedaRun[] {
  const all: KedaRun[] = [];
  for (const threshold of THRESHOLDS) {
    for (const window of WINDOWS) {
      const settings: KedaSettings = { threshold, window, ...(trace.neverCommitted === true ? { reset: 'earliest' } : {}) };
      all.push({ settings, result: runKeda(trace, settings) });
    }
  }
  return all;
}

/** Puts one trace's runs side by side. */
export function compare(trace: Trace, ours: Result, keda: readonly KedaRun[]): Comparison {
  return {
    trace,
    ours,
    keda,
    leastLag: leastBy(keda, ({ result }) => result.lagIntegral),
    cheapest: leastBy(keda, ({ result }) => result.podSeconds),
    bestProduct: leastBy(keda, ({ result }) => result.lagIntegral * result.podSeconds),
  };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function seeds(trace: Trace): number[] {
  return Array.from({ length: runsOf(trace) }, (_, index) => index + 1);
}

function leastBy(runs: readonly KedaRun[], value: (run: KedaRun) => number): KedaRun {
  const [first] = runs.toSorted((a, b) => value(a) - value(b));
  if (first === undefined) throw new Error('no runs to choose from');
  return first;
}

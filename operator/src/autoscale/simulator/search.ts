/** KEDA at its best for each trace, found by trying every setting, against one policy of ours for all. */
import { evenLayout, needed } from '../sizing.ts';
import { kedaScaler } from './keda.ts';
import type { KedaSettings } from './keda.ts';
import { CALIBRATED } from './model.ts';
import type { GroupOptions } from './model.ts';
import { ourScaler } from './ours.ts';
import { fixedScaler, meanOf, run } from './run.ts';
import type { Point, Result, Scaler } from './run.ts';
import { TRACES } from './traces.ts';
import type { Trace } from './traces.ts';

/** `lagThreshold`s tried: a replica's work of a twentieth of a second up to that of 50 s. 10 is KEDA's default. */
export const THRESHOLDS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/** Scale-down stabilization windows tried, seconds; 300 is the default. */
export const WINDOWS = [0, 15, 30, 60, 120, 300];
/** The setting that stands for a threshold chosen badly: the default of 10 left as it is, with the default window. */
export const UNTUNED: KedaSettings = { threshold: 10, window: 300 };

/** Added to the seeds for those that nothing was tuned on. */
export const OTHER_SEEDS = 5;

export interface KedaRun {
  settings: KedaSettings;
  result: Result;
}

/** One trace's outcome; plain data. */
export interface Comparison {
  trace: string;
  seeds: number[];
  ours: Result;
  /** The same, with the rate of one replica known from before. */
  oursWarm: Result;
  fixed: Result;
  untuned: KedaRun;
  /** The settings with the least lag integral, the fewest pod-seconds, and the least product of the two. */
  leastLag: KedaRun;
  cheapest: KedaRun;
  bestProduct: KedaRun;
  /** Ours and that setting with seeds that nothing was tuned on. */
  elsewhere: { ours: Result; keda: Result };
  /** The first seed second by second. */
  chart: { ours: Point[]; keda: Point[] };
}

/** Days take long, so fewer of them. Each seed has another phase of the samples and of the HPA. */
export function seedsOf(trace: Trace): number[] {
  return Array.from({ length: trace.seconds > 10_000 ? 2 : 5 }, (_, index) => index + 1);
}

/** Everything about one trace. */
export function compare(name: string, group: GroupOptions = CALIBRATED): Comparison {
  const trace = TRACES.find((one) => one.name === name);
  if (trace === undefined) throw new Error(`no trace is called ${name}`);
  const keda = searchKeda(trace, group);
  const bestProduct = leastBy(keda, ({ result }) => result.lagIntegral * result.podSeconds);
  return {
    trace: name,
    seeds: seedsOf(trace),
    ours: average(trace, group, (seed) => ourScaler(trace, seed)),
    oursWarm: average(trace, group, (seed) =>
      ourScaler(trace, seed, { learned: { ratePerReplica: trace.ratePerReplica, startupSeconds: 5, observations: 100 } }),
    ),
    fixed: average(trace, group, () => fixedScaler(fixedReplicas(trace))),
    untuned: keda.find(({ settings }) => settings.threshold === UNTUNED.threshold && settings.window === UNTUNED.window) ?? bestProduct,
    leastLag: leastBy(keda, ({ result }) => result.lagIntegral),
    cheapest: leastBy(keda, ({ result }) => result.podSeconds),
    bestProduct,
    elsewhere: {
      ours: average(trace, group, (seed) => ourScaler(trace, seed), OTHER_SEEDS),
      keda: average(trace, group, (seed) => kedaScaler(bestProduct.settings, trace, phaseOf(seed)), OTHER_SEEDS),
    },
    chart: {
      ours: points(trace, group, ourScaler(trace, 1)),
      keda: points(trace, group, kedaScaler(bestProduct.settings, trace, phaseOf(1))),
    },
  };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** The whole grid on one trace. A group without commits starts from the beginning, and KEDA is told so. */
function searchKeda(trace: Trace, group: GroupOptions): KedaRun[] {
  const reset = trace.neverCommitted === true ? ({ reset: 'earliest' } as const) : {};
  return THRESHOLDS.flatMap((threshold) =>
    WINDOWS.map((window) => {
      const settings: KedaSettings = { threshold, window, ...reset };
      return { settings, result: average(trace, group, (seed) => kedaScaler(settings, trace, phaseOf(seed))) };
    }),
  );
}

/** @param offset of the seeds */
function average(trace: Trace, group: GroupOptions, scaler: (seed: number) => Scaler, offset = 0): Result {
  return meanOf(seedsOf(trace).map((seed) => run(trace, scaler(seed + offset), seed + offset, { group })));
}

/** Phases of the HPA's 15 s cycle, spread over the seeds. */
function phaseOf(seed: number): number {
  return (seed * 3) % 15;
}

/** What somebody who knows the highest load would fix: enough for it. */
function fixedReplicas(trace: Trace): number {
  let most = 0;
  for (let second = 1; second <= trace.seconds; second++) most = Math.max(most, trace.arrivals(second));
  return Math.min(trace.maxReplicas, needed(most / trace.ratePerReplica, evenLayout(trace.partitions)));
}

/** One run, thinned to what a chart can show. */
function points(trace: Trace, group: GroupOptions, scaler: Scaler): Point[] {
  const every = Math.ceil(trace.seconds / 600);
  const kept: Point[] = [];
  run(trace, scaler, 1, { group, watch: (point) => (point.time % every === 0 ? kept.push(point) : 0) });
  return kept;
}

function leastBy(runs: readonly KedaRun[], value: (run: KedaRun) => number): KedaRun {
  const [first] = runs.toSorted((a, b) => value(a) - value(b));
  if (first === undefined) throw new Error('no runs to choose from');
  return first;
}

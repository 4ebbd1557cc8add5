/** KEDA with every setting, reduced to those worth choosing, against the one default policy. */
import { withDefaults } from '../policy.ts';
import { frontierOf } from './frontier.ts';
import type { Cost } from './frontier.ts';
import { kedaScaler } from './keda.ts';
import type { KedaSettings } from './keda.ts';
import { keepUp } from './keep-up.ts';
import type { GroupOptions } from './model.ts';
import { ourScaler } from './ours.ts';
import { fixedScaler, meanOf, run } from './run.ts';
import type { Point, Result, Scaler } from './run.ts';
import type { Trace } from './traces.ts';

/** `lagThreshold`s tried, 1 to 10,000; KEDA's default is 10. */
export const THRESHOLDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
/** Scale-down stabilization windows tried with a `behavior`, seconds. */
export const WINDOWS = [0, 15, 60, 120, 300];
/** Scale-up policies tried: the HPA's default (4 pods or 100 % in 15 s), and one without a limit. */
export const POLICIES: readonly (number | undefined)[] = [undefined, 1000];

export interface KedaRun extends Cost {
  settings: KedaSettings;
  result: Result;
}

/** One trace in one world; plain data. */
export interface Comparison {
  trace: string;
  world: string;
  ours: Result;
  /** The builtin policy with seeds that nothing was tuned on. */
  unseen: Result;
  /** All settings of KEDA with one seed: the cloud in the chart. */
  tried: Cost[];
  /** The settings that no other one beats in lag and pods, with all seeds, cheapest first. */
  frontier: KedaRun[];
  /** The cheapest setting with which no event waits above maxDelay; null when there is none. */
  keptGoal: KedaRun | null;
  /** Pod-seconds of the fewest useful replicas that carry the load. */
  keepUp: number;
  /** Seconds above maxDelay with all replicas from the beginning to the end: what capacity does not allow. */
  unavoidable: number;
  /** The first seed second by second: the builtin policy, and the setting of KEDA with the least product of lag and pods. */
  chart: { ours: Point[]; keda: Point[] };
}

/** Added to the seeds for those that nothing was tuned on. */
const UNSEEN = 1000;
/** Beyond the frontier of one seed, settings this close to it are tried with all seeds. */
const NEAR = 1.15;

/** The settings that are tried on a trace. */
export function settingsFor(trace: Trace, thresholds: readonly number[] = THRESHOLDS): KedaSettings[] {
  const reset = trace.neverCommitted === true ? ({ reset: 'earliest' } as const) : {};
  const pollings = trace.minReplicas === 0 ? [5, 30] : [30];
  return thresholds.flatMap((threshold) =>
    pollings.flatMap((polling) => [
      { threshold, window: 300, behavior: false, polling, ...reset },
      ...WINDOWS.flatMap((window) =>
        POLICIES.map((podsPerStep) => ({
          threshold,
          window,
          behavior: true,
          polling,
          ...(podsPerStep === undefined ? {} : { podsPerStep }),
          ...reset,
        })),
      ),
    ]),
  );
}

/** Everything about one trace in one world. Every run is drained to zero. */
export function compare(trace: Trace, world: { name: string; group: GroupOptions }, seeds: readonly number[]): Comparison {
  const { group } = world;
  const long = trace.seconds * trace.partitions > 500_000;
  const average = (scaler: (seed: number) => Scaler, offset = 0) =>
    meanOf(seeds.map((seed) => run(trace, scaler(seed + offset), seed + offset, { group, drain: true })));
  const keda = (settings: KedaSettings, result: Result): KedaRun => ({ settings, result, ...costOf(result) });
  const first = seeds[0] ?? 1;
  const tried = settingsFor(trace, long ? THRESHOLDS.filter((_, index) => index % 2 === 0) : THRESHOLDS).map((settings) =>
    keda(settings, run(trace, kedaScaler(settings, trace, phaseOf(first)), first, { group, drain: true })),
  );
  const promising = tried.filter((one) => !tried.some((other) => other.lag * NEAR < one.lag && other.pods * NEAR < one.pods));
  const chosen = promising
    .toSorted((a, b) => a.lag * a.pods - b.lag * b.pods)
    .slice(0, long ? 12 : 60)
    .map(({ settings }) =>
      keda(
        settings,
        average((seed) => kedaScaler(settings, trace, phaseOf(seed))),
      ),
    );
  const ours = average((seed) => ourScaler(trace, seed));
  const best = chosen.toSorted((a, b) => a.lag * a.pods - b.lag * b.pods)[0];
  return {
    trace: trace.name,
    world: world.name,
    ours,
    unseen: average((seed) => ourScaler(trace, seed), UNSEEN),
    tried: tried.map(({ lag, pods }) => ({ lag, pods })),
    frontier: frontierOf(chosen),
    keptGoal: chosen.filter(({ result }) => result.secondsAboveMaxDelay === 0).toSorted((a, b) => a.pods - b.pods)[0] ?? null,
    keepUp: keepUp(trace),
    unavoidable: average(() => fixedScaler(withDefaults({ maxReplicas: trace.maxReplicas }).maxReplicas)).secondsAboveMaxDelay,
    chart: {
      ours: points(trace, group, ourScaler(trace, first)),
      keda: best === undefined ? [] : points(trace, group, kedaScaler(best.settings, trace, phaseOf(first))),
    },
  };
}

/** What a run costs. */
export function costOf({ lagIntegral, podSeconds }: Result): Cost {
  return { lag: lagIntegral, pods: podSeconds };
}

/** `threshold/window`, "no behavior", and the scale-up policy where it is not the default. */
export function nameOf({ threshold, window, behavior, podsPerStep }: KedaSettings): string {
  const name = behavior === false ? `${threshold}, no behavior` : `${threshold}/${window} s`;
  return podsPerStep === undefined ? name : `${name}, up at once`;
}

/** Phases of the HPA's 15 s cycle, spread over the seeds. */
function phaseOf(seed: number): number {
  return (seed * 3) % 15;
}

/** One run, thinned to what a chart can show. */
function points(trace: Trace, group: GroupOptions, scaler: Scaler): Point[] {
  const every = Math.ceil(trace.seconds / 400);
  const kept: Point[] = [];
  run(trace, scaler, 1, { group, watch: (point) => (point.time % every === 0 ? kept.push(point) : 0) });
  return kept;
}

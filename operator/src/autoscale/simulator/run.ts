/** Runs one policy over one trace and sums up. */
import { CALIBRATED, DRAIN_SECONDS, GroupModel } from './model.ts';
import type { GroupOptions, Totals } from './model.ts';
import type { Trace } from './traces.ts';

/** Sees the group once a second and may scale it. */
export interface Scaler {
  step(group: GroupModel): void;
}

/** One run's figures. */
export interface Result extends Totals {
  scaleActions: number;
  /** Seconds from the start to the first scale-up; null without one. */
  firstScaleUp: number | null;
}

/** What a chart needs of one second. */
export interface Point {
  time: number;
  arrivals: number;
  lag: number;
  delay: number;
  replicas: number;
  ready: number;
}

/** Less than a message is left: amounts in the model are continuous. */
const DRAINED = 1;

/**
 * Runs `scaler` over the whole trace. The same seed gives every policy the same noise. With `drain` the run goes on without arrivals until
 * nothing is left, so that a policy pays for what it leaves behind.
 */
export function run(
  trace: Trace,
  scaler: Scaler,
  seed: number,
  options: { group?: GroupOptions; drain?: boolean; watch?: (point: Point) => void } = {},
): Result {
  const group = new GroupModel(trace, options.group ?? CALIBRATED, seed);
  let scaleActions = 0;
  let firstScaleUp: number | null = null;
  const drain = options.drain === true ? DRAIN_SECONDS : 0;
  while (group.time < trace.seconds || (group.time < trace.seconds + drain && group.lag >= DRAINED)) {
    group.step();
    const before = group.replicas;
    scaler.step(group);
    if (group.replicas !== before) scaleActions++;
    if (group.replicas > before) firstScaleUp ??= group.time;
    options.watch?.({
      time: group.time,
      arrivals: group.arrivals,
      lag: group.lag,
      delay: group.delay,
      replicas: group.replicas,
      ready: group.ready,
    });
  }
  return { ...group.totals, scaleActions, firstScaleUp };
}

/** A number of replicas that never changes. */
export function fixedScaler(replicas: number): Scaler {
  return {
    step(group) {
      if (group.replicas !== replicas) group.scale(replicas);
    },
  };
}

/** The mean of several runs, figure by figure; worst values are the worst of all. */
export function meanOf(results: readonly Result[]): Result {
  const mean = (pick: (result: Result) => number) => results.reduce((sum, result) => sum + pick(result), 0) / results.length;
  const most = (pick: (result: Result) => number) => Math.max(...results.map(pick));
  return {
    lagIntegral: mean((one) => one.lagIntegral),
    worstLag: most((one) => one.worstLag),
    worstDelay: most((one) => one.worstDelay),
    secondsAboveMaxDelay: mean((one) => one.secondsAboveMaxDelay),
    podSeconds: mean((one) => one.podSeconds),
    pauseSeconds: mean((one) => one.pauseSeconds),
    rebalances: mean((one) => one.rebalances),
    processed: mean((one) => one.processed),
    lost: mean((one) => one.lost),
    scaleActions: mean((one) => one.scaleActions),
    firstScaleUp: mean((one) => one.firstScaleUp ?? Infinity),
  };
}

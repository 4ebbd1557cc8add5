/**
 * A recorded hour of a group under another policy: the arrivals are those recorded, the pods those of the model. What the model is worth shows
 * in `modelled`: the policy that really was, replayed the same way. While the lag was not known the brokers count as away. Pure.
 */
import type { ScalePolicy } from '../policy.ts';
import type { GroupRecording } from '../recording.ts';
import type { DecisionRecord } from '../types.ts';
import { kedaScaler } from './keda.ts';
import { CALIBRATED } from './model.ts';
import type { GroupOptions } from './model.ts';
import { ourScaler } from './ours.ts';
import { fixedScaler, run } from './run.ts';
import type { Point, Result, Scaler } from './run.ts';
import type { Trace } from './traces.ts';

/** Sums over the hour. */
export interface ReplayFigures {
  /** Message-seconds. */
  lagIntegral: number;
  worstLag: number;
  /** Seconds; null where no sample told. */
  worstDelay: number | null;
  podSeconds: number;
  scaleActions: number;
}

/** One look of the recording, and the model at the same second. */
export interface ReplayRow {
  at: number;
  /** Messages per second. */
  arrivals: number;
  recorded: { lag: number | null; replicas: number };
  replayed: { lag: number; replicas: number };
}

export interface Replay {
  seconds: number;
  policy: ScalePolicy;
  rows: ReplayRow[];
  recorded: ReplayFigures;
  /** The recorded policy in the model: how far the model is off. */
  modelled: ReplayFigures;
  replayed: ReplayFigures;
}

/** Too little is known for a model; the message says what is missing. */
export class CannotReplay extends Error {}

/** One seed for all: the noise is in the recorded arrivals already. */
const SEED = 1;
const LEAST_DECISIONS = 6;
/** Around the start-up time that was learnt. */
const START_SPREAD_SECONDS = 1;

/** @throws CannotReplay */
export function replay(recording: GroupRecording, policy: ScalePolicy): Replay {
  const trace = traceOf(recording);
  const group = modelOf(recording);
  const modelled = run(trace, scalerOf(recording, recording.policy, trace), SEED, { group });
  const points: Point[] = [];
  const replayed = run(trace, scalerOf(recording, policy, trace), SEED, { group, watch: (point) => points.push(point) });
  return {
    seconds: trace.seconds,
    policy,
    rows: rowsOf(recording.decisions, trace, points),
    recorded: recordedFigures(recording.decisions),
    modelled: figuresOf(modelled),
    replayed: figuresOf(replayed),
  };
}

function scalerOf({ decisions, learned }: GroupRecording, policy: ScalePolicy, trace: Trace): Scaler {
  if (policy.mode === 'fixed') return fixedScaler(decisions[0]?.from ?? policy.minReplicas);
  if (policy.mode === 'builtin') return ourScaler(trace, 0, { policy, learned });
  const { minReplicas, maxReplicas, lagPerReplica: threshold, scaleDownWindowSeconds: window } = policy;
  if (threshold === undefined) throw new CannotReplay('KEDA scales by a threshold and not by a delay: give lagPerReplica');
  return kedaScaler({ threshold, window, reset: 'earliest' }, { ...trace, minReplicas, maxReplicas }, 0);
}

/** The recorded load as a trace: what arrived between two looks is spread evenly over the time between them. */
function traceOf({ decisions, policy, learned, shares }: GroupRecording): Trace {
  const [first] = decisions;
  const last = decisions.at(-1);
  if (first === undefined || last === undefined || decisions.length < LEAST_DECISIONS)
    throw new CannotReplay(`${decisions.length} decisions are too few to replay: wait until there are ${LEAST_DECISIONS}`);
  if (learned === null || shares.length === 0)
    throw new CannotReplay('the rate of one replica is not known yet, so its pods cannot be modelled: it is learnt from the first backlog');
  const seconds = Math.floor((last.at - first.at) / 1000);
  const { rates, limits, blind } = perSecond(decisions, seconds);
  const even = shares.every((share) => share === 0);
  return {
    name: 'recorded',
    about: '',
    seconds,
    partitions: shares.length,
    ratePerReplica: learned.ratePerReplica,
    // The model begins with the replicas that there were; the bounds are the policy's.
    minReplicas: first.from,
    maxReplicas: policy.maxReplicas,
    maxDelay: policy.maxDelaySeconds,
    arrivals: (second) => rates[second] ?? 0,
    sharedLimit: (second) => limits[second] ?? Infinity,
    brokerDown: (second) => blind[second] ?? false,
    weight: (partition) => (even ? 1 : (shares[partition] ?? 0)),
    backlog: decisions.find(({ usable }) => usable)?.lag ?? 0,
  };
}

interface Seconds {
  rates: number[];
  /** Messages per second that all replicas together could do, where something that they share was the limit. */
  limits: number[];
  /** The lag could not be read. */
  blind: boolean[];
}

function perSecond(decisions: readonly DecisionRecord[], seconds: number): Seconds {
  const result: Seconds = { rates: [], limits: [], blind: [] };
  const start = decisions[0]?.at ?? 0;
  let filled = 0;
  for (const decision of decisions) {
    const until = Math.min(seconds, Math.round((decision.at - start) / 1000));
    for (let second = lastUsable(result, filled) + 1; second <= until; second++) {
      if (decision.arrivalNow !== null) result.rates[second] = decision.arrivalNow;
    }
    for (let second = filled + 1; second <= until; second++) {
      result.blind[second] = !decision.usable;
      if (decision.reason === 'Ineffective' && decision.lag > 0) result.limits[second] = decision.throughput;
      if (decision.reason === 'NoProgress') result.limits[second] = 0;
    }
    filled = until;
  }
  return result;
}

/** The last second before `filled` whose arrivals are known: those of a gap are told by the first look after it. */
function lastUsable({ rates }: Seconds, filled: number): number {
  let second = filled;
  while (second > 0 && rates[second] === undefined) second--;
  return second;
}

function modelOf({ learned }: GroupRecording): GroupOptions {
  const startup = learned?.startupSeconds ?? 0;
  if (startup <= 0) return CALIBRATED;
  return { ...CALIBRATED, startup: [Math.max(1, startup - START_SPREAD_SECONDS), startup + START_SPREAD_SECONDS] };
}

function rowsOf(decisions: readonly DecisionRecord[], trace: Trace, points: readonly Point[]): ReplayRow[] {
  const start = decisions[0]?.at ?? 0;
  return decisions.flatMap(({ at, usable, lag, to }) => {
    const second = Math.round((at - start) / 1000);
    const point = points[second - 1];
    if (point === undefined) return [];
    return [
      {
        at,
        arrivals: trace.arrivals(second),
        recorded: { lag: usable ? lag : null, replicas: to },
        replayed: { lag: point.lag, replicas: point.replicas },
      },
    ];
  });
}

function figuresOf({ lagIntegral, worstLag, worstDelay, podSeconds, scaleActions }: Result): ReplayFigures {
  return { lagIntegral, worstLag, worstDelay, podSeconds, scaleActions };
}

/** A lag that was not known counts as the last one known. */
function recordedFigures(decisions: readonly DecisionRecord[]): ReplayFigures {
  const figures: ReplayFigures = { lagIntegral: 0, worstLag: 0, worstDelay: null, podSeconds: 0, scaleActions: 0 };
  let lag = 0;
  for (const [index, decision] of decisions.entries()) {
    const next = decisions[index + 1];
    const seconds = next === undefined ? 0 : (next.at - decision.at) / 1000;
    if (decision.usable) ({ lag } = decision);
    figures.lagIntegral += lag * seconds;
    figures.podSeconds += (next?.from ?? 0) * seconds;
    figures.worstLag = Math.max(figures.worstLag, lag);
    if (decision.delaySeconds !== null) figures.worstDelay = Math.max(figures.worstDelay ?? 0, decision.delaySeconds);
    if (next !== undefined && next.from !== decision.from) figures.scaleActions++;
  }
  return figures;
}

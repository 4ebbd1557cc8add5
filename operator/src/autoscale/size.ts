/** From rates and backlog to replicas: what the group needs now, and what would have sufficed. Pure. */
import type { State } from './state.ts';
import { sum } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import type { ScalePolicy } from './policy.ts';
import { demandOf, hotPartitions, needed, useful, worth } from './sizing.ts';
import type { DecisionReason, UsableSample } from './types.ts';

/** What a sample asks for, before ceiling, bounds, step limit and window. */
export interface Size {
  /** Replicas to go up to at once when they are more than there are. */
  wanted: number;
  /** Replicas that carry the arrivals with a margin; a backlog does not count here. */
  sufficient: number;
  reason: DecisionReason;
  /** Messages waiting beyond those in flight. */
  backlog: number;
  /** Messages per second that the group must process to keep the goal. */
  demand: number;
  /** Indices of the partitions that no number of replicas can serve. */
  hot: readonly number[];
}

/** Tuned on all of the simulator's traces together. */
export const TUNING = {
  /** Lag of up to this share of maxDelay is work in flight and no backlog. */
  slackShare: 0.05,
  /** A backlog is to be gone within this share of maxDelay. */
  drainShare: 0.45,
  /** Fewer replicas suffice when they could do so much more than what arrives: the scatter of the arrivals, within these bounds. */
  leastMargin: 0.03,
  mostMargin: 0.12,
  /** A trend is followed this far beyond the replicas' start-up time, seconds. */
  horizonSeconds: 22,
};

/** Start-up time assumed until one has been measured, seconds. */
const ASSUMED_STARTUP_SECONDS = 5;
/** A second look so soon after a scale-up still corrects it, backlog and all; seconds. */
const FIRST_STEP_SECONDS = 3;
/** With an unknown rate one step goes to at most this multiple. */
const EXPLORE_FACTOR = 2;
/** One interval does not make the replicas slower than this share of what was learnt of them. */
const LEAST_RATE_SHARE = 0.25;
/** So far above the usual lag is a backlog. */
const USUAL_MARGIN = 1.5;

/** Sizes the group for one sample. */
export function sizeUp(state: State, sample: UsableSample, policy: ScalePolicy): Size {
  const { estimate } = state;
  const rate = rateOf(estimate, sample);
  const size = rate === undefined ? explore(state, sample, policy) : bySize(state, sample, policy, rate);
  return policy.lagPerReplica === undefined ? size : byLag(size, sample, policy.lagPerReplica);
}

/**
 * The rate is not known yet. The first backlog is looked at once more before anything is done: that look usually teaches the rate. If it does
 * not, what one member does now is taken for its rate, and one step at most doubles.
 */
function explore(state: State, sample: UsableSample, policy: ScalePolicy): Size {
  const { estimate } = state;
  const backlog = Math.max(0, sample.totalLag - inFlight(estimate, sample, policy));
  const current = sample.deployment.replicas;
  const partitions = sample.partitions.length;
  const { members } = sample.group;
  const base = { backlog, demand: estimate.arrivalNow, hot: [], reason: 'Exploring' as const };
  if (current === 0) return { ...base, wanted: sample.totalLag > 0 ? 1 : 0, sufficient: 0 };
  // Never saturated: take away one useful step per window, which costs little and shows the rate. The last one goes only where the group may stop.
  if (backlog === 0) return { ...base, wanted: 0, sufficient: useful(current - 1, partitions) };
  const growing = estimate.arrivalNow > estimate.throughput && estimate.throughput > 0 && members >= current;
  const pressing = (sample.delaySeconds ?? 0) > policy.maxDelaySeconds / 2;
  const seenBefore = state.backlogSince !== null && state.backlogSince < sample.at;
  if (!growing || !(seenBefore || pressing)) return { ...base, wanted: current, sufficient: current };
  const byRate = needed((estimate.arrivalNow * members) / estimate.throughput, partitions);
  const byStep = useful(Math.max(current + 1, current * EXPLORE_FACTOR), partitions);
  const wanted = Math.max(current, Math.min(byRate, byStep));
  return { ...base, wanted, sufficient: wanted };
}

/**
 * Messages per second that one replica does. When all are busy and do less than what was learnt, they have become slower, or share something
 * that has: their present rate counts at once, so that one step shows which of the two it is.
 */
function rateOf({ learned, saturatedShare, throughput }: Estimate, { group }: UsableSample): number | undefined {
  if (learned === null || saturatedShare !== 1 || group.members === 0) return learned?.ratePerReplica;
  const now = Math.max(throughput / group.members, LEAST_RATE_SHARE * learned.ratePerReplica);
  return Math.min(learned.ratePerReplica, now);
}

/** Lag that is no backlog, messages. One message in each partition never is. */
function inFlight({ arrival, usualSeconds }: Estimate, { partitions }: UsableSample, { maxDelaySeconds }: ScalePolicy): number {
  const usual = Math.min(usualSeconds * USUAL_MARGIN, maxDelaySeconds / 2);
  return Math.max(partitions.length, arrival * Math.max(usual, maxDelaySeconds * TUNING.slackShare));
}

function bySize(state: State, sample: UsableSample, policy: ScalePolicy, rate: number): Size {
  const { estimate } = state;
  const partitions = sample.partitions.length;
  // A hot partition without lag is nobody's trouble.
  const hot = hotPartitions(estimate.partitionArrival, rate).filter((index) => (sample.lag[index] ?? 0) > rate);
  const lag = sample.lag.map((waiting, index) => (hot.includes(index) ? 0 : waiting));
  const backlog = Math.max(0, sum(lag) - inFlight(estimate, sample, policy));
  const arrival = backlog > 0 ? Math.max(estimate.arrival, estimate.arrivalNow) : estimate.arrival;
  const ahead = Math.max(0, estimate.slope) * (startup(state) + TUNING.horizonSeconds);
  const pressing = hot.length === 0 && (sample.delaySeconds ?? 0) > policy.maxDelaySeconds / 2;
  // While replicas join, the backlog grows however many are asked for; right after the first step of a scale-up it does not yet.
  const justBegun = state.joining !== null && sample.at - state.joining.at <= FIRST_STEP_SECONDS * 1000;
  const mayDrain = state.unsettledSince === null || pressing || justBegun;
  const drain = mayDrain ? drainRate(state, sample, policy, backlog, arrival, rate) : 0;
  const load = { partitionArrival: estimate.partitionArrival, lag, rate };
  const sized = (perSecond: number, drained: number) => needed(demandOf(load, perSecond, drained) / rate, partitions);
  const demand = demandOf(load, arrival + ahead, drain);
  const wanted = backlog > 0 || ahead > 0 ? needed(demand / rate, partitions) : 0;
  const reason = reasonOf(sample.deployment.replicas, sized(arrival, 0), sized(arrival + ahead, 0));
  const margin = Math.min(TUNING.mostMargin, Math.max(TUNING.leastMargin, estimate.scatter));
  const sufficient = sized((estimate.arrival + ahead) / (1 - margin), 0);
  return { wanted, sufficient, reason, backlog, demand, hot };
}

function reasonOf(current: number, forArrivals: number, forTrend: number): DecisionReason {
  if (forArrivals > current) return 'ArrivalRate';
  return forTrend > current ? 'Trend' : 'Backlog';
}

/** Messages per second on top of the arrivals, for the backlog, and what it grows by until new replicas work, to be gone in time. */
function drainRate(state: State, sample: UsableSample, policy: ScalePolicy, backlog: number, arrival: number, rate: number): number {
  if (backlog <= 0) return 0;
  const missing = Math.max(0, arrival - worth(sample.deployment.replicas, sample.partitions.length) * rate);
  return (backlog + missing * startup(state)) / (policy.maxDelaySeconds * TUNING.drainShare);
}

function startup(state: State): number {
  const seconds = state.estimate.learned?.startupSeconds ?? 0;
  return seconds > 0 ? seconds : ASSUMED_STARTUP_SECONDS;
}

/** KEDA's meaning of a threshold, for those who bring one: at least ceil(lag / threshold). */
function byLag(size: Size, sample: UsableSample, lagPerReplica: number): Size {
  const least = Math.min(sample.partitions.length, Math.ceil(sample.totalLag / lagPerReplica));
  if (least <= size.wanted) return { ...size, sufficient: Math.max(size.sufficient, least) };
  return { ...size, wanted: least, sufficient: Math.max(size.sufficient, least), reason: 'LagPerReplica' };
}

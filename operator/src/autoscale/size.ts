/** From rates and backlog to replicas: what the group needs now, and what would have sufficed. Pure. */
import type { State } from './state.ts';
import type { ScalePolicy } from './policy.ts';
import { hotPartitions, needed, useful } from './sizing.ts';
import type { DecisionReason, UsableSample } from './types.ts';

/** What a sample asks for, before step limit and window. */
export interface Size {
  /** Replicas to go up to at once when they are more than there are. */
  wanted: number;
  /** Replicas that suffice, with a margin: never above `wanted` by less than a step, so that the two do not chase each other. */
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
  slackShare: 0.1,
  /** A backlog is to be gone within this share of maxDelay. */
  drainShare: 0.4,
  /** Fewer replicas suffice when the arrivals keep them busy for no more than this share of the time. */
  busyShare: 0.85,
  /** A trend is followed this far beyond the replicas' start-up time, seconds. */
  horizonSeconds: 5,
};

/** Start-up time assumed until one has been measured, seconds. */
const ASSUMED_STARTUP_SECONDS = 5;
/** With an unknown rate one step goes to at most this multiple. */
const EXPLORE_FACTOR = 2;

export function sizeUp(state: State, sample: UsableSample, policy: ScalePolicy): Size {
  const { estimate } = state;
  const inFlight = estimate.arrival * policy.maxDelaySeconds * TUNING.slackShare;
  const backlog = Math.max(0, sample.totalLag - inFlight);
  const size =
    estimate.learned === null ? explore(state, sample, backlog) : bySize(state, sample, policy, estimate.learned.ratePerReplica, backlog);
  return policy.lagPerReplica === undefined ? size : byLag(size, sample, policy.lagPerReplica);
}

/** The rate is not known yet: with a backlog that grows, what one member does now is taken for it, and one step at most doubles. */
function explore(state: State, sample: UsableSample, backlog: number): Size {
  const { estimate } = state;
  const current = sample.deployment.replicas;
  const partitions = sample.partitions.length;
  const { members } = sample.group;
  const growing = backlog > 0 && estimate.arrivalNow > estimate.throughput && estimate.throughput > 0 && members >= current;
  const demand = estimate.arrivalNow;
  const base = { backlog, demand, hot: [], reason: 'Exploring' as const };
  if (current === 0) return { ...base, wanted: sample.totalLag > 0 ? 1 : 0, sufficient: 0 };
  if (growing) {
    const wanted = Math.min(
      needed((demand * members) / estimate.throughput, partitions),
      useful(Math.max(current + 1, current * EXPLORE_FACTOR), partitions),
    );
    return { ...base, wanted: Math.max(current, wanted), sufficient: current };
  }
  // Never saturated: take away one useful step per window, which costs little and shows the rate.
  return { ...base, wanted: current, sufficient: backlog > 0 ? current : Math.max(1, useful(current - 1, partitions)) };
}

function bySize(state: State, sample: UsableSample, policy: ScalePolicy, rate: number, backlog: number): Size {
  const { estimate } = state;
  const hot = hotPartitions(estimate.partitionArrival, rate);
  const hotArrival = hot.reduce((sum, index) => sum + (estimate.partitionArrival[index] ?? 0), 0);
  const hotLag = hot.reduce((sum, index) => sum + (sample.lag[index] ?? 0), 0);
  const partitions = sample.partitions.length - hot.length;
  const waiting = Math.max(0, backlog - hotLag);
  const latest = backlog > 0 ? Math.max(estimate.arrival, estimate.arrivalNow) : estimate.arrival;
  const arrival = Math.max(0, latest - hotArrival);
  const ahead = Math.max(0, estimate.slope) * (startup(state) + TUNING.horizonSeconds);
  const drain = drainRate(state, sample, policy, waiting, arrival);
  const demand = arrival + ahead + drain;
  const sized = (load: number) => (hot.length === 0 ? needed(load / rate, partitions) : hot.length + needed(load / rate, partitions));
  const evidence = waiting > 0 || ahead > 0;
  const wanted = evidence ? sized(demand) : Math.min(sized(demand), sample.deployment.replicas);
  const sufficient = Math.max(
    sized(estimate.arrival - hotArrival > 0 ? (estimate.arrival - hotArrival) / TUNING.busyShare + ahead : 0),
    evidence ? wanted : 0,
  );
  const reason: DecisionReason =
    drain > 0 && sized(arrival + ahead) <= sample.deployment.replicas
      ? 'Backlog'
      : ahead > 0 && sized(arrival) <= sample.deployment.replicas
        ? 'Trend'
        : 'ArrivalRate';
  return { wanted, sufficient, reason, backlog, demand, hot };
}

/**
 * Messages per second on top of the arrivals, for the backlog to be gone in time. While replicas start or the group rebalances the backlog
 * grows however many are asked for, so then it does not count, until half of the time allowed is over.
 */
function drainRate(state: State, sample: UsableSample, policy: ScalePolicy, backlog: number, arrival: number): number {
  if (backlog <= 0) return 0;
  const pressing = (sample.delaySeconds ?? 0) > policy.maxDelaySeconds / 2;
  if (state.unsettledSince !== null && !pressing) return 0;
  const growth = Math.max(0, arrival - state.estimate.throughput) * startup(state);
  return (backlog + growth) / (policy.maxDelaySeconds * TUNING.drainShare);
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

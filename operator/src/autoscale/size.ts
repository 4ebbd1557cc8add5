/** From rates and backlog to replicas: what the group needs now, and what would have sufficed. Pure. */
import { pauseOf } from './state.ts';
import type { State } from './state.ts';
import { sum } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import type { ScalePolicy } from './policy.ts';
import { commitsSlowly } from './members.ts';
import { forecast } from './season.ts';
import { demandOf, hotPartitions, most, needed, useful, worth } from './sizing.ts';
import type { Layout } from './sizing.ts';
import type { DecisionReason, UsableSample } from './types.ts';

/** What a sample asks for, before ceiling, bounds, step limit and window. */
export interface Size {
  /** Replicas to go up to at once when they are more than there are. */
  wanted: number;
  /** Replicas that carry the arrivals with a margin; a backlog does not count here. */
  sufficient: number;
  /** Replicas that drain the backlog in time: none of them is taken away while it lasts. */
  keep: number;
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
/** With an unknown rate, a backlog is watched until it has taught the rate, in a group that never settles for so long; seconds. */
const EXPLORE_SECONDS = 10;
/**
 * With an unknown rate, messages beyond those in flight ask for more replicas once it takes this share of maxDelay for them to arrive: fewer are what
 * batches, commits and noise leave waiting, however many replicas there are.
 */
const EXPLORE_SHARE = 0.1;
/** With an unknown rate one step goes to at most this multiple. */
const EXPLORE_FACTOR = 4;
/** One interval does not make the replicas slower than this share of what was learnt of them. */
const LEAST_RATE_SHARE = 0.25;
/**
 * A rate that is distrusted is tried with fewer replicas when, should it be right after all, no more than this share of maxDelay comes together
 * in the time that it takes to see it and to bring the replicas back; seconds.
 */
const PROBE_SHARE = 0.25;
const PROBE_SECONDS = 20;
/** Replicas for what repeats are there so long before it, and their rebalance is over; seconds. */
const SEASON_LEAD_SECONDS = 30;
/** Standstills that a backlog may take longer to drain before replicas are added for it alone: there and back, each with what it leaves. */
const STAY_PAUSES = 4;
/** So far above the usual lag is a backlog. */
const USUAL_MARGIN = 1.5;

/** Sizes the group for one sample. */
export function sizeUp(state: State, sample: UsableSample, policy: ScalePolicy): Size {
  const { estimate } = state;
  const rate = rateOf(estimate, sample);
  const size = rate === undefined ? explore(state, sample, policy) : bySize(state, sample, policy, rate);
  return policy.lagPerReplica === undefined ? size : byLag(size, sample, policy.lagPerReplica, most(layoutOf(estimate, sample)));
}

/**
 * The rate is not known yet. The first backlog is looked at once more before anything is done: that look usually teaches the rate. If it does
 * not, what one member does now is taken for its rate, and one step goes to four times the number at most. Fewer replicas only where it is certain that they do: what
 * each was seen to do before, or nothing to do at all.
 */
function explore(state: State, sample: UsableSample, policy: ScalePolicy): Size {
  const { estimate } = state;
  const layout = layoutOf(estimate, sample);
  const backlog = Math.max(0, sample.totalLag - inFlight(estimate, sample, policy));
  const current = sample.deployment.replicas;
  const { members } = sample.group;
  const base = { backlog, keep: 0, demand: estimate.arrivalNow, hot: [], reason: 'Exploring' as const };
  if (current === 0) return { ...base, wanted: sample.totalLag > 0 ? 1 : 0, sufficient: 0 };
  if (backlog === 0) return { ...base, wanted: 0, sufficient: Math.min(current, certain(state, sample, policy, layout)) };
  const growing = estimate.arrivalNow > estimate.throughput && estimate.throughput > 0 && members >= current;
  const seconds = state.backlogSince === null ? 0 : (sample.at - state.backlogSince) / 1000;
  const watched = estimate.members.settled ? estimate.members.tracks.some(({ rate }) => rate > 0) : seconds >= EXPLORE_SECONDS;
  const seenBefore = seconds > 0 && watched;
  // While the group rebalances, the backlog grows however many are asked for, and each further step would stop it once more.
  const joining = state.joining !== null && sample.at - state.joining.at < EXPLORE_SECONDS * 1000;
  const considerable = backlog > estimate.arrivalNow * policy.maxDelaySeconds * EXPLORE_SHARE;
  if (!growing || joining || !((seenBefore && considerable) || isPressing(estimate, sample, policy)))
    return { ...base, wanted: current, sufficient: current };
  const byRate = needed((estimate.arrivalNow * members) / estimate.members.perReplica / estimate.throughput, layout);
  const byStep = useful(Math.max(current + 1, current * EXPLORE_FACTOR), layout);
  const wanted = Math.max(current, Math.min(byRate, byStep));
  return { ...base, wanted, sufficient: wanted };
}

/** Replicas that certainly carry the arrivals although the rate is not known; Infinity when nothing is certain. */
function certain(state: State, sample: UsableSample, policy: ScalePolicy, layout: Layout): number {
  const { estimate, idleSince } = state;
  if (idleSince !== null && sample.at - idleSince >= policy.idleSeconds * 1000) return 0;
  const byProof = estimate.proven === null || estimate.proven === 0 ? Infinity : needed(withMargin(estimate, 0) / estimate.proven, layout);
  // What was added without knowing better is taken back one useful step at a time, which shows the rate.
  return state.explored ? Math.min(byProof, useful(sample.deployment.replicas - 1, layout)) : byProof;
}

/** Arrivals, and what is expected beyond them, with room for their noise; the last interval counts as it is. */
function withMargin(estimate: Estimate, ahead: number): number {
  const margin = Math.min(TUNING.mostMargin, Math.max(TUNING.leastMargin, estimate.scatter));
  return Math.max((estimate.arrival + ahead) / (1 - margin), estimate.arrivalNow);
}

/** An event has waited for half of the goal; of slow commits the wait for the commit does not count. */
function isPressing({ members }: Estimate, sample: UsableSample, policy: ScalePolicy): boolean {
  const committing = commitsSlowly(members) ? members.commitSeconds : 0;
  return (sample.delaySeconds ?? 0) - committing > policy.maxDelaySeconds / 2;
}

/** How the group's partitions are dealt out: under the range assignor each topic by itself. */
export function layoutOf({ members, partitionArrival }: Estimate, { partitions, group }: UsableSample): Layout {
  const layout = { partitions: partitions.length, perReplica: members.perReplica };
  if (group.assignor !== 'range') return layout;
  const topics = new Map<string, { partitions: number; arrival: number }>();
  for (const [index, name] of partitions.entries()) {
    const topic = name.slice(0, name.lastIndexOf('/'));
    const held = topics.get(topic) ?? { partitions: 0, arrival: 0 };
    topics.set(topic, { partitions: held.partitions + 1, arrival: held.arrival + (partitionArrival[index] ?? 0) });
  }
  if (topics.size < 2) return layout;
  const arrival = sum(partitionArrival);
  const share = (topic: { partitions: number; arrival: number }) =>
    arrival > 0 ? topic.arrival / arrival : topic.partitions / partitions.length;
  return { ...layout, topics: [...topics.values()].map((topic) => ({ partitions: topic.partitions, share: share(topic) })) };
}

/**
 * Messages per second that one replica does. When all are busy and do less than what was learnt, they have become slower, or share something
 * that has: their present rate counts at once, so that one step shows which of the two it is.
 */
function rateOf({ learned, busy, members }: Estimate, { group }: UsableSample): number | undefined {
  if (learned === null || busy === null || group.members === 0) return learned?.ratePerReplica;
  const now = Math.max((busy / group.members) * members.perReplica, LEAST_RATE_SHARE * learned.ratePerReplica);
  return Math.min(learned.ratePerReplica, now);
}

/** Lag that is no backlog, messages. One message in each partition never is. */
function inFlight(
  { arrival, usualSeconds, uncommitted }: Estimate,
  { partitions }: UsableSample,
  { maxDelaySeconds }: ScalePolicy,
): number {
  const usual = Math.min(usualSeconds * USUAL_MARGIN, maxDelaySeconds / 2);
  return Math.max(partitions.length, uncommitted + arrival * Math.max(usual, maxDelaySeconds * TUNING.slackShare));
}

function bySize(state: State, sample: UsableSample, policy: ScalePolicy, rate: number): Size {
  const { estimate } = state;
  const layout = layoutOf(estimate, sample);
  const memberRate = rate / layout.perReplica;
  // A hot partition without lag is nobody's trouble.
  const hot = hotPartitions(estimate.partitionArrival, memberRate).filter((index) => (sample.lag[index] ?? 0) > memberRate);
  const lag = sample.lag.map((waiting, index) => (hot.includes(index) ? 0 : waiting));
  const backlog = Math.max(0, sum(lag) - inFlight(estimate, sample, policy));
  const arrival = backlog > 0 ? Math.max(estimate.arrival, estimate.arrivalNow) : estimate.arrival;
  const trend = Math.max(0, estimate.slope) * (startup(state) + TUNING.horizonSeconds);
  const season = seasonAhead(state, sample.at);
  const ahead = Math.max(trend, season);
  const pressing = hot.length === 0 && isPressing(estimate, sample, policy);
  // While replicas join, the backlog grows however many are asked for; right after the first step of a scale-up it does not yet.
  const justBegun = state.joining !== null && sample.at - state.joining.at <= FIRST_STEP_SECONDS * 1000;
  const mayDrain = state.unsettledSince === null || pressing || justBegun;
  const left = { backlog, arrival, rate, layout, pressing };
  const drain = mayDrain && !drainsSoon(state, sample, policy, left) ? drainRate(state, sample, policy, left) : 0;
  const keepDrain = mayDrain ? drainRate(state, sample, policy, left) : 0;
  const load = { partitionArrival: estimate.partitionArrival, lag, rate: memberRate };
  const sized = (perSecond: number, drained: number) => needed(demandOf(load, perSecond, drained) / rate, layout);
  const demand = demandOf(load, arrival + ahead, drain);
  const wanted = backlog > 0 || ahead > 0 ? needed(demand / rate, layout) : 0;
  const keep = backlog > 0 ? sized(arrival, keepDrain) : 0;
  const reason = reasonOf(sample.deployment.replicas, sized(arrival, 0), sized(arrival + trend, 0), sized(arrival + season, 0));
  // Going there stops the group once more, and the smaller number must drain what that leaves.
  const going = 1 + pauseSeconds(state) / staySeconds(state, policy);
  const byRate = sized(Math.max(withMargin(estimate, ahead), estimate.arrival * going), 0);
  const sufficient = backlog === 0 ? Math.min(byRate, probe(state, sample, policy, rate, layout)) : byRate;
  return { wanted, sufficient, keep, reason, backlog, demand, hot };
}

/**
 * Fewer replicas than the rate asks for, while the rate is distrusted: a new version may be faster, and a group that keeps up never shows it.
 * Infinity when nothing is to be tried.
 */
function probe(state: State, sample: UsableSample, policy: ScalePolicy, rate: number, layout: Layout): number {
  const { estimate, unsettledSince } = state;
  if (!estimate.distrusted || unsettledSince !== null) return Infinity;
  const replicas = useful(sample.deployment.replicas - 1, layout);
  const arrival = withMargin(estimate, Math.max(0, estimate.slope) * TUNING.horizonSeconds);
  const missing = arrival - worth(replicas, layout) * rate;
  const waits = (missing * PROBE_SECONDS) / Math.max(1e-9, arrival);
  return replicas > 0 && waits <= PROBE_SHARE * policy.maxDelaySeconds ? replicas : Infinity;
}

function reasonOf(current: number, forArrivals: number, forTrend: number, forSeason: number): DecisionReason {
  if (forArrivals > current) return 'ArrivalRate';
  if (forTrend > current) return 'Trend';
  return forSeason > current ? 'Season' : 'Backlog';
}

/** Messages per second that will arrive beyond the present ones by the time that more replicas could work, by what repeats; 0 when nothing does. */
function seasonAhead(state: State, at: number): number {
  const { estimate } = state;
  const lead = startup(state) + pauseSeconds(state) + SEASON_LEAD_SECONDS;
  return Math.max(0, (forecast(estimate.season, at, lead)?.rate ?? 0) - estimate.arrival);
}

interface Backlog {
  backlog: number;
  arrival: number;
  rate: number;
  layout: Layout;
  /** An event has waited for half of the goal. */
  pressing: boolean;
}

/** Messages per second on top of the arrivals, for the backlog, and what it grows by until new replicas work, to be gone in time. */
function drainRate(state: State, sample: UsableSample, policy: ScalePolicy, { backlog, arrival, rate, layout }: Backlog): number {
  if (backlog <= 0) return 0;
  const missing = Math.max(0, arrival - worth(sample.deployment.replicas, layout) * rate);
  return (backlog + missing * startup(state)) / (policy.maxDelaySeconds * TUNING.drainShare);
}

/**
 * The present replicas carry the arrivals and will have drained the backlog soon enough: a scale-up for it and the scale-down after it would stop
 * the whole group twice.
 */
function drainsSoon(
  state: State,
  sample: UsableSample,
  policy: ScalePolicy,
  { backlog, arrival, rate, layout, pressing }: Backlog,
): boolean {
  const spare = worth(sample.deployment.replicas, layout) * rate - arrival;
  return !pressing && spare > 0 && backlog / spare <= staySeconds(state, policy);
}

/** A backlog that the present replicas drain within this time is theirs, seconds. The more a rebalance costs, the longer. */
function staySeconds(state: State, { maxDelaySeconds }: ScalePolicy): number {
  const rebalances = startup(state) + STAY_PAUSES * pauseSeconds(state);
  return Math.min(maxDelaySeconds, maxDelaySeconds * TUNING.drainShare + rebalances);
}

/** What a change of members costs, as learnt or as the present one shows; seconds of arrivals. */
function pauseSeconds({ estimate, standstill }: State): number {
  return Math.max(estimate.learned?.pauseSeconds ?? 0, standstill === null ? 0 : pauseOf(standstill));
}

function startup(state: State): number {
  const seconds = state.estimate.learned?.startupSeconds ?? 0;
  return seconds > 0 ? seconds : ASSUMED_STARTUP_SECONDS;
}

/** KEDA's meaning of a threshold, for those who bring one: at least ceil(lag / threshold). */
function byLag(size: Size, sample: UsableSample, lagPerReplica: number, limit: number): Size {
  const least = Math.min(limit, Math.ceil(sample.totalLag / lagPerReplica));
  if (least <= size.wanted) return { ...size, sufficient: Math.max(size.sufficient, least) };
  return { ...size, wanted: least, sufficient: Math.max(size.sufficient, least), reason: 'LagPerReplica' };
}

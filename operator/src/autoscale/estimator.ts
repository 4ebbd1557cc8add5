/** Arrival rate, trend, and the rate of one replica, from successive samples. Pure: one estimate in, the next one out. */
import { commitsSlowly, follow, initialMembers, uncommitted } from './members.ts';
import type { Members, Work } from './members.ts';
import { initialSeason, observeSeason } from './season.ts';
import type { Season } from './season.ts';
import type { LearnedRate, UsableSample } from './types.ts';

/** Everything estimated of one group. Rates are messages per second. */
export interface Estimate {
  at: number;
  /** Arrivals over the last interval alone. */
  arrivalNow: number;
  /** Smoothed arrivals; follows a step within two samples. */
  arrival: number;
  /** Change of the arrival rate, messages per second per second; 0 unless it is clear. */
  slope: number;
  /** How far the arrivals of an interval usually are from what was expected, as a share of it (one standard deviation). */
  scatter: number;
  /** Messages per second that the group committed, over the last interval, or over whole commit intervals where those are longer. */
  throughput: number;
  /** Smoothed arrivals of each partition. */
  partitionArrival: readonly number[];
  /** Share of the members that had work waiting all the time since the last sample; null when the group changed meanwhile. */
  saturatedShare: number | null;
  /** Messages per second that all members together do when all are saturated; else null. */
  busy: number | null;
  learned: LearnedRate | null;
  /** The rate may be another since a new version of the pods runs, and nothing has been seen of it yet. */
  distrusted: boolean;
  /** What each replica was seen to do at least, messages per second: all that is known while the rate is not; null when nothing is. */
  proven: number | null;
  /** Seconds of arrivals that show as lag although the replicas keep up, beyond what lies between two commits. */
  usualSeconds: number;
  /** Messages that are probably processed and not committed yet; 0 where commits come with every sample. */
  uncommitted: number;
  readonly members: Members;
  /** What repeats every hour, day or week. */
  readonly season: Season;
  /** Revision of the pods' template; null while it is not known. */
  readonly version: string | null;
  /** The last interval rates, newest last, for the trend. */
  readonly recent: readonly RatePoint[];
  /** The last rates of saturated replicas, newest last. */
  readonly observed: readonly { rate: number; seconds: number }[];
  /** What was committed in the last intervals, newest last, for `throughput`. */
  readonly committed: readonly { seconds: number; count: number }[];
}

interface RatePoint {
  at: number;
  rate: number;
}

/** Time constant of the smoothed arrival rate, seconds. */
const SMOOTHING_SECONDS = 20;
/** Two intervals in a row this far from the smoothed rate, on the same side, are a step and not noise. */
const STEP_SHARE = 0.25;
/** Replicas that do less than this share of what they can are not held up by their own rate. */
const IDLE_SHARE = 0.85;
const USUAL_WEIGHT = 0.05;
const TREND_POINTS = 6;
/** A slope counts for what it exceeds its own uncertainty by: so many standard errors are taken off it. */
const TREND_ERRORS = 6;
/** A trend rises or falls by so many standard deviations of the usual noise while it is seen. */
const TREND_SCATTERS = 3;
const OBSERVED_RATES = 5;
/** Time constant of the scatter, seconds; what one interval adds to it at most; and a standard deviation in mean deviations of noise. */
const SCATTER_SECONDS = 60;
const MOST_SCATTER = 0.25;
const DEVIATIONS = 1.25;
/** Replicas keep up when they do what arrives, to this share. */
const KEPT_UP_SHARE = 0.1;
/** A lag of more than this is never usual, seconds of arrivals. */
const MOST_USUAL_SECONDS = 60;
/** Weight of one observation of the rate once there are some. */
const LEAST_WEIGHT = 0.25;
/** Whole commit intervals that the throughput is averaged over when they are longer than the time between two samples. */
const THROUGHPUT_COMMITS = 2;
const MOST_INTERVALS = 60;
/** Share of what members with slow commits were seen to do that is certain. */
const SLOW_PROOF = 0.8;
/** After a gap longer than this (brokers away) the interval says nothing about what a replica can do. */
const LONGEST_INTERVAL_SECONDS = 20;

/** What is known before the first sample. */
export function initialEstimate(learned: LearnedRate | null, season: Season = initialSeason()): Estimate {
  return {
    at: 0,
    arrivalNow: 0,
    arrival: 0,
    slope: 0,
    scatter: 0,
    throughput: 0,
    partitionArrival: [],
    saturatedShare: null,
    busy: null,
    learned,
    distrusted: false,
    proven: null,
    usualSeconds: 0,
    uncommitted: 0,
    members: initialMembers(learned),
    season,
    version: learned?.version ?? null,
    recent: [],
    observed: [],
    committed: [],
  };
}

/**
 * The estimate after one more usable sample. The first sample, and the first after a change of partitions, only sets the base.
 * @param limited something that the replicas share holds them back: what they do is not their rate, and none is learnt
 */
export function estimate(last: Estimate, sample: UsableSample, limited = false): Estimate {
  const before = released(last, sample);
  if (sample.seconds <= 0) {
    const members = { ...before.members, owners: sample.owners, settled: isQuiet(sample), tracks: [] };
    return { ...before, at: sample.at, members, recent: [] };
  }
  const arrivalNow = sum(sample.arrived) / sample.seconds;
  const recent = [...before.recent.slice(1 - TREND_POINTS), { at: sample.at, rate: arrivalNow }];
  const trend = trendOf(recent, before.scatter);
  // A smoothed rate lags behind a trend, the fitted line does not.
  const arrival = trend === null ? smoothed(before, recent, sample.seconds) : Math.max(0, trend.now);
  return {
    ...before,
    at: sample.at,
    arrivalNow,
    arrival,
    slope: trend?.slope ?? 0,
    scatter: scatterOf(before, arrivalNow, trend?.now ?? before.arrival, sample.seconds),
    partitionArrival: partitionRates(before, sample),
    recent,
    season: observeSeason(before.season, sample.at, arrival),
    ...processing(before, sample, limited, arrivalNow),
  };
}

function isQuiet({ group, deployment }: UsableSample): boolean {
  return group.state === 'Stable' && !deployment.rollingOut;
}

/** Everything that follows from what the group committed. */
function processing(before: Estimate, sample: UsableSample, limited: boolean, arrivalNow: number): Partial<Estimate> {
  const settled = isQuiet(sample) && sample.seconds <= LONGEST_INTERVAL_SECONDS;
  const { members, work } = follow(before.members, sample, settled, before.learned !== null);
  const committed = [...before.committed.slice(1 - MOST_INTERVALS), { seconds: sample.seconds, count: sum(sample.progress) }];
  const throughput = throughputOf(committed, members);
  const learnt = limited ? { learned: before.learned, observed: [] } : learn(before, members, work);
  const proven = settled ? provenNow(before, sample, throughput, members) : null;
  const learned = raised(learnt.learned, proven);
  const rate = learned?.ratePerReplica ?? before.proven ?? arrivalNow;
  const notCommitted = uncommitted(members, sample.at, rate / members.perReplica);
  return {
    throughput,
    saturatedShare: work.saturatedShare,
    busy: work.busy,
    observed: learnt.observed,
    learned: learned === null ? null : keep(learned, members, before.version),
    distrusted: before.distrusted && learnt.learned === before.learned,
    proven: proven === null ? before.proven : Math.max(proven, before.proven ?? 0),
    uncommitted: notCommitted,
    usualSeconds: work.saturatedShare === null ? before.usualSeconds : usualLag(before, sample, arrivalNow, throughput, notCommitted),
    members,
    committed,
  };
}

/** What is worth keeping across a restart stands together. */
function keep(learned: LearnedRate, { commitSeconds, perReplica }: Members, version: string | null): LearnedRate {
  return {
    ratePerReplica: learned.ratePerReplica,
    startupSeconds: learned.startupSeconds,
    observations: learned.observations,
    ...(learned.pauseSeconds === undefined ? {} : { pauseSeconds: learned.pauseSeconds }),
    ...(commitSeconds > 0 ? { commitSeconds } : {}),
    ...(perReplica > 1 ? { membersPerReplica: perReplica } : {}),
    ...(version === null ? {} : { version }),
  };
}

/** Pods of another template may do more or less: what was learnt stands until something is seen of them, and no longer. */
function released(before: Estimate, { deployment }: UsableSample): Estimate {
  const { version = null } = deployment;
  if (version === null || version === before.version) return before;
  if (before.version === null || before.learned === null)
    return { ...before, version, proven: before.version === null ? before.proven : null };
  return { ...before, version, proven: null, observed: [], distrusted: true, learned: { ...before.learned, observations: 0 } };
}

function throughputOf(committed: Estimate['committed'], members: Members): number {
  const window = commitsSlowly(members) ? THROUGHPUT_COMMITS * members.commitSeconds : 0;
  let seconds = 0;
  let count = 0;
  for (const interval of committed.toReversed()) {
    if (seconds > 0 && seconds + interval.seconds / 2 > window) break;
    seconds += interval.seconds;
    count += interval.count;
  }
  return seconds === 0 ? 0 : count / seconds;
}

function smoothed(before: Estimate, recent: readonly RatePoint[], seconds: number): number {
  const now = recent.at(-1)?.rate ?? 0;
  const previous = recent.at(-2)?.rate;
  if (previous === undefined) return now;
  const band = STEP_SHARE * before.arrival;
  const stepUp = Math.min(now, previous) > before.arrival + band;
  const stepDown = Math.max(now, previous) < before.arrival - band;
  if (stepUp || stepDown) return (now + previous) / 2;
  return before.arrival + (now - before.arrival) * (1 - Math.exp(-seconds / SMOOTHING_SECONDS));
}

/** The least-squares line through the recent rates, or null when its slope stands out neither from their scatter nor from the usual one. */
function trendOf(points: readonly RatePoint[], usualScatter: number): { slope: number; now: number } | null {
  const count = points.length;
  const origin = points.at(-1)?.at ?? 0;
  if (count < TREND_POINTS) return null;
  const meanT = sum(points.map(({ at }) => (at - origin) / 1000)) / count;
  const meanR = sum(points.map(({ rate }) => rate)) / count;
  let tt = 0;
  let tr = 0;
  let rr = 0;
  for (const { at, rate } of points) {
    const t = (at - origin) / 1000 - meanT;
    tt += t * t;
    tr += t * (rate - meanR);
    rr += (rate - meanR) ** 2;
  }
  if (tt === 0) return null;
  const slope = tr / tt;
  const scatter = Math.sqrt(Math.max(0, rr - slope * tr) / (count - 2) / tt);
  const certain = Math.abs(slope) - TREND_ERRORS * scatter;
  const rise = (Math.abs(slope) * (origin - (points[0]?.at ?? origin))) / 1000;
  return certain > 0 && rise > TREND_SCATTERS * usualScatter * meanR
    ? { slope: Math.sign(slope) * certain, now: meanR - slope * meanT }
    : null;
}

/** A step is no noise, so one interval adds no more than MOST_SCATTER. */
function scatterOf({ scatter }: Estimate, now: number, expected: number, seconds: number): number {
  if (expected <= 0) return scatter;
  const deviation = DEVIATIONS * Math.min(MOST_SCATTER, Math.abs(now - expected) / expected);
  return scatter + (deviation - scatter) * (1 - Math.exp(-seconds / SCATTER_SECONDS));
}

function partitionRates(before: Estimate, sample: UsableSample): number[] {
  const weight = 1 - Math.exp(-sample.seconds / SMOOTHING_SECONDS);
  return sample.arrived.map((count, index) => {
    const rate = count / sample.seconds;
    const old = before.partitionArrival[index] ?? rate;
    return old + (rate - old) * weight;
  });
}

/**
 * Replicas that do clearly less than they can, and yet no more and no less than what arrives, show a lag that is no backlog. Remembered at its
 * highest, and slowly forgotten.
 */
function usualLag(before: Estimate, sample: UsableSample, arrival: number, throughput: number, notCommitted: number): number {
  const { usualSeconds, learned, members } = before;
  if (learned === null || arrival === 0) return usualSeconds;
  const replicas = Math.min(sample.group.members, sample.lag.length) / members.perReplica;
  const idle = throughput < IDLE_SHARE * learned.ratePerReplica * replicas;
  const keptUp = Math.abs(throughput - arrival) <= KEPT_UP_SHARE * arrival;
  if (!idle || !keptUp) return usualSeconds;
  const seen = Math.min(MOST_USUAL_SECONDS, Math.max(0, sample.totalLag - notCommitted) / arrival);
  return seen > usualSeconds ? seen : usualSeconds + (seen - usualSeconds) * USUAL_WEIGHT;
}

/**
 * Learns the rate of one replica from the members that had work waiting over whole commit intervals. Odd intervals (a slow start, a pause that
 * nobody saw) are only ever slow, so the slowest of several does not count. After a change of the pods' template the next evidence replaces
 * what was known.
 */
function learn(before: Estimate, members: Members, { rates, seconds }: Work): Pick<Estimate, 'learned' | 'observed'> {
  if (rates.length === 0) return { learned: before.learned, observed: before.observed };
  const own = (sum(rates) / rates.length) * members.perReplica;
  const observed = [...before.observed.slice(1 - OBSERVED_RATES), { rate: own, seconds }];
  const rate = typicalRate(observed, commitsSlowly(members));
  const { learned } = before;
  const count = learned?.observations ?? 0;
  const weight = Math.max(LEAST_WEIGHT, 1 / (count + 1));
  return {
    observed,
    learned: {
      ...learned,
      ratePerReplica: learned === null || count === 0 ? rate : learned.ratePerReplica + (rate - learned.ratePerReplica) * weight,
      startupSeconds: learned?.startupSeconds ?? 0,
      observations: Math.min(1000, count + 1),
    },
  };
}

/** Mean over the time of the spans; of fast commits without the slowest one, since one more or less in a span evens out only over several. */
function typicalRate(observed: Estimate['observed'], slow: boolean): number {
  const kept = slow || observed.length < 3 ? observed : observed.toSorted((a, b) => b.rate - a.rate).slice(0, -1);
  return sum(kept.map(({ rate, seconds }) => rate * seconds)) / sum(kept.map(({ seconds }) => seconds));
}

/** A group that is not saturated and yet does more than what was learnt proves that the learnt rate is too low. */
function raised(learned: LearnedRate | null, proven: number | null): LearnedRate | null {
  return learned === null || proven === null || proven <= learned.ratePerReplica ? learned : { ...learned, ratePerReplica: proven };
}

/**
 * What every replica was seen to do at least, messages per second, or null. Over the last two intervals, since one that shows a commit more
 * proves nothing; with slow commits over whole spans, with room for the sample that either end may be off by.
 */
function provenNow(before: Estimate, sample: UsableSample, throughput: number, members: Members): number | null {
  const { ready, replicas } = sample.deployment;
  if (sample.group.members === 0 || ready === 0 || ready !== replicas || members.commitSeconds === 0) return null;
  if (!commitsSlowly(members)) return (Math.min(before.throughput, throughput) / sample.group.members) * members.perReplica;
  const { tracks } = members;
  if (tracks.length === 0 || tracks.some(({ rate }) => rate === 0)) return null;
  return (SLOW_PROOF * sum(tracks.map(({ rate }) => rate)) * members.perReplica) / Math.max(tracks.length, sample.group.members);
}

export function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** Arrival rate, trend, and the rate of one replica, from successive samples. Pure: one estimate in, the next one out. */
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
  /** Messages processed over the last interval. */
  throughput: number;
  /** Smoothed arrivals of each partition. */
  partitionArrival: readonly number[];
  /** Share of the members that had work waiting all the time since the last sample; null when the group changed meanwhile. */
  saturatedShare: number | null;
  learned: LearnedRate | null;
  /** Seconds of arrivals that show as lag although the replicas keep up: what lies between two commits. */
  usualSeconds: number;
  /** The last interval rates, newest last, for the trend. */
  readonly recent: readonly RatePoint[];
  /** The last rates of saturated replicas, newest last. */
  readonly observed: readonly number[];
  /** The owners at the last sample, for comparing. */
  readonly owners: readonly number[] | null;
}

interface RatePoint {
  at: number;
  rate: number;
}

/** Time constant of the smoothed arrival rate, seconds. */
const SMOOTHING_SECONDS = 20;
/** Two intervals in a row this far from the smoothed rate, on the same side, are a step and not noise. */
const STEP_SHARE = 0.25;
/**
 * A member counts as saturated when it had this many seconds of its own work waiting at both ends of the interval: more than what lies
 * between two commits of the usual consumers. Less will do when the work that waits also clearly grew or
 * shrank: by this share of the interval.
 */
const SATURATED_SECONDS = 5;
const CHANGING_SECONDS = 1.5;
const CHANGED_SHARE = 0.2;
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
/** After a gap longer than this (brokers away) the interval says nothing about what a replica can do. */
const LONGEST_INTERVAL_SECONDS = 20;

/** What is known before the first sample. */
export function initialEstimate(learned: LearnedRate | null): Estimate {
  return {
    at: 0,
    arrivalNow: 0,
    arrival: 0,
    slope: 0,
    scatter: 0,
    throughput: 0,
    partitionArrival: [],
    saturatedShare: null,
    learned,
    usualSeconds: 0,
    recent: [],
    observed: [],
    owners: null,
  };
}

/**
 * The estimate after one more usable sample. The first sample, and the first after a change of partitions, only sets the base.
 * @param limited something that the replicas share holds them back: what they do is not their rate, and none is learnt
 */
export function estimate(before: Estimate, sample: UsableSample, limited = false): Estimate {
  if (sample.seconds <= 0) return { ...before, at: sample.at, owners: sample.owners, recent: [] };
  const arrivalNow = sum(sample.arrived) / sample.seconds;
  const recent = [...before.recent.slice(1 - TREND_POINTS), { at: sample.at, rate: arrivalNow }];
  const trend = trendOf(recent, before.scatter);
  // A smoothed rate limps behind a trend, the fitted line does not.
  const arrival = trend === null ? smoothed(before, recent, sample.seconds) : Math.max(0, trend.now);
  const learnt = limited ? { ...learn(before, sample), learned: before.learned, observed: [] } : learn(before, sample);
  const throughput = sum(sample.progress) / sample.seconds;
  return {
    at: sample.at,
    arrivalNow,
    arrival,
    slope: trend?.slope ?? 0,
    scatter: scatterOf(before, arrivalNow, trend?.now ?? before.arrival, sample.seconds),
    throughput,
    partitionArrival: partitionRates(before, sample),
    saturatedShare: learnt.saturatedShare,
    learned: learnt.learned,
    usualSeconds: usualLag(before, sample, arrivalNow, throughput),
    recent,
    observed: learnt.observed,
    owners: sample.owners,
  };
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
function usualLag(before: Estimate, sample: UsableSample, arrival: number, throughput: number): number {
  const { usualSeconds, learned } = before;
  if (learned === null || arrival === 0 || sample.group.state !== 'Stable' || sample.deployment.rollingOut) return usualSeconds;
  const idle = throughput < IDLE_SHARE * learned.ratePerReplica * Math.min(sample.group.members, sample.lag.length);
  const keptUp = Math.abs(throughput - arrival) <= KEPT_UP_SHARE * arrival && sameOwners(before.owners, sample.owners);
  if (!idle || !keptUp) return usualSeconds;
  const seen = sample.totalLag / arrival;
  return seen > usualSeconds ? seen : usualSeconds + (seen - usualSeconds) * USUAL_WEIGHT;
}

type Learnt = Pick<Estimate, 'saturatedShare' | 'learned' | 'observed'>;

/**
 * Learns the rate of one replica: the median over the members that had work waiting all the time, then the median of the last few
 * intervals, then a running mean. One odd interval (a rebalance nobody saw, a slow start) moves it little, and a rate of nothing is
 * never learnt.
 */
function learn(before: Estimate, sample: UsableSample): Learnt {
  const whole = sample.seconds <= LONGEST_INTERVAL_SECONDS && !sample.deployment.rollingOut;
  const settled = whole && sample.group.state === 'Stable' && sameOwners(before.owners, sample.owners);
  const rates = settled ? saturatedRates(sample) : [];
  if (rates.length === 0)
    return { saturatedShare: settled ? 0 : null, learned: raised(before, sample, settled), observed: before.observed };
  const observed = [...before.observed.slice(1 - OBSERVED_RATES), median(rates)];
  const rate = median(observed);
  const { learned } = before;
  const count = learned?.observations ?? 0;
  const weight = Math.max(0.25, 1 / (count + 1));
  return {
    saturatedShare: sample.owners === null ? 1 : Math.min(1, rates.length / Math.max(1, sample.group.members)),
    observed,
    learned: {
      ratePerReplica: learned === null ? rate : learned.ratePerReplica + (rate - learned.ratePerReplica) * weight,
      startupSeconds: learned?.startupSeconds ?? 0,
      observations: Math.min(1000, count + 1),
    },
  };
}

/** A group that is not saturated and yet does more than what was learnt proves that the learnt rate is too low. */
function raised(before: Estimate, sample: UsableSample, settled: boolean): LearnedRate | null {
  const { learned } = before;
  if (learned === null || !settled || sample.group.members === 0) return learned;
  const least = Math.min(before.throughput, sum(sample.progress) / sample.seconds) / sample.group.members;
  return least > learned.ratePerReplica ? { ...learned, ratePerReplica: least } : learned;
}

/** Rates of the members that were never idle since the last sample. Without an assignment the group counts as one member. */
function saturatedRates(sample: UsableSample): number[] {
  const { owners, group, lag, arrived, progress, seconds } = sample;
  if (group.members === 0) return [];
  const perMember = owners !== null;
  const members = perMember ? Math.max(-1, ...owners) + 1 : 1;
  const done = Array.from<number>({ length: members }).fill(0);
  const waiting = [...done];
  const waitingBefore = [...done];
  for (let index = 0; index < lag.length; index++) {
    const member = perMember ? (owners[index] ?? -1) : 0;
    if (member < 0) continue;
    const now = lag[index] ?? 0;
    done[member] = (done[member] ?? 0) + (progress[index] ?? 0);
    waiting[member] = (waiting[member] ?? 0) + now;
    waitingBefore[member] = (waitingBefore[member] ?? 0) + Math.max(0, now - (arrived[index] ?? 0) + (progress[index] ?? 0));
  }
  if (!perMember && lag.some((one) => one === 0)) return [];
  const share = perMember ? 1 : group.members;
  return done
    .map((count, member) => {
      const rate = count / seconds;
      return isSaturated((waitingBefore[member] ?? 0) / rate, (waiting[member] ?? 0) / rate, seconds) ? rate / share : 0;
    })
    .filter((rate) => rate > 0);
}

/** Both in seconds of the member's own work, over an interval of `seconds`. One that did nothing has infinitely or undefinedly much, and teaches nothing. */
function isSaturated(before: number, after: number, seconds: number): boolean {
  if (!Number.isFinite(before) || !Number.isFinite(after)) return false;
  const least = Math.min(before, after);
  return least >= SATURATED_SECONDS || (least >= CHANGING_SECONDS && Math.abs(after - before) >= CHANGED_SHARE * seconds);
}

function sameOwners(before: readonly number[] | null, now: readonly number[] | null): boolean {
  if (before === null || now === null) return before === now;
  return before.length === now.length && before.every((owner, index) => owner === now[index]);
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

/** Did more replicas bring more throughput? A saturated database, or a node without CPU, is not helped by scaling at it. Pure. */
import type { Estimate } from './estimator.ts';
import { commitsSlowly } from './members.ts';
import { most, useful } from './sizing.ts';
import type { Layout } from './sizing.ts';
import type { UsableSample } from './types.ts';

/** A scale-up under judgement. */
export interface Trial {
  from: number;
  to: number;
  /** Messages per second that the group did before: all that it could do when `saturated`, otherwise at least that. */
  throughputBefore: number;
  saturated: boolean;
  /** Learnt rate of one replica before, messages per second. */
  rateBefore: number;
  /** Group throughputs seen since all replicas joined, with work waiting for each of them. */
  seen: readonly number[];
}

/** What a number of members did: what a scale-up is judged against. */
export interface Carried {
  members: number;
  version: string | null;
  /** Messages per second, mean of `intervals`: all that they could do when they were saturated, otherwise they could do at least that. */
  throughput: number;
  intervals: number;
  saturated: boolean;
}

/** The most replicas worth having for the time being. */
export interface Ceiling {
  /** Infinity after a ceiling that proved wrong: no other is set until then. */
  replicas: number;
  /** What the group processed with more than that, messages per second. */
  throughput: number;
  /** Number of replicas that brought nothing. */
  tried: number;
  /** Epoch milliseconds; then more replicas are tried again. */
  until: number;
  retrySeconds: number;
}

/** Intervals with all members busy before a scale-up is judged, and the most that the throughput before it is the mean of. */
const INTERVALS = 3;
const CARRIED_INTERVALS = 5;
/**
 * Effective when each added replica brings at least this share of what each of the others did before. The comparison is with the others at
 * that time, and not with a rate learnt earlier: pods that have become slower still bring their share.
 */
const EFFECTIVE_SHARE = 0.5;
/** With a larger share of the backlog in one partition, more replicas would not help. */
const HOT_SHARE = 0.5;
/** The ceiling leaves the replicas this much room, so that they run below their best and a recovery shows in the throughput. */
const ROOM = 1.2;
/** So much more than when the ceiling was found shows that what held the group back does so no longer. */
const LIFTING_SHARE = 1.1;
/** A group under a ceiling that does less than this share of what it did without it is held back by the ceiling. */
const WRONG_SHARE = 0.85;
/** A recovery shows by itself, so there is no hurry to try; each time that it was in vain the wait doubles. */
const FIRST_RETRY_SECONDS = 300;
const LAST_RETRY_SECONDS = 2400;

/** Takes in what the present members do; forgets it when their number or version changes. Saturated members tell more than idle ones. */
export function carriedAfter(carried: Carried | null, now: Estimate, { group: { members } }: UsableSample): Carried | null {
  const { busy, version, throughput, saturatedShare } = now;
  const held = carried?.members === members && carried.version === version ? carried : null;
  if (members === 0 || saturatedShare === null || (busy === null && held?.saturated === true)) return held;
  const seen = busy ?? throughput;
  if (held?.saturated !== (busy !== null)) return { members, version, throughput: seen, intervals: 1, saturated: busy !== null };
  const intervals = Math.min(CARRIED_INTERVALS, held.intervals + 1);
  return { ...held, throughput: held.throughput + (seen - held.throughput) / intervals, intervals };
}

/**
 * Puts a scale-up to `to` on trial. Without knowing what the group could do before it nothing could be concluded, and there is none. Steps that
 * follow one another are judged as one.
 */
export function startTrial(
  running: Trial | null,
  { carried, ceiling }: { carried: Carried | null; ceiling: Ceiling | null },
  before: Estimate,
  sample: UsableSample,
  to: number,
): Trial | null {
  if (running !== null) return { ...running, to, seen: [] };
  const from = sample.deployment.replicas;
  const refuted = ceiling?.replicas === Infinity && sample.at < ceiling.until;
  if (before.learned === null || from === 0 || refuted) return null;
  const could = carried?.members === sample.group.members ? carried : byRate(before, sample);
  if (could === null) return null;
  const { throughput, saturated } = could;
  return { from, to, throughputBefore: throughput, saturated, rateBefore: before.learned.ratePerReplica, seen: [] };
}

/**
 * After a change of members it is not known what the present ones do. The learnt rate stands in for it when it was observed on this version of
 * the pods, and when most of the backlog is not in one partition, where more replicas would not help.
 */
function byRate({ learned, distrusted }: Estimate, { lag, totalLag }: UsableSample): Pick<Carried, 'throughput' | 'saturated'> | null {
  const known = learned !== null && learned.observations > 0 && !distrusted;
  return known && Math.max(...lag) <= HOT_SHARE * totalLag ? { throughput: 0, saturated: false } : null;
}

/** Until the added replicas have joined, the members that were there show what they can do: a jump of the load has just saturated them. */
function measured(trial: Trial, carried: Carried | null, members: number): Trial {
  if (trial.saturated || carried?.saturated !== true || carried.members !== members) return trial;
  return { ...trial, throughputBefore: carried.throughput, saturated: true };
}

/** One more sample for the running trial. Ends it when it is proven either way, or when the members have no work to be judged by. */
export function judgeTrial(
  trial: Trial,
  now: Estimate,
  sample: UsableSample,
  layout: Layout,
  { carried, ceiling }: { carried: Carried | null; ceiling: Ceiling | null },
): { trial: Trial | null; ceiling: Ceiling | null } {
  const { perReplica } = now.members;
  if (sample.group.members === trial.from * perReplica) return { trial: measured(trial, carried, sample.group.members), ceiling };
  if (sample.group.members < trial.to * perReplica || now.saturatedShare === null) return { trial, ceiling };
  if (now.busy === null) return { trial: stillCounting(now) || hasBacklog(now, sample) ? trial : null, ceiling };
  const seen = [...trial.seen, now.busy];
  if (seen.length < INTERVALS) return { trial: { ...trial, seen }, ceiling };
  const throughput = seen.reduce((total, one) => total + one, 0) / seen.length;
  const replicas = usefulReplicas(trial, throughput, layout);
  if (replicas >= trial.to) return { trial: null, ceiling: null };
  const retrySeconds = ceiling === null ? FIRST_RETRY_SECONDS : Math.min(LAST_RETRY_SECONDS, ceiling.retrySeconds * 2);
  return { trial: null, ceiling: { replicas, throughput, tried: trial.to, until: sample.at + retrySeconds * 1000, retrySeconds } };
}

/** More than an interval's work waits: members that have just joined will be saturated when each of them has its part of it. */
function hasBacklog({ throughput }: Estimate, { totalLag, seconds }: UsableSample): boolean {
  return totalLag > throughput * seconds;
}

/** Slow commits: the members have work and have not committed often enough since they joined to show what they do. */
function stillCounting({ members }: Estimate): boolean {
  return commitsSlowly(members) && members.tracks.every(({ waiting }) => waiting > 0) && members.tracks.some(({ rate }) => rate === 0);
}

/**
 * Replicas worth having: all when those that were added do their share, and never fewer than carried the load before. Replicas that were never
 * saturated before are taken to do the learnt rate; a ceiling that follows from a rate too high proves wrong at once and goes.
 */
function usefulReplicas({ from, to, throughputBefore, saturated, rateBefore }: Trial, throughput: number, layout: Layout): number {
  const before = Math.min(from, most(layout));
  const added = Math.min(to, most(layout)) - before;
  const could = saturated ? throughputBefore : Math.max(throughputBefore, rateBefore * before);
  const each = could / before;
  if (added <= 0 || (throughput - could) / added >= EFFECTIVE_SHARE * each) return to;
  return Math.max(from, useful(Math.ceil((throughput / each) * ROOM), layout));
}

/**
 * Lifts a ceiling when the group does clearly more than when it was found, and takes back one under which it does clearly less: then the
 * replicas beyond it did their share after all. After `until` it only remembers how long to wait next time.
 */
export function reviewCeiling(ceiling: Ceiling | null, now: Estimate, { at, group, deployment }: UsableSample): Ceiling | null {
  if (ceiling === null || ceiling.replicas === Infinity) return ceiling;
  if (now.throughput > LIFTING_SHARE * ceiling.throughput) return null;
  const within = deployment.replicas <= ceiling.replicas && group.members <= ceiling.replicas * now.members.perReplica;
  const wrong = within && now.busy !== null && now.busy < WRONG_SHARE * ceiling.throughput;
  return wrong && at < ceiling.until ? { ...ceiling, replicas: Infinity, until: at + ceiling.retrySeconds * 1000 } : ceiling;
}

/** The ceiling in force at `at`; Infinity when there is none. */
export function limitOf(ceiling: Ceiling | null, at: number): number {
  return ceiling !== null && at < ceiling.until ? ceiling.replicas : Infinity;
}

/**
 * What each member of the group does, from commit to commit. The operator sees commits and not processing, so it counts over whole commit
 * intervals: from one sample that shows a commit to a later one that does. Pure.
 */
import type { UsableSample } from './types.ts';

/** One member since the assignment last changed. `waiting` and `least` are messages behind its commits. */
interface Track {
  /** Sample that the present span begins at; it showed a commit. Null until the first commit is seen. */
  since: number | null;
  /** The last sample that showed a commit. */
  seenAt: number | null;
  /** Committed from `since` on, messages. */
  done: number;
  /** Behind its commits at `since`, and the least at any sample of the span. */
  waitingBefore: number;
  least: number;
  waiting: number;
  /** Messages per second over its last whole span, and whether it had work waiting all the time. */
  rate: number;
  saturated: boolean;
}

/** All members, and what one sample says about them. */
export interface Members {
  readonly owners: readonly number[] | null;
  /** The group was settled at the last sample: only then is the interval that follows it whole. */
  readonly settled: boolean;
  readonly tracks: readonly Track[];
  /** Seconds between two commits of a member, at least the time between two samples; 0 until one interval has been seen. */
  readonly commitSeconds: number;
  readonly commitsSeen: number;
  /** Members of the group in each replica. */
  readonly perReplica: number;
  readonly counted: { members: number; ready: number; since: number } | null;
  /** `perReplica` was counted, not assumed. */
  readonly countKnown: boolean;
}

/** What a sample shows of members that were busy. */
export interface Work {
  /** Rates of the members whose span ended with this sample and that were saturated, messages per second. */
  rates: readonly number[];
  /** Seconds that the spans took, on average. */
  seconds: number;
  /** Share of the members that are saturated; null when the group changed meanwhile. */
  saturatedShare: number | null;
  /** Messages per second of all members together when all of them are saturated, else null. */
  busy: number | null;
}

/** Commits farther apart than this are slower than the samples, seconds. */
const SLOW_COMMIT_SECONDS = 5.5;
/** A span of slow commits takes at least this long: one sample more or less is then a fifth of it. */
const SLOW_SPAN_SECONDS = 25;
const FIRST_SPAN_SECONDS = 15;
/**
 * A member counts as saturated when it had this many seconds of its own work waiting at both ends of the span: more than what lies
 * between two commits of the usual consumers. Less will do when the work that waits also clearly grew or shrank: by this share of the span.
 */
const SATURATED_SECONDS = 5;
const SLOW_SATURATED_SECONDS = 6;
const CHANGING_SECONDS = 1.5;
const CHANGED_SHARE = 0.2;
/** Weight of one observed commit interval once some have been seen. */
const COMMIT_WEIGHT = 0.1;
/** A member that commits nothing for so many of its commit intervals was stuck or idle meanwhile. */
const SILENT_COMMITS = 2.5;
/** Another number of members in each replica is believed when it has lasted this long: more than a pod's grace period. */
const RECOUNT_SECONDS = 60;
/** No consumer is believed to commit less often. */
const LONGEST_COMMIT_SECONDS = 120;

/** @param learned what is known from before, for a group that is seen for the first time since a restart */
export function initialMembers(learned: { commitSeconds?: number | undefined; membersPerReplica?: number | undefined } | null): Members {
  const { commitSeconds = 0, membersPerReplica = 1 } = learned ?? {};
  return {
    owners: null,
    settled: false,
    tracks: [],
    commitSeconds,
    commitsSeen: commitSeconds > 0 ? 1 : 0,
    perReplica: membersPerReplica,
    counted: null,
    countKnown: false,
  };
}

/** Whether commits come so rarely that several samples lie between two of them. */
export function commitsSlowly({ commitSeconds }: Pick<Members, 'commitSeconds'>): boolean {
  return commitSeconds > SLOW_COMMIT_SECONDS;
}

/**
 * One more sample. @param settled the group did not change since the last sample, so far as states and rollouts tell
 * @param learned a rate is known: until then a shorter span has to do
 */
export function follow(before: Members, sample: UsableSample, settled: boolean, learned: boolean): { members: Members; work: Work } {
  const counted = count(before, sample, settled);
  const same = settled && before.settled && sameOwners(before.owners, sample.owners) && sample.group.members > 0;
  const amounts = amountsOf(sample);
  if (!same || before.tracks.length !== amounts.length) {
    const tracks = amounts.map((amount) => begin(sample.at, amount));
    return { members: { ...before, ...counted, owners: sample.owners, settled, tracks }, work: NOTHING };
  }
  const commits = learnCommits(before, amounts, sample);
  const spanSeconds = commitsSlowly(commits) ? (learned ? SLOW_SPAN_SECONDS : FIRST_SPAN_SECONDS) : 0;
  const silentMs =
    SILENT_COMMITS * 1000 * Math.max(SLOW_COMMIT_SECONDS, commits.commitsSeen === 0 ? LONGEST_COMMIT_SECONDS : commits.commitSeconds);
  const share = sample.owners === null ? sample.group.members : 1;
  const tracks = before.tracks.map((track, member) => advance(track, amounts[member] ?? NO_AMOUNT, sample.at, spanSeconds, silentMs));
  return {
    members: { ...before, ...counted, ...commits, owners: sample.owners, settled, tracks },
    work: workOf(before.tracks, tracks, sample, share, spanSeconds),
  };
}

/** Messages that the members may have processed since their last commits, given what one member does a second. */
export function uncommitted({ tracks, commitSeconds }: Members, at: number, memberRate: number): number {
  if (commitSeconds <= SLOW_COMMIT_SECONDS) return 0;
  let total = 0;
  for (const { seenAt, waiting } of tracks) {
    const seconds = seenAt === null ? commitSeconds : Math.min((at - seenAt) / 1000 + SLOW_COMMIT_SECONDS / 2, 1.5 * commitSeconds);
    total += Math.min(waiting, memberRate * seconds);
  }
  return total;
}

const NOTHING: Work = { rates: [], seconds: 0, saturatedShare: null, busy: null };
const NO_AMOUNT = { progress: 0, waiting: 0 };

interface Amount {
  progress: number;
  waiting: number;
}

/** Of every member; of the whole group as one member while the assignment is not known. */
function amountsOf({ owners, lag, progress }: UsableSample): Amount[] {
  const members = owners === null ? 1 : Math.max(-1, ...owners) + 1;
  const amounts = Array.from({ length: members }, () => ({ progress: 0, waiting: 0 }));
  for (let index = 0; index < lag.length; index++) {
    const amount = amounts[owners === null ? 0 : (owners[index] ?? -1)];
    if (amount === undefined) continue;
    amount.progress += progress[index] ?? 0;
    amount.waiting += lag[index] ?? 0;
  }
  // As one member, the group is busy only when every partition has work.
  if (owners === null && lag.some((one) => one === 0)) for (const amount of amounts) amount.waiting = 0;
  return amounts;
}

function begin(at: number, { progress, waiting }: Amount): Track {
  const since = progress > 0 ? at : null;
  return { since, seenAt: since, done: 0, waitingBefore: waiting, least: waiting, waiting, rate: 0, saturated: false };
}

function advance(track: Track, { progress, waiting }: Amount, at: number, spanSeconds: number, silentMs: number): Track {
  const least = Math.min(track.least, waiting);
  // A silence is no part of what a member does when it works.
  if (progress === 0 && track.seenAt !== null && at - track.seenAt > silentMs) return begin(at, { progress, waiting });
  if (progress === 0) return { ...track, least, waiting, saturated: spanSeconds > 0 && track.saturated && waiting > 0 };
  if (track.since === null) return { ...track, since: at, seenAt: at, done: 0, waitingBefore: waiting, least: waiting, waiting };
  const done = track.done + progress;
  const seconds = (at - track.since) / 1000;
  if (seconds < spanSeconds) return { ...track, seenAt: at, done, least, waiting };
  const rate = done / seconds;
  const saturated = isSaturated(track.waitingBefore / rate, waiting / rate, least / rate, seconds, spanSeconds > 0);
  return { since: at, seenAt: at, done: 0, waitingBefore: waiting, least: waiting, waiting, rate, saturated };
}

/** All but the last in seconds: of the member's own work at both ends of the span and at its least, and the span itself. */
function isSaturated(before: number, after: number, least: number, seconds: number, slow: boolean): boolean {
  if (!Number.isFinite(before) || !Number.isFinite(after) || least <= 0) return false;
  const ends = Math.min(before, after);
  if (ends >= (slow ? SLOW_SATURATED_SECONDS : SATURATED_SECONDS)) return true;
  if (!slow) return ends >= CHANGING_SECONDS && Math.abs(after - before) >= CHANGED_SHARE * seconds;
  // Either end may be off by one sample, and a backlog that shrinks may have been gone before the last commit.
  return ends >= CHANGING_SECONDS && after - before >= CHANGED_SHARE * seconds + SATURATED_SECONDS;
}

function workOf(before: readonly Track[], tracks: readonly Track[], sample: UsableSample, share: number, spanSeconds: number): Work {
  const ended = tracks.filter((track, member) => track.saturated && track.since === sample.at && before[member]?.since != null);
  const saturated = tracks.filter((track) => track.saturated);
  const members = Math.max(1, sample.owners === null ? 1 : sample.group.members);
  const all = saturated.length >= Math.min(members, tracks.length) && saturated.length > 0;
  const seconds = Math.max(spanSeconds, sample.seconds);
  return {
    rates: ended.map(({ rate }) => rate / share),
    seconds,
    saturatedShare: Math.min(1, saturated.length / Math.min(members, Math.max(1, tracks.length))),
    busy: all ? saturated.reduce((total, { rate }) => total + rate, 0) : null,
  };
}

/** From the members that commit with every sample, or had work waiting from one commit to the next; what an idle member leaves out is no interval. */
function learnCommits(
  before: Members,
  amounts: readonly Amount[],
  { at, seconds }: UsableSample,
): Pick<Members, 'commitSeconds' | 'commitsSeen'> {
  let total = 0;
  let seen = 0;
  for (const [member, { seenAt, waiting, least }] of before.tracks.entries()) {
    const worked = waiting > 0 && least > 0;
    if ((amounts[member]?.progress ?? 0) === 0 || seenAt === null || !(worked || at - seenAt <= seconds * 1000)) continue;
    total += (at - seenAt) / 1000;
    seen++;
  }
  const { commitSeconds, commitsSeen } = before;
  if (seen === 0) return { commitSeconds, commitsSeen };
  const interval = Math.min(LONGEST_COMMIT_SECONDS, total / seen);
  const weight = Math.max(COMMIT_WEIGHT, 1 / (commitsSeen + 1));
  return { commitSeconds: commitSeconds + (interval - commitSeconds) * weight, commitsSeen: Math.min(1000, commitsSeen + 1) };
}

/**
 * Members of each replica, counted when neither they nor the pods have changed for a while. A pod that is told to go is no longer counted among
 * the ready ones while its members are still there, so another count than before has to last.
 */
function count(before: Members, sample: UsableSample, settled: boolean): Pick<Members, 'perReplica' | 'counted' | 'countKnown'> {
  const { members } = sample.group;
  const { ready, replicas } = sample.deployment;
  const { counted, perReplica, countKnown } = before;
  const same = settled && counted?.members === members && counted.ready === ready;
  const since = same ? counted.since : sample.at;
  const lasted = (sample.at - since) / 1000 >= (countKnown ? RECOUNT_SECONDS : sample.seconds);
  const whole = same && lasted && ready === replicas && ready > 0 && members >= ready;
  return {
    perReplica: whole ? Math.round(members / ready) : perReplica,
    counted: { members, ready, since },
    countKnown: countKnown || whole,
  };
}

function sameOwners(before: readonly number[] | null, now: readonly number[] | null): boolean {
  if (before === null || now === null) return before === now;
  return before.length === now.length && before.every((owner, index) => owner === now[index]);
}

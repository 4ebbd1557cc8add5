/** Did more replicas bring more throughput? A saturated database, or a node without CPU, is not helped by scaling at it. Pure. */
import type { Estimate } from './estimator.ts';
import type { UsableSample } from './types.ts';

/** A scale-up under judgement. */
export interface Trial {
  from: number;
  to: number;
  /** Rate of one replica before, messages per second. */
  rateBefore: number;
  /** Group throughputs seen since all replicas joined, with work waiting for each of them. */
  seen: readonly number[];
}

/** The most replicas worth having for the time being. */
export interface Ceiling {
  replicas: number;
  /** What the group processed with more than that, messages per second. */
  throughput: number;
  /** Number of replicas that brought nothing. */
  tried: number;
  /** Epoch milliseconds; then more replicas are tried again. */
  until: number;
  retrySeconds: number;
}

/** Intervals with all members busy before a scale-up is judged. */
const INTERVALS = 3;
/** Effective when the group reaches at least this share of what the replicas should bring. */
const EFFECTIVE_SHARE = 0.7;
/** The ceiling leaves the replicas this much room, so that they run below their best and a recovery shows in the throughput. */
const ROOM = 1.2;
/** So much more than when the ceiling was found shows that what held the group back does so no longer. */
const LIFTING_SHARE = 1.1;
/** A recovery shows by itself, so there is no hurry to try; each time that it was in vain the wait doubles. */
const FIRST_RETRY_SECONDS = 300;
const LAST_RETRY_SECONDS = 2400;

/** Puts a scale-up to `to` on trial if the rate before it is known. Steps that follow one another are judged as one. */
export function startTrial(running: Trial | null, before: Estimate, sample: UsableSample, to: number): Trial | null {
  if (running !== null) return { ...running, to, seen: [] };
  const from = sample.deployment.replicas;
  if (before.learned === null || from === 0) return null;
  return { from, to, rateBefore: before.learned.ratePerReplica, seen: [] };
}

/** One more sample for the running trial. Ends it when it is proven either way, or when the members have no work to be judged by. */
export function judgeTrial(
  trial: Trial,
  now: Estimate,
  sample: UsableSample,
  ceiling: Ceiling | null,
): { trial: Trial | null; ceiling: Ceiling | null } {
  if (sample.group.members < trial.to || now.saturatedShare === null) return { trial, ceiling };
  if (now.saturatedShare < 1) return { trial: null, ceiling };
  const seen = [...trial.seen, now.throughput];
  if (seen.length < INTERVALS) return { trial: { ...trial, seen }, ceiling };
  const throughput = seen.reduce((total, one) => total + one, 0) / seen.length;
  const worthOf = throughput / trial.rateBefore;
  const replicas = Math.max(1, Math.ceil(worthOf * ROOM));
  if (worthOf >= EFFECTIVE_SHARE * trial.to || replicas >= trial.to) return { trial: null, ceiling: null };
  const retrySeconds = ceiling === null ? FIRST_RETRY_SECONDS : Math.min(LAST_RETRY_SECONDS, ceiling.retrySeconds * 2);
  return { trial: null, ceiling: { replicas, throughput, tried: trial.to, until: sample.at + retrySeconds * 1000, retrySeconds } };
}

/** Lifts a ceiling when the group does clearly more than when it was found. After `until` it only remembers how long to wait next time. */
export function reviewCeiling(ceiling: Ceiling | null, now: Estimate): Ceiling | null {
  return ceiling !== null && now.throughput > LIFTING_SHARE * ceiling.throughput ? null : ceiling;
}

/** The ceiling in force at `at`; Infinity when there is none. */
export function limitOf(ceiling: Ceiling | null, at: number): number {
  return ceiling !== null && at < ceiling.until ? ceiling.replicas : Infinity;
}

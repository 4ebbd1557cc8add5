/** The decision: from the state, one sample and the policy to a number of replicas, with its reason. Pure. */
import { carriedAfter, judgeTrial, limitOf, reviewCeiling, startTrial } from './effect.ts';
import type { Ceiling, Trial } from './effect.ts';
import { estimate } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import { explain } from './explain.ts';
import { commitsSlowly } from './members.ts';
import type { ScalePolicy } from './policy.ts';
import { layoutOf, sizeUp } from './size.ts';
import type { Size } from './size.ts';
import { isSettled, pauseOf, windowSeconds } from './state.ts';
import type { Need, Patience, Standstill, State } from './state.ts';
import type { Decision, DecisionReason, Sample, UnusableSample, UsableSample } from './types.ts';

/** A rollout or rebalance that takes longer than this no longer holds a scale-down, in seconds. */
const HOLD_LIMIT_SECONDS = 300;
/** Time to the next look at a backlog that has just appeared, in seconds. */
const SOON_SECONDS = 2;
/** Time to the next sample after one that the brokers did not answer, and after further ones; in seconds. */
const FIRST_RETRY_SECONDS = 1;
const RETRY_SECONDS = 2;
/** What piles up within this time after a scale-down is what its rebalance costs, unless the arrivals grew by this factor; in seconds. */
const STANDSTILL_SECONDS = 15;
const STANDSTILL_GROWTH = 1.25;
const MAX_PAUSE_SECONDS = 30;
const PAUSE_WEIGHT = 0.3;
/** Weight of one observed start-up time in what is learnt of it. */
const STARTUP_WEIGHT = 0.3;
const MAX_STARTUP_SECONDS = 120;
/** A scale-up that takes a scale-down back within so many windows doubles the time waited for the next one. */
const REGRET_WINDOWS = 5;
const LEAST_REGRET_SECONDS = 75;
const MAX_PATIENCE = 4;
/** The quiet time after which the longer window is halved again, in seconds. */
const CALM_SECONDS = 900;
/** A scale-down waits this long for a much lower number that is about to be allowed, so that one rebalance does for two; in seconds. */
const MERGE_SECONDS = 10;
const MERGE_SHARE = 0.75;
/**
 * A group that commits nothing for this long is stuck, and more replicas of it would be too; in seconds. A few of its commit intervals at
 * least, and a minute while those are not known: a consumer that commits every 30 s is not stuck.
 */
const STUCK_SECONDS = 10;
const STUCK_COMMITS = 2.5;
const STUCK_UNKNOWN_SECONDS = 65;

/** One step. With a usable sample the replicas lie within the policy's bounds; with an unusable one they are never lowered. */
export function decide(state: State, sample: Sample, policy: ScalePolicy): { state: State; decision: Decision } {
  if (!sample.usable) return decideBlind(state, sample, policy);
  const seen = observe(state, sample, policy);
  const size = sizeUp(seen, sample, policy);
  const backlogSince = size.backlog > 0 ? (seen.backlogSince ?? sample.at) : null;
  const known = { ...seen, backlogSince, needs: needsAfter(seen, sample.at, size, policy) };
  const { replicas, reason } =
    policy.mode === 'builtin'
      ? choose(known, size, sample, policy)
      : { replicas: sample.deployment.replicas, reason: isStuck(known, sample) ? ('NoProgress' as const) : ('NotManaged' as const) };
  const inputs = {
    lag: sample.totalLag,
    delaySeconds: sample.delaySeconds,
    arrivalRate: known.estimate.arrival,
    throughput: known.estimate.throughput,
    ratePerReplica: known.estimate.learned?.ratePerReplica ?? null,
    wanted: size.wanted,
  };
  const decision = { replicas, reason, inputs, message: explain(reason, replicas, size, sample, policy, known) };
  // A backlog that was not there before: one more look soon, rather than a decision on the part of it that this interval shows.
  const fresh = known.backlogSince === sample.at && policy.mode === 'builtin';
  return { state: acted(known, sample, replicas, policy), decision: fresh ? { ...decision, next: SOON_SECONDS } : decision };
}

/** Without a usable sample nothing is known to suffice: hold, and after a while go up to the safe number if there is one. */
function decideBlind(state: State, sample: UnusableSample, policy: ScalePolicy): { state: State; decision: Decision } {
  const unknownSince = state.unknownSince ?? sample.at;
  const current = sample.deployment?.replicas ?? state.expected ?? policy.minReplicas;
  const late = sample.at - unknownSince >= policy.lagUnknownSeconds * 1000;
  const safe = late && policy.mode === 'builtin' && policy.safeReplicas !== undefined && policy.safeReplicas > current;
  const replicas = safe ? (policy.safeReplicas ?? current) : current;
  const { estimate: last } = state;
  const inputs = {
    lag: 0,
    delaySeconds: null,
    arrivalRate: last.arrival,
    throughput: last.throughput,
    ratePerReplica: last.learned?.ratePerReplica ?? null,
    wanted: replicas,
  };
  const message = safe
    ? `the lag has been unknown for ${policy.lagUnknownSeconds} s: up to the safe number; ${sample.message}`
    : `holding at ${replicas}: ${sample.message}`;
  return {
    state: { ...state, unknownSince, needs: [], coveredSince: null, idleSince: null, stuckSince: null, trial: null, expected: replicas },
    decision: { replicas, reason: safe ? 'SafeReplicas' : 'LagUnknown', message, inputs, ...retryOf(state, sample) },
  };
}

/** Brokers that did not answer are asked again soon: a sample that failed just before they return must not cost a whole interval. */
function retryOf({ unknownSince }: State, { reason }: UnusableSample): Pick<Decision, 'next'> {
  if (reason !== 'BrokerAway') return {};
  return { next: unknownSince === null ? FIRST_RETRY_SECONDS : RETRY_SECONDS };
}

/** Takes one usable sample into the state: rates, start-up time, the trial of the last scale-up, idleness. */
function observe(state: State, sample: UsableSample, policy: ScalePolicy): State {
  const { perReplica } = state.estimate.members;
  const joined =
    state.joining !== null &&
    sample.deployment.ready >= state.joining.replicas &&
    sample.group.members >= state.joining.replicas * perReplica;
  const limited = limitOf(state.ceiling, sample.at) < Infinity;
  const now = withStartup(estimate(state.estimate, sample, limited), joined ? joiningSeconds(state, sample) : null);
  const { standstill, pause } = watchStandstill(state.standstill, now, sample);
  const lifted = reviewCeiling(state.ceiling, now, sample);
  const changed = state.expected !== null && sample.deployment.replicas !== state.expected;
  // Replicas that somebody else took away never join: a scale-up that is no longer there cannot be judged.
  const onTrial = changed ? null : state.trial;
  const carried = carriedAfter(state.carried, now, sample);
  const known = { carried, ceiling: lifted };
  const judged = onTrial === null ? { trial: null, ceiling: lifted } : judgeTrial(onTrial, now, sample, layoutOf(now, sample), known);
  const still = sample.progress.every((count) => count === 0);
  const idle = sample.totalLag <= policy.activationLag && now.arrivalNow === 0 && still;
  const settled = isSettled(sample, perReplica);
  const stuck = settled && sample.group.members > 0 && sample.totalLag > 0 && still && sample.seconds > 0;
  return {
    ...state,
    ...judged,
    carried,
    standstill,
    estimate: withPause(ineffective(onTrial, judged.ceiling, lifted) ? withRate(now, onTrial?.rateBefore) : now, pause),
    joining: joined || changed ? null : state.joining,
    needs: changed ? [] : state.needs,
    coveredSince: changed ? sample.at : (state.coveredSince ?? sample.at),
    stuckSince: stuck ? (state.stuckSince ?? sample.at) : null,
    unsettledSince: settled ? null : (state.unsettledSince ?? sample.at),
    unknownSince: null,
    idleSince: idle ? (state.idleSince ?? sample.at) : null,
  };
}

/** The replicas joined between the last look and this one: half-way is the best guess. */
function joiningSeconds({ joining }: State, { at, seconds }: UsableSample): number {
  return Math.max(0, (at - (joining?.at ?? at)) / 1000 - seconds / 2);
}

/** The trial has just ended in vain. */
function ineffective(trial: Trial | null, ceiling: Ceiling | null, before: Ceiling | null): boolean {
  return trial !== null && ceiling !== null && ceiling !== before;
}

/** What the replicas did during a trial in vain was their share of a limit: the rate from before it stands. */
function withRate(now: Estimate, ratePerReplica: number | undefined): Estimate {
  if (now.learned === null || ratePerReplica === undefined) return now;
  return { ...now, observed: [], learned: { ...now.learned, ratePerReplica } };
}

/** Watches what piles up after a scale-down; `pause` is the verdict, in seconds, when there is one. */
function watchStandstill(
  watched: Standstill | null,
  now: Estimate,
  { at, totalLag }: UsableSample,
): { standstill: Standstill | null; pause: number | null } {
  if (watched === null || now.arrivalNow > STANDSTILL_GROWTH * watched.arrival) return { standstill: null, pause: null };
  const standstill = { ...watched, most: Math.max(watched.most, totalLag) };
  const over = at - watched.at >= STANDSTILL_SECONDS * 1000;
  return over ? { standstill: null, pause: pauseOf(standstill) } : { standstill, pause: null };
}

function withPause(now: Estimate, seconds: number | null): Estimate {
  if (seconds === null || now.learned === null) return now;
  const measured = Math.min(MAX_PAUSE_SECONDS, seconds);
  const { pauseSeconds = measured } = now.learned;
  return { ...now, learned: { ...now.learned, pauseSeconds: pauseSeconds + (measured - pauseSeconds) * PAUSE_WEIGHT } };
}

function withStartup(now: Estimate, seconds: number | null): Estimate {
  if (seconds === null || now.learned === null) return now;
  const measured = Math.min(MAX_STARTUP_SECONDS, seconds);
  const { startupSeconds } = now.learned;
  const next = startupSeconds === 0 ? measured : startupSeconds + (measured - startupSeconds) * STARTUP_WEIGHT;
  return { ...now, learned: { ...now.learned, startupSeconds: next } };
}

/** Arrivals count for the whole window, a backlog only while it lasts, unless letting go of it had to be taken back before. */
function needsAfter(state: State, at: number, size: Size, policy: ScalePolicy): Need[] {
  const byArrival = { until: at + windowSeconds(state, policy) * 1000, replicas: size.sufficient };
  const patient = (state.patience.factor - 1) * policy.scaleDownWindowSeconds;
  const byBacklog = { until: at + patient * 1000, replicas: Math.max(size.wanted, size.keep) };
  return withNeed(
    withNeed(
      state.needs.filter(({ until }) => until > at),
      byArrival,
    ),
    byBacklog,
  );
}

/** Drops what the new need outlasts and exceeds. */
function withNeed(needs: readonly Need[], added: Need): Need[] {
  if (needs.some(({ until, replicas }) => until >= added.until && replicas >= added.replicas)) return [...needs];
  return [...needs.filter(({ until, replicas }) => until > added.until || replicas > added.replicas), added];
}

interface Choice {
  replicas: number;
  reason: DecisionReason;
}

/** Up at once, down after the window, otherwise as it is. */
function choose(state: State, size: Size, sample: UsableSample, policy: ScalePolicy): Choice {
  const current = sample.deployment.replicas;
  if (current > policy.maxReplicas) return { replicas: policy.maxReplicas, reason: 'Bounds' };
  if (current < policy.minReplicas) return { replicas: policy.minReplicas, reason: 'Bounds' };
  if (current === 0) return wake(size, sample, policy);
  if (isStuck(state, sample)) return { replicas: current, reason: 'NoProgress' };
  if (state.stuckSince !== null && !slowly(state)) return { replicas: current, reason: 'Steady' };
  const limit = limitOf(state.ceiling, sample.at);
  const target = bounded(Math.min(size.wanted, limit), policy);
  if (target > current) return { replicas: Math.min(target, stepLimit(current, policy)), reason: size.reason };
  return down(state, size, sample, policy, limit);
}

function isStuck(state: State, sample: UsableSample): boolean {
  const { commitSeconds } = state.estimate.members;
  const limit = commitSeconds === 0 ? STUCK_UNKNOWN_SECONDS : Math.max(STUCK_SECONDS, slowly(state) ? STUCK_COMMITS * commitSeconds : 0);
  return state.stuckSince !== null && sample.at - state.stuckSince >= limit * 1000;
}

function slowly({ estimate: { members } }: State): boolean {
  return commitsSlowly(members);
}

function wake(size: Size, sample: UsableSample, policy: ScalePolicy): Choice {
  if (sample.totalLag <= policy.activationLag) return { replicas: 0, reason: 'Idle' };
  return { replicas: Math.min(Math.max(1, bounded(size.wanted, policy)), stepLimit(0, policy)), reason: 'Activated' };
}

/** The smaller number must have sufficed over the whole window; zero only after the idle time. */
function down(state: State, size: Size, sample: UsableSample, policy: ScalePolicy, limit: number): Choice {
  const current = sample.deployment.replicas;
  const stayed = stayReason(size, limit);
  const floor = policy.scaleToZero && hasBeenIdle(state, sample, policy) ? 0 : Math.max(1, policy.minReplicas);
  const least = (replicas: number) => Math.max(floor, Math.min(policy.maxReplicas, replicas, limit));
  const now = Math.max(size.sufficient, size.wanted, size.keep);
  if (least(now) >= current) return { replicas: current, reason: stayed };
  if (state.unsettledSince !== null && sample.at - state.unsettledSince < HOLD_LIMIT_SECONDS * 1000) {
    return { replicas: current, reason: sample.deployment.rollingOut ? 'HeldRollout' : 'HeldRebalance' };
  }
  // The last scale-up is still being judged; one whose replicas never all join is held by the rebalance above, and no longer than that.
  if (state.trial !== null && state.unsettledSince === null) return { replicas: current, reason: 'WaitingForWindow' };
  const mergeSeconds = Math.min(MERGE_SECONDS, policy.scaleDownWindowSeconds / 2);
  const target = least(Math.max(now, mostNeeded(state.needs, sample.at)));
  const soon = least(Math.max(now, mostNeeded(state.needs, sample.at + mergeSeconds * 1000)));
  const covered = state.coveredSince !== null && sample.at - state.coveredSince >= policy.scaleDownWindowSeconds * 1000;
  if (!covered || target >= current || (soon < target && soon <= target * MERGE_SHARE))
    return { replicas: current, reason: 'WaitingForWindow' };
  return { replicas: target, reason: target === 0 ? 'Idle' : stayed === 'Ineffective' ? 'Ineffective' : 'ScaledDown' };
}

function stayReason(size: Size, limit: number): DecisionReason {
  if (limit < size.wanted) return 'Ineffective';
  return size.hot.length > 0 ? 'HotPartition' : 'Steady';
}

/** The most that is needed by what still counts after `at`. */
function mostNeeded(needs: readonly Need[], at: number): number {
  return needs.reduce((most, { until, replicas }) => (until > at ? Math.max(most, replicas) : most), 0);
}

function hasBeenIdle(state: State, sample: UsableSample, policy: ScalePolicy): boolean {
  return state.idleSince !== null && sample.at - state.idleSince >= policy.idleSeconds * 1000;
}

function bounded(replicas: number, policy: ScalePolicy): number {
  return Math.min(policy.maxReplicas, Math.max(policy.minReplicas, replicas));
}

function stepLimit(current: number, policy: ScalePolicy): number {
  return Math.max(current + policy.stepUpReplicas, Math.floor(current * policy.stepUpFactor));
}

/** What acting changes: a scale-up is timed and judged, and one that takes a scale-down back teaches patience. */
function acted(state: State, sample: UsableSample, replicas: number, policy: ScalePolicy): State {
  const { at } = sample;
  const current = sample.deployment.replicas;
  const patience = calmer(state.patience, at);
  if (replicas === current) return { ...state, patience, expected: replicas };
  if (replicas < current) {
    const { arrival } = state.estimate;
    const standstill = { at, lag: sample.totalLag, most: sample.totalLag, arrival };
    return { ...state, patience, standstill, expected: replicas, lastDown: { at, from: current }, joining: null, trial: null };
  }
  const regretted = state.lastDown !== null && replicas >= state.lastDown.from && at - state.lastDown.at <= regretSeconds(policy) * 1000;
  return {
    ...state,
    explored: state.explored || state.estimate.learned === null,
    standstill: null,
    // The group has shown that it needs more: there is nothing left to try with fewer.
    estimate: withPause(
      state.unsettledSince === null ? { ...state.estimate, distrusted: false } : state.estimate,
      state.standstill === null ? null : pauseOf(state.standstill),
    ),
    patience: regretted ? { factor: Math.min(MAX_PATIENCE, patience.factor * 2), since: at } : patience,
    lastDown: regretted ? null : state.lastDown,
    expected: replicas,
    joining: { at, replicas },
    trial: startTrial(state.trial, state, state.estimate, sample, replicas),
  };
}

function regretSeconds({ scaleDownWindowSeconds }: ScalePolicy): number {
  return Math.max(LEAST_REGRET_SECONDS, REGRET_WINDOWS * scaleDownWindowSeconds);
}

function calmer(patience: Patience, at: number): Patience {
  const calm = patience.factor > 1 && at - patience.since > CALM_SECONDS * 1000;
  return calm ? { factor: patience.factor / 2, since: at } : patience;
}

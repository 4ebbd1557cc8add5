/** The decision: from the state, one sample and the policy to a number of replicas, with its reason. Pure. */
import { judgeTrial, limitOf, reviewCeiling, startTrial } from './effect.ts';
import { estimate } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import { explain } from './explain.ts';
import type { ScalePolicy } from './policy.ts';
import { sizeUp } from './size.ts';
import type { Size } from './size.ts';
import { isSettled } from './state.ts';
import type { State, Sufficed } from './state.ts';
import type { Decision, DecisionReason, Sample, UnusableSample, UsableSample } from './types.ts';

/** A rollout or rebalance that takes longer than this no longer holds a scale-down, in seconds. */
const HOLD_LIMIT_SECONDS = 300;
/** Weight of one observed start-up time in what is learnt of it. */
const STARTUP_WEIGHT = 0.3;
const MAX_STARTUP_SECONDS = 120;

/** One step. With a usable sample the replicas lie within the policy's bounds; with an unusable one they are never lowered. */
export function decide(state: State, sample: Sample, policy: ScalePolicy): { state: State; decision: Decision } {
  if (!sample.usable) return decideBlind(state, sample, policy);
  const seen = observe(state, sample, policy);
  const size = sizeUp(seen, sample, policy);
  const known = { ...seen, sufficed: slide(seen.sufficed, sample.at, size.sufficient, policy.scaleDownWindowSeconds) };
  const { replicas, reason } =
    policy.mode === 'builtin'
      ? choose(known, size, sample, policy)
      : { replicas: sample.deployment.replicas, reason: 'NotManaged' as const };
  const inputs = {
    lag: sample.totalLag,
    delaySeconds: sample.delaySeconds,
    arrivalRate: known.estimate.arrival,
    throughput: known.estimate.throughput,
    ratePerReplica: known.estimate.learned?.ratePerReplica ?? null,
    wanted: size.wanted,
  };
  const decision = { replicas, reason, inputs, message: explain(reason, replicas, size, sample, policy, known) };
  return { state: acted(known, sample, replicas), decision };
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
    state: { ...state, unknownSince, sufficed: [], coveredSince: null, idleSince: null, trial: null, expected: replicas },
    decision: { replicas, reason: safe ? 'SafeReplicas' : 'LagUnknown', message, inputs },
  };
}

/** Takes one usable sample into the state: rates, start-up time, the trial of the last scale-up, idleness. */
function observe(state: State, sample: UsableSample, policy: ScalePolicy): State {
  const joined =
    state.joining !== null && sample.deployment.ready >= state.joining.replicas && sample.group.members >= state.joining.replicas;
  const now = withStartup(estimate(state.estimate, sample), joined ? (sample.at - (state.joining?.at ?? sample.at)) / 1000 : null);
  const lifted = reviewCeiling(state.ceiling, now);
  const judged = state.trial === null ? { trial: null, ceiling: lifted } : judgeTrial(state.trial, now, sample, lifted);
  const changed = state.expected !== null && sample.deployment.replicas !== state.expected;
  const idle = sample.totalLag <= policy.activationLag && now.arrivalNow === 0 && now.throughput === 0;
  return {
    ...state,
    ...judged,
    estimate: now,
    joining: joined || changed ? null : state.joining,
    sufficed: changed ? [] : state.sufficed,
    coveredSince: changed ? sample.at : (state.coveredSince ?? sample.at),
    unsettledSince: isSettled(sample) ? null : (state.unsettledSince ?? sample.at),
    unknownSince: null,
    idleSince: idle ? (state.idleSince ?? sample.at) : null,
  };
}

function withStartup(now: Estimate, seconds: number | null): Estimate {
  if (seconds === null || now.learned === null) return now;
  const measured = Math.min(MAX_STARTUP_SECONDS, seconds);
  const { startupSeconds } = now.learned;
  const next = startupSeconds === 0 ? measured : startupSeconds + (measured - startupSeconds) * STARTUP_WEIGHT;
  return { ...now, learned: { ...now.learned, startupSeconds: next } };
}

function slide(sufficed: readonly Sufficed[], at: number, replicas: number, windowSeconds: number): Sufficed[] {
  const kept = sufficed.filter((one) => one.replicas > replicas && one.at > at - windowSeconds * 1000);
  kept.push({ at, replicas });
  return kept;
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
  const limit = limitOf(state.ceiling, sample.at);
  const target = bounded(Math.min(size.wanted, limit), policy);
  if (target > current) return { replicas: Math.min(target, stepLimit(current, policy)), reason: size.reason };
  return down(state, size, sample, policy, limit);
}

function wake(size: Size, sample: UsableSample, policy: ScalePolicy): Choice {
  if (sample.totalLag <= policy.activationLag) return { replicas: 0, reason: 'Idle' };
  return { replicas: Math.min(Math.max(1, bounded(size.wanted, policy)), stepLimit(0, policy)), reason: 'Activated' };
}

/** The smaller number must have sufficed over the whole window; zero only after the idle time. */
function down(state: State, size: Size, sample: UsableSample, policy: ScalePolicy, limit: number): Choice {
  const current = sample.deployment.replicas;
  const stayed: DecisionReason = limit < size.wanted ? 'Ineffective' : size.hot.length > 0 && size.backlog > 0 ? 'HotPartition' : 'Steady';
  const most = Math.max(...state.sufficed.map(({ replicas }) => replicas));
  const floor = policy.scaleToZero && hasBeenIdle(state, sample, policy) ? 0 : Math.max(1, policy.minReplicas);
  const target = Math.max(floor, Math.min(policy.maxReplicas, most, limit));
  const lower = Math.max(floor, Math.min(size.sufficient, limit));
  if (lower >= current && target >= current) return { replicas: current, reason: stayed };
  if (state.unsettledSince !== null && sample.at - state.unsettledSince < HOLD_LIMIT_SECONDS * 1000) {
    return { replicas: current, reason: sample.deployment.rollingOut ? 'HeldRollout' : 'HeldRebalance' };
  }
  const covered = state.coveredSince !== null && sample.at - state.coveredSince >= policy.scaleDownWindowSeconds * 1000;
  if (!covered || target >= current) return { replicas: current, reason: 'WaitingForWindow' };
  return { replicas: target, reason: target === 0 ? 'Idle' : stayed === 'Ineffective' ? 'Ineffective' : 'ScaledDown' };
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

/** What acting changes: a scale-up is timed and judged, and every change begins a new window. */
function acted(state: State, sample: UsableSample, replicas: number): State {
  const current = sample.deployment.replicas;
  if (replicas === current) return { ...state, expected: replicas };
  if (replicas < current) return { ...state, expected: replicas, joining: null, trial: null };
  return {
    ...state,
    expected: replicas,
    joining: { at: sample.at, replicas },
    trial: startTrial(state.trial, state.estimate, sample, replicas),
  };
}

/**
 * What a user asks of one autoscaled consumer group. Nothing here depends on the resource's schema: the API maps
 * `spec...autoscaling` to it, the simulator builds it by hand.
 */

/** Who sets the number of replicas: this operator, a KEDA ScaledObject that the operator writes, or nobody. */
export type ScaleMode = 'builtin' | 'keda' | 'fixed';

/** One group's scaling policy. Durations are seconds. */
export interface ScalePolicy {
  mode: ScaleMode;
  /** Fewest replicas; 0 only together with `scaleToZero`. */
  minReplicas: number;
  maxReplicas: number;
  /** The goal: an event waits no longer than this before it is processed. */
  maxDelaySeconds: number;
  /** KEDA's `lagThreshold`: when set, also keep at least ceil(lag / lagPerReplica) replicas. */
  lagPerReplica?: number;
  /** A smaller number of replicas must have sufficed for this long before it is set. */
  scaleDownWindowSeconds: number;
  /** One scale-up goes to at most `max(current + stepUpReplicas, current * stepUpFactor)`. */
  stepUpReplicas: number;
  stepUpFactor: number;
  /** Whether the group may be stopped altogether when nothing is left to do. */
  scaleToZero: boolean;
  /** How long a group must have been idle (no lag, no arrivals) before it is stopped. */
  idleSeconds: number;
  /** A stopped group is started only when its lag exceeds this many messages. */
  activationLag: number;
  /** With the lag unknown for `lagUnknownSeconds`, go up to this many replicas (never down). Unset: hold. */
  safeReplicas?: number;
  lagUnknownSeconds: number;
}

/** Time between two samples of a group, in seconds. */
export const SAMPLE_SECONDS = 5;

/** Defaults of every field; the simulator's figures in docs/results are for these. */
export const DEFAULT_POLICY: ScalePolicy = {
  mode: 'builtin',
  minReplicas: 1,
  maxReplicas: 12,
  maxDelaySeconds: 30,
  scaleDownWindowSeconds: 15,
  stepUpReplicas: 16,
  stepUpFactor: 4,
  scaleToZero: false,
  idleSeconds: 60,
  activationLag: 0,
  lagUnknownSeconds: 300,
};

/** One thing wrong with a policy: the field's name in `ScalePolicy` and a sentence that says what to write instead. */
export interface PolicyProblem {
  field: keyof ScalePolicy;
  message: string;
}

/** Fills what is left out with the defaults. `minReplicas` defaults to 0 when `scaleToZero` is set. */
export function withDefaults(partial: Partial<ScalePolicy>): ScalePolicy {
  const min = partial.minReplicas ?? (partial.scaleToZero === true ? 0 : DEFAULT_POLICY.minReplicas);
  return { ...DEFAULT_POLICY, ...partial, minReplicas: min };
}

/** Everything that makes the policy unable to work; empty when it can. */
export function validatePolicy(policy: ScalePolicy): PolicyProblem[] {
  return [...numberProblems(policy), ...combinationProblems(policy)];
}

const WHOLE_NUMBERS = ['minReplicas', 'maxReplicas', 'stepUpReplicas', 'activationLag', 'safeReplicas'] as const;
const DURATIONS = ['maxDelaySeconds', 'scaleDownWindowSeconds', 'idleSeconds', 'lagUnknownSeconds'] as const;

function numberProblems(policy: ScalePolicy): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  for (const field of WHOLE_NUMBERS) {
    const value = policy[field];
    if (value !== undefined && (!Number.isInteger(value) || value < 0))
      problems.push({ field, message: `${field} must be a whole number, 0 or more` });
  }
  for (const field of DURATIONS) {
    if (!Number.isFinite(policy[field]) || policy[field] < 0)
      problems.push({ field, message: `${field} must be a duration of 0 s or more` });
  }
  return problems;
}

function combinationProblems(policy: ScalePolicy): PolicyProblem[] {
  const rules: [wrong: boolean, field: keyof ScalePolicy, message: string][] = [
    [policy.maxReplicas < 1, 'maxReplicas', 'maxReplicas must be 1 or more'],
    [
      policy.minReplicas > policy.maxReplicas,
      'minReplicas',
      `minReplicas (${policy.minReplicas}) is above maxReplicas (${policy.maxReplicas})`,
    ],
    [policy.minReplicas === 0 && !policy.scaleToZero, 'minReplicas', 'minReplicas 0 needs scaleToZero: true'],
    [policy.minReplicas > 0 && policy.scaleToZero, 'scaleToZero', 'scaleToZero needs minReplicas: 0'],
    [
      policy.scaleToZero && (policy.scaleDownWindowSeconds < SAMPLE_SECONDS || policy.idleSeconds < SAMPLE_SECONDS),
      'scaleToZero',
      `scaleToZero needs a scaleDownWindow and an idle time of at least ${SAMPLE_SECONDS} s, or the group would stop between two events`,
    ],
    [
      policy.maxDelaySeconds < SAMPLE_SECONDS,
      'maxDelaySeconds',
      `maxDelay must be at least ${SAMPLE_SECONDS} s, the time between two samples`,
    ],
    [policy.lagPerReplica !== undefined && !(policy.lagPerReplica >= 1), 'lagPerReplica', 'lagPerReplica must be 1 or more'],
    [policy.stepUpReplicas < 1, 'stepUpReplicas', 'stepUpReplicas must be 1 or more'],
    [!(policy.stepUpFactor >= 1), 'stepUpFactor', 'stepUpFactor must be 1 or more'],
    [
      policy.safeReplicas !== undefined && (policy.safeReplicas > policy.maxReplicas || policy.safeReplicas < policy.minReplicas),
      'safeReplicas',
      'safeReplicas must lie between minReplicas and maxReplicas',
    ],
  ];
  return rules.filter(([wrong]) => wrong).map(([, field, message]) => ({ field, message }));
}

/** What the autoscaler remembers of a group between two samples. */
import type { Carried, Ceiling, Trial } from './effect.ts';
import { initialEstimate } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import type { ScalePolicy } from './policy.ts';
import type { Season } from './season.ts';
import type { LearnedRate, UsableSample } from './types.ts';

export interface State {
  readonly estimate: Estimate;
  /** What was needed, and until when it counts against a smaller number. */
  readonly needs: readonly Need[];
  /** Since when the window is whole: samples usable, replicas those that were decided. */
  readonly coveredSince: number | null;
  /** The last number decided; another one in the Deployment is somebody else's change. */
  readonly expected: number | null;
  /** The last scale-down, and how many times over the window is waited for since scale-downs had to be taken back. */
  readonly lastDown: { at: number; from: number } | null;
  readonly patience: Patience;
  /** The operator itself scaled up without knowing the rate: then fewer may do, and it may try. */
  readonly explored: boolean;
  /** What has piled up since the last scale-down, while its rebalance is watched. */
  readonly standstill: Standstill | null;
  /** The last scale-up, until its replicas have joined. */
  readonly joining: { at: number; replicas: number } | null;
  /** Since when the group has been rolled out or rebalanced. */
  readonly unsettledSince: number | null;
  readonly trial: Trial | null;
  readonly carried: Carried | null;
  readonly ceiling: Ceiling | null;
  /** Since when more has been waiting than what is in flight. */
  readonly backlogSince: number | null;
  /** Since when a settled group with lag has processed nothing. */
  readonly stuckSince: number | null;
  readonly unknownSince: number | null;
  /** Since when there has been neither lag nor an arrival. */
  readonly idleSince: number | null;
}

/** `factor` windows are waited for; `since` is when it was last changed. */
export interface Patience {
  factor: number;
  since: number;
}

/** A rebalance under observation: lag at its beginning and at its highest, and the arrivals. */
export interface Standstill {
  at: number;
  lag: number;
  most: number;
  arrival: number;
}

/** Seconds of arrivals that have piled up. */
export function pauseOf({ lag, most, arrival }: Standstill): number {
  return arrival <= 0 ? 0 : Math.max(0, most - lag) / arrival;
}

/** So many replicas were needed; no fewer until then (epoch milliseconds). */
export interface Need {
  until: number;
  replicas: number;
}

/** The state before the first sample; both come from the resource's status. */
export function initialState(learned: LearnedRate | null, season?: Season): State {
  return {
    estimate: initialEstimate(learned, season),
    needs: [],
    coveredSince: null,
    expected: null,
    lastDown: null,
    patience: { factor: 1, since: 0 },
    explored: false,
    standstill: null,
    joining: null,
    unsettledSince: null,
    trial: null,
    carried: null,
    ceiling: null,
    backlogSince: null,
    stuckSince: null,
    unknownSince: null,
    idleSince: null,
  };
}

/** All replicas are ready, of one version, members of the group, and the group is not rebalancing. */
export function isSettled({ group, deployment }: UsableSample, perReplica = 1): boolean {
  if (deployment.replicas === 0) return true;
  return (
    group.state === 'Stable' &&
    !deployment.rollingOut &&
    deployment.ready === deployment.replicas &&
    group.members >= deployment.ready * perReplica
  );
}

/** The window is at least so many times what a replica takes to join. */
const STARTUPS = 3;
/** The longest window that taking scale-downs back leads to, seconds. */
const MAX_PATIENT_SECONDS = 300;

/** The policy's window, longer while scale-downs keep being taken back, and where it takes long to bring a replica back; seconds. */
export function windowSeconds(state: State, { scaleDownWindowSeconds }: ScalePolicy): number {
  const patient = Math.min(MAX_PATIENT_SECONDS, scaleDownWindowSeconds * state.patience.factor);
  return Math.max(scaleDownWindowSeconds, patient, STARTUPS * (state.estimate.learned?.startupSeconds ?? 0));
}

/** What the autoscaler remembers of a group between two samples. */
import type { Ceiling, Trial } from './effect.ts';
import { initialEstimate } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import type { LearnedRate, UsableSample } from './types.ts';

export interface State {
  readonly estimate: Estimate;
  /** What would have sufficed at each moment of the window, in falling order: an entry goes when a later one is as large. */
  readonly sufficed: readonly Sufficed[];
  /** Since when the window is whole: samples usable, replicas those that were decided. */
  readonly coveredSince: number | null;
  /** The last number decided; another one in the Deployment is somebody else's change. */
  readonly expected: number | null;
  /** The last scale-up, until its replicas have joined. */
  readonly joining: { at: number; replicas: number } | null;
  /** Since when the group has been rolled out or rebalanced. */
  readonly unsettledSince: number | null;
  readonly trial: Trial | null;
  readonly ceiling: Ceiling | null;
  readonly unknownSince: number | null;
  /** Since when there has been neither lag nor an arrival. */
  readonly idleSince: number | null;
}

/** So many replicas would have been enough at that moment. */
export interface Sufficed {
  at: number;
  replicas: number;
}

/** The state before the first sample; `learned` comes from the resource's status. */
export function initialState(learned: LearnedRate | null): State {
  return {
    estimate: initialEstimate(learned),
    sufficed: [],
    coveredSince: null,
    expected: null,
    joining: null,
    unsettledSince: null,
    trial: null,
    ceiling: null,
    unknownSince: null,
    idleSince: null,
  };
}

/** All replicas are ready, of one version, members of the group, and the group is not rebalancing. */
export function isSettled({ group, deployment }: UsableSample): boolean {
  if (deployment.replicas === 0) return true;
  return (
    group.state === 'Stable' && !deployment.rollingOut && deployment.ready === deployment.replicas && group.members >= deployment.ready
  );
}

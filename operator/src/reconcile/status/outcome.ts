/** What one pass found out: the input of the status. */
import type { BssPlatformSpec, BssPlatformStatus, Problem } from '../../api/index.ts';
import type { ConsumerGroupStatus } from '../../autoscale/index.ts';
import type { Health } from '../health/health.ts';

/** One entry of a list in status. */
export type StatusEntry<K extends 'conditions' | 'components' | 'consumerGroups' | 'endpoints' | 'inventory'> = NonNullable<
  BssPlatformStatus[K]
>[number];

export interface ComponentState {
  name: string;
  /** Kind of object that runs it, as shown in status. */
  kind: string;
  health: Health;
  /** `held`: what is wanted is not applied yet, as others come first. `refused`: the API server (or another owner) does not let us. */
  state: 'applied' | 'held' | 'refused';
}

/** Spec that cannot be acted on. */
export interface InvalidOutcome {
  type: 'invalid';
  generation: number;
  problems: Problem[];
}

/** Of the generated credentials. */
export interface RotationState {
  /** Former values are good beside the new ones. */
  underWay: boolean;
  /** The request that was taken up last. */
  request: string | undefined;
  /** What may still use the former values, or accept them. */
  waitsFor: string[];
}

export interface ActedOutcome {
  /** `paused`: judged only, nothing was changed. */
  type: 'acted' | 'paused';
  generation: number;
  spec: BssPlatformSpec;
  components: ComponentState[];
  rotation: RotationState;
  /** Differences of topics that cannot be mended, a sentence each; undefined: nobody has looked. */
  topicDifferences: string[] | undefined;
  /** Undefined: nobody samples them now. */
  groups: ConsumerGroupStatus[] | undefined;
  warnings: string[];
  endpoints: StatusEntry<'endpoints'>[];
  secretName: string;
  /** Undefined: as it was. */
  inventory: StatusEntry<'inventory'>[] | undefined;
}

export interface DeletingOutcome {
  type: 'deleting';
  generation: number;
  message: string;
}

export type Outcome = InvalidOutcome | ActedOutcome | DeletingOutcome;

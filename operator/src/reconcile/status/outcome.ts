/** Outcome of one pass: the input of the status. */
import type { BssPlatformStatus, Problem } from '../../api/index.ts';
import type { BssPlatformSpec } from '../../platform/index.ts';
import type { ConsumerGroupStatus } from '../../autoscale/index.ts';
import type { AlertStatus } from '../alerts/alert-status.ts';
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
  /** `held`: a change is not applied yet, because an earlier component is not healthy. `refused`: the API server rejected it, or it has another owner. */
  state: 'applied' | 'held' | 'refused';
}

/** The spec is invalid. */
export interface InvalidOutcome {
  type: 'invalid';
  generation: number;
  problems: Problem[];
  /** Undefined: not read yet. */
  alerts: AlertStatus | undefined;
}

/** Rotation of the generated credentials. */
export interface RotationState {
  /** Both the former and the new values are valid. */
  underWay: boolean;
  /** The last request that was started. */
  request: string | undefined;
  /** Components and pods that may still use or accept the former values. */
  waitsFor: string[];
}

export interface ActedOutcome {
  /** `paused`: health was checked, nothing was changed. */
  type: 'acted' | 'paused';
  generation: number;
  spec: BssPlatformSpec;
  components: ComponentState[];
  rotation: RotationState;
  /** One sentence for each Secret that the spec names and that is missing or lacks a key. */
  missingSecrets: string[];
  /** One sentence for each topic difference that cannot be reconciled; undefined: not checked yet. */
  topicDifferences: string[] | undefined;
  /** Undefined: not sampled now. */
  groups: ConsumerGroupStatus[] | undefined;
  /** Undefined: not read yet. */
  alerts: AlertStatus | undefined;
  warnings: string[];
  endpoints: StatusEntry<'endpoints'>[];
  secretName: string;
  /** Undefined: unchanged. */
  inventory: StatusEntry<'inventory'>[] | undefined;
}

export interface DeletingOutcome {
  type: 'deleting';
  generation: number;
  message: string;
}

export type Outcome = InvalidOutcome | ActedOutcome | DeletingOutcome;

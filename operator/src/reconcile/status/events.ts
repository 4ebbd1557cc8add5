/** Events that the reconciler publishes on a platform: their reasons are a closed list. */
import { RESTART_REASONS } from '../apply/restart.ts';

/** Restart reasons are event reasons too; scale events have the autoscaler's reasons. */
export const EVENT_REASONS = [
  'Created',
  'Adopted',
  'DriftCorrected',
  'Recreated',
  'JobRetried',
  'Pruned',
  'VolumeKept',
  'CredentialsCreated',
  'CredentialsCompleted',
  'SecretsMissing',
  'RotationBegun',
  'RotationDone',
  'TopicsChanged',
  'Ready',
  'NotReady',
  'InvalidSpec',
  'Paused',
  'Resumed',
  'Hibernating',
  'Waking',
  'Upgrading',
  'Upgraded',
  'Deleting',
  'ApplyFailed',
  ...RESTART_REASONS,
] as const;
export type EventReason = (typeof EVENT_REASONS)[number];

/** Publishes an event about the platform of the pass. Never throws. */
export type Publish = (type: 'Normal' | 'Warning', reason: EventReason, message: string) => void;

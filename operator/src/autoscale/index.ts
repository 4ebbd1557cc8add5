export { Autoscaler } from './autoscaler.ts';
export type { AutoscalerDeps } from './autoscaler.ts';
export { scaleClient } from './actuator.ts';
export type { KubeRequest, KubeResponse } from './actuator.ts';
export { validatePolicy, withDefaults } from './policy.ts';
export { isNewerSeason } from './season-text.ts';
export { recordingSchema } from './recording.ts';
export type { GroupRecording, Recording } from './recording.ts';
export type { PolicyProblem, ScaleMode, ScalePolicy } from './policy.ts';
export type {
  ConsumerGroupStatus,
  Decision,
  DecisionRecord,
  DeploymentView,
  KafkaConnection,
  LearnedRate,
  Problem,
  ScaleClient,
  ScaledKind,
  ScaleEvent,
  ScaleTarget,
  UnusableReason,
} from './types.ts';
export { DEPLOYMENT } from './types.ts';

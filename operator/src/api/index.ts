/** The API `bss-platform.io/v1alpha1`: names, status, and the language in which the spec is written. */
import type { BssPlatformStatus, ConsumerAutoscalerStatus } from './status.ts';

export { consumerAutoscalerStatusSchema, statusSchema, type BssPlatformStatus, type ConsumerAutoscalerStatus } from './status.ts';
export type { Autoscaling } from './autoscaling.ts';
export { parseConsumerAutoscaler, pathText, type ConsumerAutoscalerSpec } from './consumer-autoscaler.ts';
export { accessOf, secretsOf, type KafkaAccess } from './kafka-access.ts';
export { durationMs, quantityValue } from './rules.ts';
export { retentionMs } from './topics.ts';
export {
  API_VERSION,
  AUTOSCALER_KIND,
  AUTOSCALER_PLURAL,
  FIELD_MANAGER,
  FINALIZER,
  GROUP,
  KIND,
  PLATFORM_VERSION,
  PREFIX,
  ROTATE_ANNOTATION,
} from './names.ts';

/** Metadata of an object as the API server sends it (times are text). */
export interface ObjectMeta {
  name: string;
  namespace: string;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  creationTimestamp?: string;
  deletionTimestamp?: string;
}

/** A field that is wrong. */
export interface Problem {
  /** Path from the resource's root, such as `spec.workloads.interest.replicas`. */
  path: string;
  /** What to write instead. */
  message: string;
}

/** A BssPlatform as stored: `spec` is not validated before `parseSpec`. */
export interface BssPlatform {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: BssPlatformStatus;
}

/** A ConsumerAutoscaler as stored: `spec` is not validated before `parseConsumerAutoscaler`. */
export interface ConsumerAutoscaler {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: ConsumerAutoscalerStatus;
}

/** The API `bss-platform.io/v1alpha1`: types, defaults, checks. */
import type { BssPlatformStatus } from './status.ts';

export { adviseSpec, type Advice } from './advise.ts';
export { parseSpec, specSchema, type BssPlatformSpec, type ParsedSpec, type Problem } from './spec.ts';
export { statusSchema, type BssPlatformStatus } from './status.ts';
export { databasePools, type DatabasePools } from './pools.ts';
export { durationMs, quantityValue } from './rules.ts';
export { INTEREST_DLQ_TOPIC, INTEREST_GROUP, INTEREST_TOPIC } from './topics.ts';
export { API_VERSION, FIELD_MANAGER, FINALIZER, GROUP, KIND, PREFIX, ROTATE_ANNOTATION } from './names.ts';

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

/** A BssPlatform as stored: `spec` is raw until `parseSpec` has looked at it. */
export interface BssPlatform {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: unknown;
  status?: BssPlatformStatus;
}

/**
 * What controller-runtime gives Go programs, for this operator: client, reflector, work queue, controller, leader election, server-side apply,
 * events, metrics and graceful shutdown. See docs/adr/0001-operator-runtime.md.
 */
export { Applier, APPLIED_ANNOTATION, withoutBookkeeping } from './apply.ts';
export type { ApplierOptions, ApplyOptions, ApplyResult, FieldConflict } from './apply.ts';
export { KubeClient } from './client.ts';
export type {
  CallOptions,
  DeleteOptions,
  KubeClientOptions,
  ListOptions,
  ObjectList,
  Selection,
  SubresourceOptions,
  WatchOptions,
  WriteOptions,
} from './client.ts';
export { systemClock } from './clock.ts';
export type { Clock } from './clock.ts';
export { Controller } from './controller.ts';
export type { ControllerOptions, Reconcile, ReconcileContext, ReconcileResult } from './controller.ts';
export type { ResourceInfo } from './discovery.ts';
export { isAlreadyExists, isNotFound, KubeError } from './errors.ts';
export type { StatusCause } from './errors.ts';
export { EventRecorder } from './events.ts';
export type { EventInput, EventRecorderOptions } from './events.ts';
export { loadKubeConfig } from './kubeconfig.ts';
export { LeaderElector } from './leader.ts';
export type { LeaderElectorOptions } from './leader.ts';
export { createLogger } from './logger.ts';
export type { Logger } from './logger.ts';
export { Metrics } from './metrics.ts';
export type { Counter, Gauge, Histogram } from './metrics.ts';
export { fingerprint, isRecord, keyOf, parseKey, referenceOf } from '../objects/index.ts';
export type { Kind, KubernetesObject, ManagedFieldsEntry, ObjectMeta, ObjectReference, OwnerReference } from '../objects/index.ts';
export { withoutForeignManagers } from './managed-fields.ts';
export { Reflector } from './reflector.ts';
export type { ReflectorOptions } from './reflector.ts';
export { Reflectors, type StoreView } from './reflectors.ts';
export { HealthServer } from './server.ts';
export type { Check, HealthServerOptions } from './server.ts';
export { Shutdown } from './shutdown.ts';
export type { ShutdownOptions } from './shutdown.ts';
export type { Change, Indexer } from './store.ts';
export type { Fence, Method } from './transport.ts';
export type { WatchEvent } from './watch.ts';
export { WorkQueue } from './workqueue.ts';
export type { WorkQueueOptions } from './workqueue.ts';

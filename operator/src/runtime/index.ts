/**
 * What controller-runtime gives Go programs, for this operator: client, reflector, work queue, controller, leader election, server-side apply,
 * events, metrics and orderly shutdown. See docs/adr/0001-operator-runtime.md.
 */
import type { KubeConfig } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import type { Counter, Gauge, Histogram } from 'prom-client';
import type { Kind, KubernetesObject, ObjectReference } from './object.ts';

export * from './object.ts';
export type { Logger };

// ---- clock.ts
/** Time, so that tests can turn it. */
export interface Clock {
  /** Epoch milliseconds; may jump. */
  now(): number;
  /** Milliseconds that never go back and go on while the process is stopped or the machine sleeps. */
  monotonic(): number;
  /** Runs `callback` once after `ms`; the returned function cancels it. Does not keep the process alive. */
  after(ms: number, callback: () => void): () => void;
}
export declare const systemClock: Clock;
/** Resolves after `ms`, or at once when the signal aborts (no error). */
export declare function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void>;

// ---- logger.ts
/** JSON lines on standard output; `level` is pino's (trace..fatal). */
export declare function createLogger(options?: { level?: string; name?: string }): Logger;

// ---- metrics.ts
/** The operator's metrics; the only way to prom-client. Each `counter`, `gauge`, `histogram` call with a known name returns the one there is. */
export declare class Metrics {
  constructor(options?: { processMetrics?: boolean });
  counter<L extends string>(name: string, help: string, labels?: readonly L[]): Counter<L>;
  gauge<L extends string>(name: string, help: string, labels?: readonly L[], collect?: (gauge: Gauge<L>) => void): Gauge<L>;
  histogram<L extends string>(name: string, help: string, labels: readonly L[], buckets: number[]): Histogram<L>;
  /** Text exposition format. */
  render(): Promise<{ contentType: string; body: string }>;
}

// ---- errors.ts
export declare class KubeError extends Error {
  /** Kubernetes' reason (NotFound, Conflict, AlreadyExists, Invalid, Forbidden, Expired, TooManyRequests, ...), or Timeout, ConnectionFailed, Aborted. */
  readonly reason: string;
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  readonly retryAfterMs: number | undefined;
  /** Trying the same again later may succeed. */
  readonly retriable: boolean;
  /** `details.causes` of the Status: one per wrong field or conflict. */
  readonly causes: { reason?: string; message?: string; field?: string }[];
}
export declare function isNotFound(error: unknown): boolean;
export declare function isConflict(error: unknown): boolean;
export declare function isAlreadyExists(error: unknown): boolean;

// ---- kubeconfig.ts
/** In-cluster when a service account is mounted and KUBECONFIG is unset; else KUBECONFIG, else ~/.kube/config. Throws when none is there. */
export declare function loadKubeConfig(options?: { path?: string; context?: string }): KubeConfig;

// ---- client.ts
export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}
export interface WriteOptions extends CallOptions {
  dryRun?: boolean;
  fieldManager?: string;
}
export interface ListOptions extends CallOptions {
  /** Unset: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Objects per request; default 500. */
  pageSize?: number;
}
export interface ObjectList<T> {
  resourceVersion: string;
  items: T[];
}
/** Checked immediately before each write. Returns for how many milliseconds writes are allowed; throws when they are not. */
export type Fence = () => number;

export interface ResourceInfo extends Kind {
  plural: string;
  namespaced: boolean;
  verbs: string[];
}

export declare class KubeClient {
  constructor(options: { config: KubeConfig; metrics: Metrics; clock?: Clock; timeoutMs?: number; userAgent?: string });
  /** The same client, whose writes (except dry runs) pass the fence first. */
  fenced(fence: Fence): KubeClient;
  /** Namespace of the current context or of the pod. */
  readonly namespace: string | undefined;
  discover(kind: Kind): Promise<ResourceInfo>;
  /** True when the cluster serves the kind. */
  serves(kind: Kind): Promise<boolean>;
  get<T extends KubernetesObject = KubernetesObject>(reference: ObjectReference, options?: CallOptions): Promise<T>;
  /** Undefined when there is no such object. */
  find<T extends KubernetesObject = KubernetesObject>(reference: ObjectReference, options?: CallOptions): Promise<T | undefined>;
  /** All pages. */
  list<T extends KubernetesObject = KubernetesObject>(kind: Kind, options?: ListOptions): Promise<ObjectList<T>>;
  create<T extends KubernetesObject>(object: T, options?: WriteOptions): Promise<T>;
  /** PUT; fails with Conflict when `metadata.resourceVersion` is set and not the newest. */
  replace<T extends KubernetesObject>(object: T, options?: WriteOptions & { subresource?: string }): Promise<T>;
  patch<T extends KubernetesObject = KubernetesObject>(
    reference: ObjectReference,
    patch: unknown,
    options?: WriteOptions & { type?: 'merge' | 'json' | 'strategic'; subresource?: string },
  ): Promise<T>;
  /** Server-side apply. Prefer {@link Applier}. */
  apply<T extends KubernetesObject = KubernetesObject>(
    object: KubernetesObject,
    options: WriteOptions & { fieldManager: string; force?: boolean; subresource?: string },
  ): Promise<T>;
  /** False when it was gone already. */
  delete(
    reference: ObjectReference,
    options?: WriteOptions & {
      propagation?: 'Background' | 'Foreground' | 'Orphan';
      gracePeriodSeconds?: number;
      preconditions?: { uid?: string; resourceVersion?: string };
    },
  ): Promise<boolean>;
  /** Sets `spec.replicas` through the scale subresource. */
  scale(reference: ObjectReference, replicas: number, options?: WriteOptions): Promise<void>;
  /** Any path of the API server. Resolves for every HTTP status, rejects when no answer came. Fits `KubeRequest` of the autoscaler. */
  readonly raw: (
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: { body: unknown; contentType: string },
    options?: CallOptions,
  ) => Promise<{ status: number; body: unknown }>;
}

// ---- store.ts
export type Indexer<T> = (object: T) => string[];
export declare class Store<T extends KubernetesObject = KubernetesObject> {
  readonly synced: boolean;
  readonly size: number;
  get(key: string): T | undefined;
  values(): IterableIterator<T>;
  /** Objects for which index `name` gives `value`. */
  byIndex(name: string, value: string): T[];
}

// ---- reflector.ts
export interface Change<T> {
  type: 'added' | 'modified' | 'deleted';
  key: string;
  object: T;
  /** The state before; absent when added. */
  old?: T;
}
export interface ReflectorOptions<T extends KubernetesObject> {
  client: KubeClient;
  kind: Kind;
  metrics: Metrics;
  logger: Logger;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  indexers?: Record<string, Indexer<T>>;
  /** What to keep of each object, to save memory; see `withoutForeignManagers`. */
  transform?: (object: T) => T;
  clock?: Clock;
  pageSize?: number;
  watchSeconds?: number;
  inactivityMs?: number;
}
export declare class Reflector<T extends KubernetesObject = KubernetesObject> {
  constructor(options: ReflectorOptions<T>);
  readonly store: Store<T>;
  /** Called for each change after the store has it; an exception is logged, and stops nothing. Subscribe before `start`. */
  subscribe(handler: (change: Change<T>) => void): void;
  start(): void;
  /** Resolves when the first list is in the store; throws after `timeoutMs`. */
  waitForSync(timeoutMs: number): Promise<void>;
  stop(): Promise<void>;
}

// ---- workqueue.ts
export declare class WorkQueue {
  constructor(options: { name: string; metrics: Metrics; clock?: Clock; baseMs?: number; maxMs?: number; random?: () => number });
  readonly length: number;
  add(key: string): void;
  addAfter(key: string, ms: number): void;
  addRateLimited(key: string): void;
  forget(key: string): void;
  failures(key: string): number;
  get(): Promise<string | undefined>;
  done(key: string): void;
  shutDown(): void;
}

// ---- controller.ts
/** Do not retry: the same input fails again. The key is processed again when something changes. */
export declare class TerminalError extends Error {}
export interface ReconcileResult {
  requeueAfterMs?: number;
}
export interface ReconcileContext {
  key: string;
  /** Child logger that carries the reconcile id and the key. */
  logger: Logger;
  reconcileId: string;
  /** Aborted when the controller must stop now. */
  signal: AbortSignal;
}
export type Reconcile = (context: ReconcileContext) => Promise<ReconcileResult | void>;
export declare class Controller {
  constructor(options: {
    name: string;
    queue: WorkQueue;
    reconcile: Reconcile;
    metrics: Metrics;
    logger: Logger;
    workers?: number;
    clock?: Clock;
  });
  start(): void;
  /** Takes no new key; resolves when the passes under way have ended; aborts their signal after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

// ---- leader.ts
export interface LeaderElectorOptions {
  /** Not fenced. */
  client: KubeClient;
  metrics: Metrics;
  logger: Logger;
  /** The Lease. */
  namespace: string;
  name: string;
  identity: string;
  clock?: Clock;
  /** Milliseconds: 15000, 10000, 2000 by default. */
  leaseMs?: number;
  renewDeadlineMs?: number;
  retryMs?: number;
}
export declare class LeaderElector {
  constructor(options: LeaderElectorOptions);
  start(): void;
  readonly leading: boolean;
  /** Resolves when this replica has become the leader; rejects when stopped before. */
  waitForLeadership(): Promise<void>;
  /** Aborted when leadership is lost or given up. Once lost it does not come back: the process should exit. */
  readonly lost: AbortSignal;
  /** For `client.fenced(elector.fence)`. Throws NotLeadingError. */
  readonly fence: Fence;
  /** Gives the Lease up, so that another may take over at once. Stop writing before. */
  stop(): Promise<void>;
}
export declare class NotLeadingError extends Error {}

// ---- apply.ts
export interface ApplyResult<T = KubernetesObject> {
  object: T;
  /** `skipped`: no request was made, as the live object already has everything. `unchanged`: the server found nothing to change. */
  action: 'created' | 'changed' | 'unchanged' | 'skipped';
  /** Fields taken back from others, with their managers; sorted. */
  conflicts: { field: string; manager: string }[];
}
export declare class Applier {
  constructor(options: { client: KubeClient; fieldManager: string; metrics: Metrics });
  /** Server-side apply by this field manager; takes conflicting fields back (and names them) unless `force` is false: then throws Conflict. */
  apply(desired: KubernetesObject, options?: CallOptions & { force?: boolean; dryRun?: boolean }): Promise<ApplyResult>;
  /** As `apply`, but makes no request when `live` (cache or fresh, with managedFields of this manager) already has all of `desired`. */
  applyIfChanged(desired: KubernetesObject, live: KubernetesObject | undefined, options?: CallOptions): Promise<ApplyResult>;
}
/** For `ReflectorOptions.transform`: drops the managedFields of others, which make up much of an object. */
export declare function withoutForeignManagers<T extends KubernetesObject>(fieldManager: string): (object: T) => T;

// ---- events.ts
export interface EventInput {
  type: 'Normal' | 'Warning';
  /** CamelCase, from a closed list. */
  reason: string;
  /** What was done or found; up to 1024 characters. */
  message: string;
  /** CamelCase verb; default: the reason. */
  action?: string;
}
export declare class EventRecorder {
  constructor(options: { client: KubeClient; component: string; instance: string; metrics: Metrics; logger: Logger; clock?: Clock });
  /** Never throws, never waits. Repeats within six minutes become one event with a count; a flood on one object is cut. */
  record(regarding: KubernetesObject, event: EventInput): void;
  /** Sends what is waiting. */
  stop(): Promise<void>;
}

// ---- shutdown.ts
export declare class Shutdown {
  constructor(options: { logger: Logger; timeoutMs?: number; clock?: Clock });
  /** Closers run one after another, last added first. */
  add(name: string, close: () => Promise<void> | void): void;
  /** SIGTERM and SIGINT start it; a second signal exits at once. */
  listen(): void;
  /** Runs every closer, then exits with `code`. */
  begin(reason: string, code?: number): Promise<void>;
  readonly started: boolean;
}

// ---- server.ts
/** A named check: undefined when fine, else what is wrong. */
export type Check = () => string | undefined;
export declare class HealthServer {
  constructor(options: { metrics: Metrics; logger: Logger; port: number; host?: string });
  addLiveness(name: string, check: Check): void;
  addReadiness(name: string, check: Check): void;
  /** Resolves to the port (useful when 0 was asked for). */
  start(): Promise<number>;
  stop(): Promise<void>;
}

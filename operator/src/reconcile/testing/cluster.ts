/** A real API server with the operator on it (under the rights that the chart gives it), a hand that plays the nodes, and a real Kafka. */
import { platformDefinition } from '../../platform/crd.ts';
import { autoscalerDefinition } from '../../api/crd.ts';
import { API_VERSION, AUTOSCALER_KIND, KIND, type BssPlatform, type BssPlatformStatus } from '../../api/index.ts';
import { startApiServer, startServices, type ApiServer } from '../../../../local/src/services/index.ts';
import {
  isAlreadyExists,
  KubeClient,
  KubeError,
  loadKubeConfig,
  Metrics,
  type KubernetesObject,
  type ObjectReference,
} from '../../runtime/index.ts';
import { readAudit, until, type AuditEvent } from '../../runtime/testing/harness.ts';
import { conditionOf, type ConditionType } from '../status/conditions.ts';
import type { PlatformObject } from '../ownership/ownership.ts';
import { Hand } from './hand.ts';
import { containerEnvironment, installRights, logIn, manifests, NAMESPACE, USERNAME, type Login } from './installation.ts';
import { OperatorProcess } from './operator-process.ts';

/** Bounds a wait on a busy machine; no test measures by it. */
export const LIMIT_MS = 120_000;
const TESTER = 'bss-test';

/** Kinds by the names that tests use. */
const API: Record<string, string> = {
  Deployment: 'apps/v1',
  StatefulSet: 'apps/v1',
  DaemonSet: 'apps/v1',
  Job: 'batch/v1',
  NetworkPolicy: 'networking.k8s.io/v1',
  PodDisruptionBudget: 'policy/v1',
  CustomResourceDefinition: 'apiextensions.k8s.io/v1',
  Ingress: 'networking.k8s.io/v1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  PodMonitor: 'monitoring.coreos.com/v1',
  PrometheusRule: 'monitoring.coreos.com/v1',
  Role: 'rbac.authorization.k8s.io/v1',
  RoleBinding: 'rbac.authorization.k8s.io/v1',
  ScaledObject: 'keda.sh/v1alpha1',
  TriggerAuthentication: 'keda.sh/v1alpha1',
};

export interface Write {
  verb: string;
  resource: string;
  namespace: string;
  name: string;
}

export interface ClusterOptions {
  /** False: the test starts operators itself. */
  operator?: boolean;
  /** False: the cluster does not serve ConsumerAutoscalers. */
  autoscalers?: boolean;
  /** Admission plugins of the API server beyond those that are on by default. */
  admissionPlugins?: string[];
  /** Values of the chart, as for `--set`. */
  values?: string[];
  /** Namespaces that exist before the operator is installed. */
  namespaces?: string[];
  /** Of the operator, beside what the chart sets. */
  environment?: Record<string, string>;
}

export class Cluster {
  readonly api: ApiServer;
  readonly client: KubeClient;
  readonly hand: Hand;
  readonly brokers: string[];
  readonly #environment: Record<string, string>;
  readonly #operators: OperatorProcess[] = [];
  readonly #services: { stop(): Promise<void> };

  private constructor(parts: {
    api: ApiServer;
    client: KubeClient;
    hand: Hand;
    brokers: string[];
    services: { stop(): Promise<void> };
    environment: Record<string, string>;
  }) {
    this.api = parts.api;
    this.client = parts.client;
    this.hand = parts.hand;
    this.brokers = parts.brokers;
    this.#services = parts.services;
    this.#environment = parts.environment;
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { operator = true, autoscalers = true, admissionPlugins = [], values = [], namespaces = [], environment = {} } = options;
    const [api, services] = await Promise.all([startApiServer({ audit: true, admissionPlugins }), startServices({ kafka: true })]);
    try {
      const config = loadKubeConfig({ path: api.kubeconfigPath });
      const client = new KubeClient({ config, metrics: new Metrics(), userAgent: TESTER });
      await client.create(platformDefinition());
      if (autoscalers) await client.create(autoscalerDefinition());
      for (const namespace of [NAMESPACE, ...namespaces]) await createNamespace(client, namespace);
      const installed = await manifests(values);
      await installRights(client, installed);
      for (const kind of autoscalers ? [KIND, AUTOSCALER_KIND] : [KIND])
        await until(`${kind} to be served`, LIMIT_MS, () => client.serves({ apiVersion: API_VERSION, kind }));
      const hand = new Hand(client);
      await hand.start();
      const env = { ...containerEnvironment(installed), ...environment };
      const cluster = new Cluster({ api, client, hand, brokers: services.kafka.brokers, services, environment: env });
      if (operator) await cluster.startOperator();
      return cluster;
    } catch (error) {
      await Promise.all([api.stop(), services.stop()]);
      throw error;
    }
  }

  /** @throws Error when an operator had crashed: it was started again, and the tests went on */
  async stop(): Promise<void> {
    await this.#operators.at(-1)?.stop();
    await this.hand.stop();
    await Promise.all([this.api.stop(), this.#services.stop()]);
    const crashes = this.#operators.flatMap((operator) => operator.crashes);
    if (crashes.length > 0) throw new Error(crashes.join('\n'));
  }

  /** The one that was started last. */
  get operator(): OperatorProcess {
    const last = this.#operators.at(-1);
    if (last === undefined) throw new Error('no operator was started');
    return last;
  }

  /** Of the operator that was started last. */
  get log(): string {
    return this.#operators.at(-1)?.log ?? '';
  }

  /** Waits until the operator watches a kind that the cluster did not serve at its start. */
  async watched(kind: string): Promise<void> {
    await until(`the operator to watch ${kind}`, LIMIT_MS, () =>
      this.log.includes(`"kind":"${kind}","msg":"watching a newly served kind"`),
    );
  }

  /** Resolves when it leads. */
  async startOperator(): Promise<void> {
    const { kubeconfigPath } = await this.logIn();
    this.#operators.push(await OperatorProcess.start(kubeconfigPath, this.#environment));
  }

  /** One more token of the operator's account. */
  logIn(): Promise<Login> {
    return logIn(this.api, this.client);
  }

  /** A platform of few parts in a namespace of its own: Postgres, PgBouncer, ledger, gateway, interest, on the real Kafka. */
  /** @param annotations that it has from its first moment on */
  async platform(namespace: string, spec: Record<string, unknown> = {}, annotations: Record<string, string> = {}): Promise<TestPlatform> {
    await createNamespace(this.client, namespace);
    const platform = new TestPlatform(this, namespace);
    await platform.create(spec, annotations);
    return platform;
  }

  /** Requests of the operator that change something, leases and events apart. */
  async writes(): Promise<Write[]> {
    return (await this.#audit()).filter((entry) => WRITING.has(entry.verb) && entry.resource !== 'leases' && entry.resource !== 'events');
  }

  /** Everything that the operator's account has asked for, oldest first. */
  async audit(): Promise<AuditEvent[]> {
    return (await readAudit(this.api.auditLogPath)).filter(({ user }) => user.username === USERNAME);
  }

  /** The operator renews its Lease every two seconds: a clock that stops while no replica leads. */
  async nextRenewal(): Promise<void> {
    const now = await this.leaseRenewals();
    await until('a renewal of the Lease', LIMIT_MS, async () => (await this.leaseRenewals()) > now);
  }

  async leaseRenewals(): Promise<number> {
    return (await this.#audit()).filter(({ resource, verb }) => resource === 'leases' && WRITING.has(verb)).length;
  }

  /** Passes over platforms since the operator started. */
  async passes(): Promise<number> {
    return Number(
      /bss_operator_reconcile_duration_seconds_count\{controller="platform"\} (\d+)/.exec(await this.operator.metrics())?.[1] ?? Number.NaN,
    );
  }

  async #audit(): Promise<Write[]> {
    return (await this.audit()).map(({ verb, objectRef }) => ({
      verb,
      resource: objectRef?.resource ?? '',
      namespace: objectRef?.namespace ?? '',
      name: objectRef?.name ?? '',
    }));
  }
}

/** Verbs that change something. */
export const WRITING = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Unless it exists. */
async function createNamespace(client: KubeClient, name: string): Promise<void> {
  try {
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

/** The platform `a` in a namespace, seen from outside. */
export class TestPlatform {
  readonly #cluster: Cluster;
  readonly namespace: string;
  readonly reference: ObjectReference;

  constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster;
    this.namespace = namespace;
    this.reference = { apiVersion: API_VERSION, kind: KIND, name: 'a', namespace };
  }

  async create(spec: Record<string, unknown> = {}, annotations: Record<string, string> = {}): Promise<void> {
    const off = { enabled: false };
    const few = { redis: off, prometheus: off, loki: off, tempo: off, jaeger: off, networkPolicies: off };
    const kafka = { external: { brokers: this.#cluster.brokers } };
    const metadata = { name: 'a', namespace: this.namespace, annotations };
    await this.#cluster.client.create({ apiVersion: API_VERSION, kind: KIND, metadata, spec: { kafka, ...few, ...spec } });
  }

  get(): Promise<PlatformObject> {
    return this.#cluster.client.get<PlatformObject>(this.reference);
  }

  async status(): Promise<BssPlatformStatus> {
    return (await this.get()).status ?? {};
  }

  async patch(patch: Record<string, unknown>, subresource?: string): Promise<BssPlatform> {
    return this.#cluster.client.patch<PlatformObject>(this.reference, patch, subresource === undefined ? {} : { subresource });
  }

  async delete(propagation: 'Background' | 'Orphan' = 'Background'): Promise<void> {
    await this.#cluster.client.delete(this.reference, { propagation });
    await until('the platform to be gone', LIMIT_MS, async () => (await this.#cluster.client.find(this.reference)) === undefined);
  }

  /** Waits until the status is about the newest spec and the condition has this status (and reason). */
  async until(type: ConditionType, status: string, reason?: string): Promise<BssPlatformStatus> {
    let last: unknown;
    try {
      return await until('the condition', LIMIT_MS, async () => {
        const platform = await this.get();
        const condition = Array.isArray(platform.status?.conditions) ? conditionOf(platform.status, type) : undefined;
        last = platform.status?.conditions;
        const current = condition?.observedGeneration === platform.metadata.generation;
        return current && condition?.status === status && (reason === undefined || condition.reason === reason) && platform.status;
      });
    } catch (error) {
      throw new Error(`${type} is not ${status} ${reason ?? ''}: ${JSON.stringify(last, null, 1)}\n${String(error)}`, { cause: error });
    }
  }

  ready(): Promise<BssPlatformStatus> {
    return this.until('Ready', 'True');
  }

  /** Of one of the platform's objects; `name` without the `a-`. */
  ref(kind: string, name: string): ObjectReference {
    return { apiVersion: API[kind] ?? 'v1', kind, name: `a-${name}`, namespace: this.namespace };
  }

  object(kind: string, name: string): Promise<KubernetesObject | undefined> {
    return this.#cluster.client.find(this.ref(kind, name));
  }

  async have(kind: string, name: string): Promise<KubernetesObject> {
    return until(`${kind} a-${name}`, LIMIT_MS, () => this.object(kind, name));
  }

  async gone(kind: string, name: string): Promise<void> {
    await until(`${kind} a-${name} to go`, LIMIT_MS, async () => (await this.object(kind, name)) === undefined);
  }

  /** Changes an object until the API server takes it. */
  edit(kind: string, name: string, patch: Record<string, unknown>): Promise<KubernetesObject> {
    return this.#cluster.client.patch(this.ref(kind, name), patch, { fieldManager: 'kubectl-edit' });
  }

  remove(kind: string, name: string): Promise<boolean> {
    return this.#cluster.client.delete(this.ref(kind, name));
  }

  /** Waits for an event of this reason whose text matches. */
  async event(reason: string, text = /./): Promise<string> {
    return until(`an event ${reason} ${text}`, LIMIT_MS, async () => {
      const { items } = await this.#cluster.client.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, { namespace: this.namespace });
      const notes = items.filter((event) => event['reason'] === reason).map((event) => String(event['note']));
      return notes.find((note) => text.test(note));
    });
  }

  /** Decoded values of the credentials. */
  async credentials(): Promise<Record<string, string>> {
    const secret = await this.have('Secret', 'credentials');
    const data = Object.entries((secret['data'] ?? {}) as Record<string, string>);
    return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  async migrationJobs(): Promise<string[]> {
    const { items } = await this.#cluster.client.list({ apiVersion: 'batch/v1', kind: 'Job' }, { namespace: this.namespace });
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.name);
  }
}

export { until };

export function isForbidden(error: unknown): boolean {
  return error instanceof KubeError && error.status === 403;
}

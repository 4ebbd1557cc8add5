/**
 * A hand that plays the controllers and the nodes on an API server that has none: it sets the status of Deployments, StatefulSets, DaemonSets and Jobs to
 * healthy, unless a test holds it back.
 */
import { MANAGED_SELECTOR } from '../ownership/ownership.ts';
import { Metrics, Reflector, referenceOf, type KubeClient, type KubernetesObject } from '../../runtime/index.ts';
import { quiet, tellOnTimeout } from '../../runtime/testing/harness.ts';

interface Workload extends KubernetesObject {
  spec?: { replicas?: number; suspend?: boolean };
  status?: Record<string, unknown>;
}

const KINDS = [
  { apiVersion: 'apps/v1', kind: 'Deployment' },
  { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  { apiVersion: 'apps/v1', kind: 'DaemonSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
];

export class Hand {
  readonly #client: KubeClient;
  readonly #reflectors: Reflector<Workload>[];
  /** Names of objects that do not become healthy. */
  readonly #withheld = new Set<string>();
  readonly #busy = new Set<string>();
  /** Newer states of objects that are busy. */
  readonly #dirty = new Map<string, Workload>();

  #forget: () => void = () => undefined;

  constructor(client: KubeClient) {
    this.#client = client;
    const options = { client, metrics: new Metrics(), logger: quiet, labelSelector: MANAGED_SELECTOR };
    this.#reflectors = KINDS.map((kind) => new Reflector<Workload>({ ...options, kind }));
    for (const reflector of this.#reflectors) reflector.subscribe(({ type, object }) => void (type !== 'deleted' && this.#tend(object)));
  }

  async start(): Promise<void> {
    this.#forget = tellOnTimeout(() => this.#state());
    for (const reflector of this.#reflectors) reflector.start();
    await Promise.all(this.#reflectors.map((reflector) => reflector.waitForSync(30_000)));
  }

  async stop(): Promise<void> {
    this.#forget();
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  /**
   * Names of objects, such as `a-kafka`, that do not become healthy from now on; changes of those that are stay without effect. `a-migrate-*`
   * stands for all whose names begin so.
   */
  withhold(...names: string[]): void {
    for (const name of names) this.#withheld.add(name);
  }

  async release(...names: string[]): Promise<void> {
    for (const name of names) this.#withheld.delete(name);
    const objects = this.#reflectors.flatMap((reflector) => [...reflector.store.values()]);
    await Promise.all(objects.map((object) => this.#tend(object)));
  }

  /** Whatever the object says now: not ready, as after a crash. */
  async fail(object: KubernetesObject): Promise<void> {
    this.withhold(object.metadata.name);
    await this.#client.patch(referenceOf(object), { status: { readyReplicas: 0, availableReplicas: 0 } }, { subresource: 'status' });
  }

  /** What it has seen of each kind, and when something arrived last. */
  #state(): string {
    const kinds = this.#reflectors.map(
      ({ kind, store, silentMs }) => `${[...store.keys()].length} ${kind.kind} (last event ${Math.round(silentMs / 1000)} s ago)`,
    );
    return `the hand knows ${kinds.join(', ')}; ${this.#busy.size} writes under way`;
  }

  #isWithheld(name: string): boolean {
    return [...this.#withheld].some((held) => (held.endsWith('*') ? name.startsWith(held.slice(0, -1)) : name === held));
  }

  /** One write at a time for each object; a change that arrives meanwhile is tended to afterwards. */
  async #tend(object: Workload): Promise<void> {
    const { name, uid = '' } = object.metadata;
    if (this.#busy.has(uid)) {
      this.#dirty.set(uid, object);
      return;
    }
    const status = statusOf(object);
    if (this.#isWithheld(name) || !differs(object.status ?? {}, status)) return;
    this.#busy.add(uid);
    // Deleted or changed meanwhile: the watch reports it.
    await this.#client.patch(referenceOf(object), { status }, { subresource: 'status' }).catch(() => undefined);
    this.#busy.delete(uid);
    const newer = this.#dirty.get(uid);
    this.#dirty.delete(uid);
    if (newer !== undefined) await this.#tend(newer);
  }
}

function statusOf(object: Workload): Record<string, unknown> {
  if (object.kind === 'Job') return jobStatus(object);
  return object.kind === 'DaemonSet' ? daemonStatus(object) : replicaStatus(object);
}

/** On a cluster of one node. */
function daemonStatus({ metadata }: Workload): Record<string, unknown> {
  const counts = { desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1 };
  return { ...counts, numberReady: 1, numberMisscheduled: 0, observedGeneration: metadata.generation };
}

function replicaStatus({ metadata, spec }: Workload): Record<string, unknown> {
  const replicas = spec?.replicas ?? 1;
  const counts = { replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas };
  return { ...counts, observedGeneration: metadata.generation };
}

function jobStatus({ spec }: Workload): Record<string, unknown> {
  if (spec?.suspend) return {};
  const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({
    type,
    status: 'True',
    lastProbeTime: at,
    lastTransitionTime: at,
  }));
  return { succeeded: 1, startTime: at, completionTime: at, uncountedTerminatedPods: {}, conditions };
}

function differs(have: Record<string, unknown>, want: Record<string, unknown>): boolean {
  if ('succeeded' in want) return have['succeeded'] !== 1;
  return Object.entries(want).some(([key, value]) => (have[key] ?? 0) !== value);
}

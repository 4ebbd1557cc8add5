/** Everything that the operator watches: platforms, what it made for them, and their pods. */
import { API_VERSION, FIELD_MANAGER, KIND } from '../api/index.ts';
import { TEMPLATE_ANNOTATION } from '../platform/index.ts';
import { keyOf, Reflector, withoutForeignManagers } from '../runtime/index.ts';
import type { Change, Clock, KubeClient, Kind, KubernetesObject, Logger, Metrics, ObjectReference } from '../runtime/index.ts';
import { INSTANCE_LABEL, MANAGED_SELECTOR, platformKeysOf, type PlatformObject } from './ownership.ts';
import type { PodObject } from './pods.ts';

/** Kinds of which a platform consists on every cluster. */
const OWNED_KINDS: Kind[] = [
  ...['ConfigMap', 'PersistentVolumeClaim', 'Secret', 'Service', 'ServiceAccount'].map((kind) => ({ apiVersion: 'v1', kind })),
  ...['Deployment', 'StatefulSet'].map((kind) => ({ apiVersion: 'apps/v1', kind })),
  { apiVersion: 'batch/v1', kind: 'Job' },
  { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  ...['Ingress', 'NetworkPolicy'].map((kind) => ({ apiVersion: 'networking.k8s.io/v1', kind })),
  ...['Role', 'RoleBinding'].map((kind) => ({ apiVersion: 'rbac.authorization.k8s.io/v1', kind })),
];
/** Kinds that a cluster serves when KEDA is installed. */
const OPTIONAL_KINDS: Kind[] = ['ScaledObject', 'TriggerAuthentication'].map((kind) => ({ apiVersion: 'keda.sh/v1alpha1', kind }));

const BY_PLATFORM = 'platform';

interface CacheOptions {
  client: KubeClient;
  metrics: Metrics;
  logger: Logger;
  clock?: Clock;
}

/** What all reflectors have in common, whatever they hold. */
interface Watching {
  readonly store: { readonly synced: boolean };
  start(): void;
  stop(): Promise<void>;
  waitForSync(timeoutMs: number): Promise<void>;
}

export class Cache {
  readonly platforms: Reflector<PlatformObject>;
  readonly pods: Reflector<PodObject>;
  readonly #owned: Map<string, Reflector>;

  private constructor(options: CacheOptions, kinds: Kind[]) {
    const platform = { kind: { apiVersion: API_VERSION, kind: KIND }, transform: withoutForeignManagers<PlatformObject>(FIELD_MANAGER) };
    this.platforms = new Reflector<PlatformObject>({ ...options, ...platform });
    const selection = { labelSelector: MANAGED_SELECTOR, indexers: { [BY_PLATFORM]: platformKeys } };
    this.pods = new Reflector<PodObject>({ ...options, ...selection, kind: { apiVersion: 'v1', kind: 'Pod' }, transform: slimPod });
    const transform = withoutForeignManagers(FIELD_MANAGER);
    this.#owned = new Map(kinds.map((kind) => [kindKey(kind), new Reflector({ ...options, ...selection, kind, transform })]));
  }

  /** A cache of every kind that the cluster serves; nothing is read yet. */
  static async create(options: CacheOptions): Promise<Cache> {
    const served = await Promise.all(OPTIONAL_KINDS.map(async (kind) => ((await options.client.serves(kind)) ? [kind] : [])));
    return new Cache(options, [...OWNED_KINDS, ...served.flat()]);
  }

  get #reflectors(): Watching[] {
    return [this.platforms, this.pods, ...this.#owned.values()];
  }

  /** Calls `handler` with the key of each platform that a change may concern. Subscribe before `start`. */
  onChange(handler: (platformKey: string) => void): void {
    this.platforms.subscribe(({ key }) => handler(key));
    const concerned = ({ object, old }: Change<KubernetesObject>) => {
      const keys = new Set([...platformKeysOf(object), ...(old === undefined ? [] : platformKeysOf(old))]);
      for (const key of keys) handler(key);
    };
    this.pods.subscribe(concerned);
    for (const reflector of this.#owned.values()) reflector.subscribe(concerned);
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  /** @throws Error when a first list takes longer than `timeoutMs` */
  async waitForSync(timeoutMs: number): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.waitForSync(timeoutMs)));
  }

  get synced(): boolean {
    return this.#reflectors.every((reflector) => reflector.store.synced);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  /** As last seen; undefined when it does not exist, has lost our label, or is of a kind that is not watched. */
  get(reference: ObjectReference): KubernetesObject | undefined {
    return this.#owned.get(kindKey(reference))?.store.get(keyOf(reference));
  }

  /** Everything that is labelled as the platform's or has it as its controller. */
  ofPlatform(platformKey: string): KubernetesObject[] {
    return [...this.#owned.values()].flatMap((reflector) => reflector.store.byIndex(BY_PLATFORM, platformKey));
  }

  podsOf(platformKey: string): PodObject[] {
    return this.pods.store.byIndex(BY_PLATFORM, platformKey);
  }
}

function platformKeys(object: KubernetesObject): string[] {
  return platformKeysOf(object);
}

function kindKey({ apiVersion, kind }: Kind): string {
  return `${apiVersion}/${kind}`;
}

/** What of a pod is judged: there are many of them. */
function slimPod(pod: PodObject): PodObject {
  const { name, namespace, uid, resourceVersion, labels = {}, annotations = {}, deletionTimestamp, creationTimestamp } = pod.metadata;
  const kept = { labels: only(KEPT_LABELS, labels), annotations: only(KEPT_ANNOTATIONS, annotations) };
  const metadata = { name, namespace, uid, resourceVersion, deletionTimestamp, creationTimestamp, ...kept };
  const { phase, reason, message, conditions, initContainerStatuses, containerStatuses } = pod.status ?? {};
  const status = { phase, reason, message, conditions, initContainerStatuses, containerStatuses };
  return { apiVersion: 'v1', kind: 'Pod', metadata: present(metadata), status: present(status) } as PodObject;
}

const KEPT_LABELS = [INSTANCE_LABEL, 'app.kubernetes.io/component', 'batch.kubernetes.io/job-name', 'controller-revision-hash'];
const KEPT_ANNOTATIONS = [TEMPLATE_ANNOTATION];

function only(keys: string[], entries: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => keys.includes(key)));
}

function present(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

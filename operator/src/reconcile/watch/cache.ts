/** Caches of what the operator watches: platforms, the objects that it created for them, and their pods. */
import { API_VERSION, FIELD_MANAGER, KIND } from '../../api/index.ts';
import { kindsWhere, TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import { keyOf, Reflectors, systemClock, withoutForeignManagers } from '../../runtime/index.ts';
import type { Change, Clock, KubeClient, Kind, KubernetesObject, Logger, Metrics, ObjectReference } from '../../runtime/index.ts';
import { INSTANCE_LABEL, MANAGED_SELECTOR, platformKeysOf, type PlatformObject } from '../ownership/ownership.ts';
import type { PodObject } from '../health/pods.ts';

/** Kinds that every cluster serves. */
const OWNED_KINDS: Kind[] = kindsWhere(({ optional }) => !optional);
/** Kinds that a cluster serves after KEDA, the Gateway API or prometheus-operator is installed. */
const OPTIONAL_KINDS: Kind[] = kindsWhere(({ optional }) => optional === true);

/** Discovery interval for kinds that the cluster does not serve: they may be installed after the operator. */
const DISCOVERY_MS = 20_000;
/** Sync timeout of a kind whose definition was just created. */
const NEW_KIND_SYNC_MS = 60_000;

const BY_PLATFORM = 'platform';
const SELECTION = { labelSelector: MANAGED_SELECTOR, indexers: { [BY_PLATFORM]: platformsOf } };

interface CacheOptions {
  client: KubeClient;
  /** Empty: all of the cluster. */
  namespaces: readonly string[];
  metrics: Metrics;
  logger: Logger;
  clock?: Clock;
}

/** The interface of all reflectors, whatever they hold. */
interface Watching {
  readonly store: { readonly synced: boolean };
  start(): void;
  stop(): Promise<void>;
  waitForSync(timeoutMs: number): Promise<void>;
}

export class Cache {
  readonly platforms: Reflectors<PlatformObject>;
  readonly pods: Reflectors<PodObject>;
  readonly #options: CacheOptions;
  readonly #owned: Map<string, Reflectors>;
  readonly #handlers: ((platformKey: string) => void)[] = [];
  /** Optional kinds that the cluster did not serve at the last discovery. */
  #missing: Kind[];
  #stopped = false;
  #cancelDiscovery: () => void = () => undefined;

  private constructor(options: CacheOptions, kinds: Kind[]) {
    this.#options = options;
    const platform = { kind: { apiVersion: API_VERSION, kind: KIND }, transform: withoutForeignManagers<PlatformObject>(FIELD_MANAGER) };
    this.platforms = new Reflectors<PlatformObject>({ ...options, ...platform }, options.namespaces);
    this.platforms.subscribe(({ key }) => this.#notify([key]));
    this.pods = new Reflectors<PodObject>(
      { ...options, ...SELECTION, kind: { apiVersion: 'v1', kind: 'Pod' }, transform: slimPod },
      options.namespaces,
    );
    this.pods.subscribe((change) => this.#changed(change));
    this.#owned = new Map(kinds.map((kind) => [kindKey(kind), this.#reflector(kind)]));
    this.#missing = OPTIONAL_KINDS.filter((kind) => !this.#owned.has(kindKey(kind)));
  }

  /** A cache of every kind that the cluster serves. Reads nothing before `start`; watches optional kinds once the cluster serves them. */
  static async create(options: CacheOptions): Promise<Cache> {
    const served = await Promise.all(OPTIONAL_KINDS.map(async (kind) => ((await options.client.serves(kind)) ? [kind] : [])));
    return new Cache(options, [...OWNED_KINDS, ...served.flat()]);
  }

  get #reflectors(): Watching[] {
    return [this.platforms, this.pods, ...this.#owned.values()];
  }

  #reflector(kind: Kind): Reflectors {
    const options = { ...this.#options, ...SELECTION, kind, transform: withoutForeignManagers(FIELD_MANAGER) };
    const reflector = new Reflectors(options, this.#options.namespaces);
    reflector.subscribe((change) => this.#changed(change));
    return reflector;
  }

  /** Calls `handler` with the key of each platform that a change may concern. Subscribe before `start`. */
  onChange(handler: (platformKey: string) => void): void {
    this.#handlers.push(handler);
  }

  #changed({ object, old }: Change<KubernetesObject>): void {
    this.#notify(new Set([...platformKeysOf(object), ...(old === undefined ? [] : platformKeysOf(old))]));
  }

  #notify(platformKeys: Iterable<string>): void {
    for (const key of platformKeys) for (const handler of this.#handlers) handler(key);
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
    this.#scheduleDiscovery();
  }

  #scheduleDiscovery(): void {
    if (this.#missing.length === 0 || this.#stopped) return;
    const { clock = systemClock } = this.#options;
    this.#cancelDiscovery = clock.after(DISCOVERY_MS, () => void this.#discoverMissing().finally(() => this.#scheduleDiscovery()));
  }

  /** Watches missing kinds that the cluster now serves. Never rejects. */
  async #discoverMissing(): Promise<void> {
    const { client, logger } = this.#options;
    for (const kind of this.#missing) {
      try {
        if (await client.serves(kind)) await this.#watchKind(kind);
      } catch (error) {
        logger.warn({ error, kind: kind.kind }, 'discovery of an optional kind failed');
      }
    }
    this.#missing = this.#missing.filter((kind) => !this.#owned.has(kindKey(kind)));
  }

  async #watchKind(kind: Kind): Promise<void> {
    if (this.#stopped) return;
    const reflector = this.#reflector(kind);
    this.#owned.set(kindKey(kind), reflector);
    reflector.start();
    this.#options.logger.info({ kind: kind.kind }, 'watching a newly served kind');
    await reflector.waitForSync(NEW_KIND_SYNC_MS);
    // Platforms that use this kind were refused until now.
    this.#notify(this.platforms.store.keys());
  }

  /** @throws Error when a first list takes longer than `timeoutMs` */
  async waitForSync(timeoutMs: number): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.waitForSync(timeoutMs)));
  }

  get synced(): boolean {
    return this.#reflectors.every((reflector) => reflector.store.synced);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelDiscovery();
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }

  /** Undefined when the object does not exist, has lost the operator's label, or its kind is not watched. */
  get(reference: ObjectReference): KubernetesObject | undefined {
    return this.#owned.get(kindKey(reference))?.store.get(keyOf(reference));
  }

  /** False for a kind that the cluster does not serve. */
  serves(kind: Kind): boolean {
    return this.#owned.has(kindKey(kind));
  }

  /** All objects with the labels of the platform or with the platform as controller. */
  ofPlatform(platformKey: string): KubernetesObject[] {
    return [...this.#owned.values()].flatMap((reflector) => reflector.store.byIndex(BY_PLATFORM, platformKey));
  }

  podsOf(platformKey: string): PodObject[] {
    return this.pods.store.byIndex(BY_PLATFORM, platformKey);
  }
}

function platformsOf(object: KubernetesObject): string[] {
  return platformKeysOf(object);
}

function kindKey({ apiVersion, kind }: Kind): string {
  return `${apiVersion}/${kind}`;
}

/** Keeps only the fields that health needs: there are many pods. */
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

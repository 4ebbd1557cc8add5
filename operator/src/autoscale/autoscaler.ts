/** The loop: looks at every group of every platform, decides and acts. */
import { Connections } from './connections.ts';
import type { Lease } from './connections.ts';
import { Group } from './group.ts';
import type { ClusterView } from './group.ts';
import { SAMPLE_SECONDS } from './policy.ts';
import type { Suspect } from './probe.ts';
import { RECORDING_VERSION } from './recording.ts';
import type { Recording } from './recording.ts';
import type { GroupReading } from './sampler.ts';
import { DEPLOYMENT } from './types.ts';
import type {
  ConsumerGroupStatus,
  Decision,
  DeploymentView,
  KafkaConnection,
  Problem,
  ScaleClient,
  ScaleEvent,
  ScaleTarget,
} from './types.ts';

export interface AutoscalerDeps {
  scale: ScaleClient;
  /** Called when a group's situation changed (replicas, reason, problems), not when only figures did. */
  onChange?: (platformKey: string) => void;
  /** Called when something happened that is worth a Kubernetes event. */
  onEvent?: (platformKey: string, event: ScaleEvent) => void;
  log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>) => void;
  /** Epoch milliseconds. */
  now?: () => number;
}

/** How often HPAs and ScaledObjects are looked for, seconds. */
const RIVALS_SECONDS = 15;
/** Asking the API server about one Deployment takes no longer, milliseconds. */
const CLUSTER_LIMIT_MS = 4000;
const GOLDEN = 0.618_034;

interface Platform {
  key: string;
  kafka: KafkaConnection;
  connection: Lease;
  groups: Map<string, Group>;
  rivals: Map<string, { at: number; names: readonly string[] }>;
  timer: NodeJS.Timeout | null;
  /** The look under way. */
  busy: Promise<void> | null;
  probing: boolean;
  removed: boolean;
  /** Offset of its samples, so that the platforms are not all sampled in the same moment. */
  phaseMs: number;
}

/** Samples and scales the consumer groups of any number of platforms and ConsumerAutoscalers. Not one of its methods throws. */
export class Autoscaler {
  readonly #deps: AutoscalerDeps;
  readonly #platforms = new Map<string, Platform>();
  readonly #connections = new Connections();
  #running = false;
  #added = 0;
  /** When it was started first; nothing older is remembered. */
  #since: number | null = null;

  constructor(deps: AutoscalerDeps) {
    this.#deps = deps;
  }

  /** Begins sampling at once; platforms may be set before or after. */
  start(): void {
    this.#running = true;
    this.#since ??= this.#now();
    for (const platform of this.#platforms.values()) this.#schedule(platform, platform.phaseMs);
  }

  /** Ends all sampling and closes every connection, for good. What was learnt stays in the snapshots. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all([...this.#platforms.values()].map(async (platform) => release(platform)));
  }

  /** Replaces the groups of a platform. Groups that stay keep what was learnt; calling it again with the same values changes nothing. */
  setTargets(platformKey: string, targets: ScaleTarget[], kafka: KafkaConnection): void {
    const platform = this.#platforms.get(platformKey) ?? this.#add(platformKey, kafka);
    if (JSON.stringify(platform.kafka) !== JSON.stringify(kafka)) {
      const before = platform.connection;
      platform.kafka = kafka;
      platform.connection = this.#connections.lease(namespaceOf(platformKey), kafka);
      void before.release();
    }
    const before = platform.groups;
    platform.groups = new Map(targets.map((target) => [target.group, keptOrNew(before.get(target.group), target)]));
  }

  /** Forgets a platform and closes its connection. */
  remove(platformKey: string): void {
    const platform = this.#platforms.get(platformKey);
    if (platform === undefined) return;
    this.#platforms.delete(platformKey);
    platform.removed = true;
    void release(platform);
  }

  /** The groups of a platform as last seen, in the order of `setTargets`; empty for an unknown platform. */
  snapshot(platformKey: string): ConsumerGroupStatus[] {
    return [...(this.#platforms.get(platformKey)?.groups.values() ?? [])].map((group) => group.status());
  }

  /** The decisions of every group of a platform, as far as they are remembered; undefined for an unknown platform. */
  recording(platformKey: string): Recording | undefined {
    const platform = this.#platforms.get(platformKey);
    if (platform === undefined) return undefined;
    const groups = [...platform.groups.values()].map((group) => group.recording());
    return { version: RECORDING_VERSION, platform: platformKey, since: this.#since ?? this.#now(), groups };
  }

  #add(key: string, kafka: KafkaConnection): Platform {
    const platform: Platform = {
      key,
      kafka,
      connection: this.#connections.lease(namespaceOf(key), kafka),
      groups: new Map(),
      rivals: new Map(),
      timer: null,
      busy: null,
      probing: false,
      removed: false,
      phaseMs: phaseOf(this.#added++),
    };
    this.#platforms.set(key, platform);
    if (this.#running) this.#schedule(platform, platform.phaseMs);
    return platform;
  }

  #schedule(platform: Platform, delayMs: number): void {
    if (!this.#running || platform.removed) return;
    platform.timer = setTimeout(() => {
      platform.busy = this.#lookAndSchedule(platform);
    }, delayMs);
  }

  async #lookAndSchedule(platform: Platform): Promise<void> {
    const begun = this.#now();
    let next = SAMPLE_SECONDS;
    try {
      next = await this.#look(platform);
    } catch (error) {
      this.#log('error', 'sampling the consumer groups failed', { platform: platform.key, error: messageOf(error) });
    }
    platform.busy = null;
    this.#schedule(platform, Math.max(0, next * 1000 - (this.#now() - begun)));
  }

  /** One look at all groups; the seconds until the next. */
  async #look(platform: Platform): Promise<number> {
    const groups = [...platform.groups.values()];
    if (groups.length === 0) return SAMPLE_SECONDS;
    const queries = groups.map(({ target }) => ({ group: target.group, topics: target.topics }));
    const [readings, views] = await Promise.all([
      platform.connection.sampler.read(queries),
      Promise.all(groups.map(async (group) => this.#clusterView(platform, group.target))),
    ]);
    const at = this.#now();
    let changed = false;
    let next = SAMPLE_SECONDS;
    // Brokers that do not answer for any group are asked again soon; one group's trouble must not have all of them sampled more often.
    const away = [...readings.values()].every((reading) => !reading.ok);
    for (const [index, group] of groups.entries()) {
      const view = views[index] ?? { deployment: null, rivals: [] };
      if (platform.removed || platform.groups.get(group.target.group) !== group) continue;
      const before = group.fingerprint();
      const seconds = await this.#stepAlone(platform, group, at, readings.get(group.target.group), view);
      if (away || readings.get(group.target.group)?.ok === true) next = Math.min(next, seconds);
      changed ||= before !== group.fingerprint();
    }
    if (changed) this.#deps.onChange?.(platform.key);
    this.#probe(platform, groups);
    return next;
  }

  /** One probe at a time, beside the looks. */
  #probe(platform: Platform, groups: readonly Group[]): void {
    if (platform.probing) return;
    for (const group of groups) {
      const suspects = group.suspects();
      if (suspects.length === 0) continue;
      platform.probing = true;
      void this.#probeGroup(platform, group, suspects);
      return;
    }
  }

  async #probeGroup(platform: Platform, group: Group, suspects: readonly Suspect[]): Promise<void> {
    try {
      const empty = await platform.connection.sampler.probe(suspects);
      group.foundEmpty(empty, suspects);
      const fields = { platform: platform.key, group: group.target.group, asked: suspects.length, empty: empty.size };
      this.#log('info', 'checked whether a record can be read in a lag that does not change', fields);
    } catch (error) {
      this.#log('warn', 'cannot check whether a record can be read', { platform: platform.key, error: messageOf(error) });
    } finally {
      platform.probing = false;
    }
  }

  /** One group's failure is its own: the others are decided on all the same. Seconds until its next sample. */
  async #stepAlone(platform: Platform, group: Group, at: number, reading: GroupReading | undefined, view: ClusterView): Promise<number> {
    try {
      return (await this.#stepGroup(platform, group, at, reading, view)).next ?? SAMPLE_SECONDS;
    } catch (error) {
      const fields = { platform: platform.key, group: group.target.group, error: messageOf(error) };
      this.#log('error', 'deciding on a consumer group failed', fields);
      return SAMPLE_SECONDS;
    }
  }

  async #stepGroup(platform: Platform, group: Group, at: number, reading: GroupReading | undefined, view: ClusterView): Promise<Decision> {
    const known = new Set(group.problems.map(({ type }) => type));
    const decision = group.step(at, reading ?? { ok: false, reason: 'BrokerAway', message: 'not read' }, view);
    for (const problem of group.problems) if (!known.has(problem.type)) this.#warn(platform, group.target, problem);
    if (view.deployment !== null && decision.replicas !== view.deployment.replicas && group.mayAct(view)) {
      await this.#act(platform, group, view.deployment, decision);
    }
    return decision;
  }

  async #act(platform: Platform, group: Group, deployment: DeploymentView, decision: Decision): Promise<void> {
    const { target } = group;
    try {
      await limited(this.#deps.scale.setReplicas(target.namespace, target.deployment, decision.replicas, target.kind));
      group.scaled(this.#now(), deployment.replicas, decision.replicas);
      const reason = decision.replicas > deployment.replicas ? 'ScaledUp' : 'ScaledDown';
      this.#event(platform, target, 'Normal', reason, `${target.group} ${decision.message}`);
      this.#log('info', 'scaled', {
        platform: platform.key,
        group: target.group,
        from: deployment.replicas,
        to: decision.replicas,
        ...decision.inputs,
      });
    } catch (error) {
      group.failed(deployment.replicas, messageOf(error), error instanceof NoAnswer ? decision.replicas : null);
      this.#warn(platform, target, { type: 'ScaleFailed', message: messageOf(error) });
    }
  }

  async #clusterView(platform: Platform, target: ScaleTarget): Promise<ClusterView> {
    const rivals = await this.#rivals(platform, target);
    try {
      return { deployment: await limited(this.#deps.scale.read(target.namespace, target.deployment, target.kind)), ...rivals };
    } catch (error) {
      return { deployment: null, ...rivals, failure: messageOf(error) };
    }
  }

  /** Listed every RIVALS_SECONDS. When they cannot be read the last answer stands; without one it is not known. */
  async #rivals(platform: Platform, target: ScaleTarget): Promise<Pick<ClusterView, 'rivals' | 'rivalsUnknown'>> {
    const { kind = DEPLOYMENT, rivals: told = [] } = target;
    const key = `${kind.kind} ${target.namespace}/${target.deployment}`;
    const held = platform.rivals.get(key);
    if (target.policy.mode !== 'builtin') return { rivals: [] };
    const all = (listed: readonly string[]) => ({ rivals: [...new Set([...told, ...listed])] });
    if (held !== undefined && this.#now() - held.at < RIVALS_SECONDS * 1000) return all(held.names);
    try {
      const names = await limited(this.#deps.scale.rivals(target.namespace, target.deployment, target.kind));
      platform.rivals.set(key, { at: this.#now(), names });
      return all(names);
    } catch (error) {
      this.#log('warn', 'cannot list other scalers', { platform: platform.key, object: key, error: messageOf(error) });
      if (held !== undefined) return all(held.names);
      const rivalsUnknown = `other scalers of ${key} are not known, so its replicas stay as they are: ${messageOf(error)}`;
      return { ...all([]), rivalsUnknown };
    }
  }

  #warn(platform: Platform, target: ScaleTarget, problem: Problem): void {
    this.#event(platform, target, 'Warning', problem.type, `${target.group}: ${problem.message}`);
    this.#log('warn', problem.message, { platform: platform.key, group: target.group, problem: problem.type });
  }

  #event(platform: Platform, target: ScaleTarget, type: ScaleEvent['type'], reason: string, message: string): void {
    this.#deps.onEvent?.(platform.key, {
      type,
      reason,
      message,
      group: target.group,
      namespace: target.namespace,
      deployment: target.deployment,
    });
  }

  #log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void {
    this.#deps.log?.(level, message, fields);
  }

  #now(): number {
    return this.#deps.now?.() ?? Date.now();
  }
}

/** A group whose topics or scaled object changed is another group; a changed policy alone keeps what was learnt. */
function keptOrNew(group: Group | undefined, target: ScaleTarget): Group {
  if (group === undefined || identity(group.target) !== identity(target)) return new Group(target);
  group.target = target;
  return group;
}

function identity({ topics, namespace, deployment, kind = DEPLOYMENT }: ScaleTarget): string {
  return JSON.stringify([topics, namespace, deployment, kind.apiVersion, kind.kind]);
}

/** Keys begin with the namespace. */
function namespaceOf(key: string): string {
  return key.split('/', 1)[0] ?? '';
}

async function release(platform: Platform): Promise<void> {
  if (platform.timer !== null) clearTimeout(platform.timer);
  platform.timer = null;
  await platform.connection.release();
  await platform.busy;
}

/** Golden section: however many platforms there are, their samples are spread evenly. The first is sampled at once. */
function phaseOf(number: number): number {
  return Math.round(((number * GOLDEN) % 1) * SAMPLE_SECONDS * 1000);
}

/** The API server did not answer in time; it may still do what it was asked to. */
class NoAnswer extends Error {}

async function limited<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new NoAnswer(`the API server did not answer within ${CLUSTER_LIMIT_MS / 1000} s`));
  }, CLUSTER_LIMIT_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

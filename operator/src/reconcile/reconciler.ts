/**
 * One pass over one platform. It is level-based: whatever event triggered it, it compares the complete desired state with the complete live state and
 * acts on the difference. It is idempotent; on a settled platform it writes nothing.
 */
import type { Problem } from '../api/index.ts';
import type { Autoscaler } from '../autoscale/index.ts';
import {
  adviseSpec,
  type BssPlatformSpec,
  buildPlatform,
  type Component,
  type Credentials,
  credentialsName,
  endpoints,
  isRotating,
  kafkaAccess,
  parseSpec,
  type PlatformInput,
  refused,
  requestOf,
  referencedSecrets,
  secretUses,
  slotsOf,
} from '../platform/index.ts';
import type { Applier, Clock, EventRecorder, KubeClient, Reconcile, ReconcileContext, ReconcileResult } from '../runtime/index.ts';
import type { AlertReader } from './alerts/alert-reader.ts';
import { hasAlerts, type AlertStatus } from './alerts/alert-status.ts';
import type { Cache } from './watch/cache.ts';
import { CredentialsTakenError, decode, ensureCredentials, finishRotation, type SecretObject } from './credentials/credentials.ts';
import { DriftGuard, REFILL_MS } from './apply/drift-guard.ts';
import type { EventReason } from './status/events.ts';
import { ensureFinalizer, finalize } from './prune/finalize.ts';
import { nextGroups } from './scaling/groups.ts';
import { entryKey, entryOf, sortedInventory, undesired, desiredEntries, type InventoryEntry } from './ownership/inventory.ts';
import { kafkaConnection } from './topics/kafka.ts';
import type { ActedOutcome, ComponentState, Outcome, RotationState } from './status/outcome.ts';
import { servedComponents, type Served } from './watch/optional.ts';
import { ownershipOf } from './ownership/ownership.ts';
import type { Pass } from './pass.ts';
import type { Planner } from './plan/planner.ts';
import { podSecurity } from './pod-security.ts';
import { prune } from './prune/prune.ts';
import { usersOfFormerCredentials } from './credentials/rotation.ts';
import type { Claims } from './scaling/claims.ts';
import { scale } from './scaling/scaling.ts';
import type { SecretWatch } from './watch/secret-watch.ts';
import { readSecrets, SecretValues } from './credentials/secrets.ts';
import { StatusWriter } from './status/status-writer.ts';
import type { TopicKeeper, TopicsState } from './topics/topics.ts';
import { unstick } from './apply/unstick.ts';
import { observe, walk, type Task } from './apply/walk.ts';

export interface ReconcilerOptions {
  cache: Cache;
  /** Fenced. */
  client: KubeClient;
  applier: Applier;
  recorder: EventRecorder;
  autoscaler: Autoscaler;
  claims: Claims;
  topics: TopicKeeper;
  alerts: AlertReader;
  /** Watches Secrets that users own. */
  secrets: SecretWatch;
  planner: Planner;
  status: StatusWriter;
  clock: Clock;
  /** Namespace of the operator pods, which network policies admit. */
  operatorNamespace: string;
}

/** Resync of a settled platform, for changes that no watch reports. */
const RESYNC_MS = 10 * 60_000;
/** Requeue interval while a component is unhealthy or held: a pod that exceeds its start deadline causes no watch event. */
const PENDING_MS = 15_000;
/** Retry interval after the API server refused a manifest: a policy or quota may change. */
const REFUSED_MS = 30_000;
/** Requeue interval while the namespace refuses components: no watch reports a change of its labels. */
const REFUSED_BY_NAMESPACE_MS = 60_000;
const DELETING_MS = 1_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** Last seen credentials of each platform. When a key is deleted, it is restored from here, because the stores still use it. */
  readonly #credentials = new Map<string, Credentials>();
  readonly #guards = new Map<string, DriftGuard>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  readonly reconcile: Reconcile = async (context) => {
    const platform = this.#options.cache.platforms.store.get(context.key);
    if (platform === undefined) return this.#forget(context.key);
    const pass = this.#begin(context, this.#options.status.withStatus(platform));
    if (platform.metadata.deletionTimestamp !== undefined) return this.#delete(pass);
    await ensureFinalizer(pass);
    const parsed = parseSpec(platform.spec);
    if (!parsed.ok) return this.#reject(pass, parsed.problems);
    const { spec } = parsed;
    return spec.paused ? this.#pause(pass, spec) : this.#act(pass, spec);
  };

  /** True when the figures of consumer groups differ enough from those in status to update it. */
  figuresMoved(key: string): boolean {
    const platform = this.#options.cache.platforms.store.get(key);
    const seen = this.#options.autoscaler.snapshot(key);
    if (platform === undefined || seen.length === 0) return false;
    const shown = this.#options.status.withStatus(platform).status?.consumerGroups ?? [];
    return JSON.stringify(nextGroups(shown, seen)) !== JSON.stringify(shown);
  }

  #begin({ key, logger, signal }: ReconcileContext, platform: Pass['platform']): Pass {
    const { cache, client, applier, recorder, clock } = this.#options;
    const publish = (type: 'Normal' | 'Warning', reason: EventReason, message: string) =>
      recorder.record(platform, { type, reason, message });
    const guard = this.#guards.get(key) ?? new DriftGuard(clock);
    this.#guards.set(key, guard);
    return {
      key,
      platform,
      cache,
      client,
      applier,
      guard,
      contested: new Set(),
      remarks: new Set(),
      publish,
      logger,
      signal,
      now: clock.now(),
    };
  }

  #forget(key: string): void {
    this.#options.autoscaler.remove(key);
    this.#options.topics.remove(key);
    this.#options.alerts.remove(key);
    this.#options.secrets.forget(key);
    this.#options.planner.forget(key);
    this.#options.status.forget(key);
    this.#credentials.delete(key);
    this.#guards.delete(key);
  }

  async #delete(pass: Pass): Promise<ReconcileResult | void> {
    this.#options.autoscaler.remove(pass.key);
    this.#options.alerts.remove(pass.key);
    const waitingFor = await finalize(pass);
    if (waitingFor === undefined) return;
    await this.#options.status.write(pass, { type: 'deleting', generation: generationOf(pass), message: `waits for ${waitingFor}` });
    return { requeueAfterMs: DELETING_MS };
  }

  /** The last applied spec stays in effect. */
  async #reject(pass: Pass, problems: Problem[]): Promise<ReconcileResult> {
    const alerts = this.#options.alerts.seen(pass.key);
    return { requeueAfterMs: await this.#conclude(pass, { type: 'invalid', generation: generationOf(pass), problems, alerts }) };
  }

  async #pause(pass: Pass, spec: BssPlatformSpec): Promise<ReconcileResult> {
    this.#options.autoscaler.remove(pass.key);
    const values = decode(this.#credentialsSecret(pass)?.data ?? {});
    const bare = { ...this.#input(pass, spec, values), ...(await security(pass)) };
    const secrets = await this.#readSecrets(pass, bare, values);
    const input = { ...bare, secretHashes: secrets.hashes(secretUses(bare)) };
    const built = await build(pass, input);
    if (!('components' in built)) return this.#reject(pass, [built]);
    const components = observe(pass, built.components);
    const outcome = {
      ...facts(input, built.warnings),
      components,
      alerts: this.#alerts(pass, input, components),
      rotation: rotationState(values),
      missingSecrets: missingSecrets(bare, secrets),
      topicDifferences: undefined,
      groups: undefined,
      inventory: undefined,
    };
    return { requeueAfterMs: await this.#conclude(pass, { ...outcome, type: 'paused', generation: generationOf(pass) }) };
  }

  async #act(pass: Pass, spec: BssPlatformSpec): Promise<ReconcileResult> {
    const secrets = await this.#secrets(pass, spec);
    if (!(secrets instanceof SecretValues)) return this.#reject(pass, [secrets]);
    const bare = { ...this.#input(pass, spec, this.#credentials.get(pass.key)), ...(await security(pass)) };
    const input = { ...bare, secretHashes: secrets.hashes(secretUses(bare)) };
    const built = await build(pass, input);
    if (!('components' in built)) return this.#reject(pass, [built]);
    const outcome = await this.#converge(pass, input, built, secrets);
    const requeueAfterMs = await this.#conclude(pass, outcome);
    const refusedMs = refused(input).length > 0 ? REFUSED_BY_NAMESPACE_MS : RESYNC_MS;
    return { requeueAfterMs: Math.min(requeueAfterMs, requeueMs(pass, outcome), this.#topicsMs(pass, outcome), refusedMs) };
  }

  /** Writes status, including the requested plan. @returns milliseconds after which to requeue */
  async #conclude(pass: Pass, outcome: Exclude<Outcome, { type: 'deleting' }>): Promise<number> {
    const { plan, requeueAfterMs } = await this.#options.planner.plan(pass);
    const throttledMs = await this.#options.status.write(pass, outcome, plan);
    return Math.min(throttledMs ?? RESYNC_MS, requeueAfterMs, RESYNC_MS);
  }

  /** Prunes what must go first, applies the components in order, prunes the rest, sets the scale targets. */
  async #converge(pass: Pass, input: PlatformInput, { components, warnings }: Served, secrets: SecretValues): Promise<ActedOutcome> {
    const { spec } = input;
    const created = [...(pass.platform.status?.inventory ?? []), ...ownObjects(pass)];
    const wanted = desiredEntries(components);
    const obsolete = undesired(created, [...wanted, credentialsEntry(input)]);
    const undeleted = await prune(pass, obsolete.first);

    const kafka = kafkaConnection(kafkaAccess(input), (name, key) => secrets.get(name, key));
    const topics = this.#topicsTask(pass, spec, kafka);
    const { states, settled } = await walk(pass, components, spec.hibernate ? [] : [topics.task], spec.hibernate);
    await unstick(pass, components, states);
    const remaining = settled ? await prune(pass, obsolete.last) : obsolete.last;
    const rotation = {
      ...rotationState(this.#credentials.get(pass.key)),
      waitsFor: usersOfFormerCredentials(components, states, pass.cache.podsOf(pass.key)),
    };
    // A suspended migration Job counts as healthy but has not updated the database.
    if (rotation.underWay && !spec.hibernate && rotation.waitsFor.length === 0) await this.#finishRotation(pass);

    return {
      ...facts(input, [...warnings, ...[...pass.remarks].toSorted()], [...pass.contested]),
      type: 'acted',
      generation: generationOf(pass),
      components: states,
      alerts: this.#alerts(pass, input, states),
      rotation,
      missingSecrets: missingSecrets(input, secrets),
      topicDifferences: topics.state()?.differences,
      groups: scale(pass, this.#options, input, kafka.connection, areHeld(components, states)),
      inventory: sortedInventory([...wanted.filter((entry) => isCreated(pass, entry, created)), ...undeleted, ...remaining]),
    };
  }

  /** Removes the former passwords; the change of the Secret triggers the rest of the rotation. */
  async #finishRotation(pass: Pass): Promise<void> {
    const [secret, values] = [this.#credentialsSecret(pass), this.#credentials.get(pass.key)];
    if (secret === undefined || values === undefined) return;
    this.#credentials.set(pass.key, await finishRotation(secret, values, pass));
  }

  #input(pass: Pass, spec: BssPlatformSpec, credentials: Credentials = {}): PlatformInput {
    const { name, namespace, uid } = pass.platform.metadata;
    const { operatorNamespace } = this.#options;
    const base = { name, namespace, spec, operatorNamespace, secretHashes: {}, slots: slotsOf(credentials) };
    return uid === undefined ? base : { ...base, uid };
  }

  /** The values of all Secrets that the platform uses; a problem when its credentials Secret cannot be created. */
  async #secrets(pass: Pass, spec: BssPlatformSpec): Promise<SecretValues | Problem> {
    const input = this.#input(pass, spec);
    try {
      const values = await ensureCredentials(
        pass.platform,
        spec,
        this.#credentialsSecret(pass),
        this.#credentials.get(pass.key) ?? {},
        pass,
      );
      this.#credentials.set(pass.key, values);
      return await this.#readSecrets(pass, input, values);
    } catch (error) {
      if (error instanceof CredentialsTakenError) return { path: 'metadata.name', message: `${error.message}: choose another name` };
      throw error;
    }
  }

  /** Starts the watch of the users' Secrets before it reads them, so that no change is missed. @param values of the credentials Secret */
  #readSecrets(pass: Pass, input: PlatformInput, values: Credentials): Promise<SecretValues> {
    const own = credentialsName(input);
    const foreign = referencedSecrets(input).flatMap(({ name }) => (name === own ? [] : [name]));
    this.#options.secrets.track(
      pass.key,
      foreign.map((name) => `${input.namespace}/${name}`),
    );
    const { client, signal } = pass;
    return readSecrets({ client, signal, namespace: input.namespace }, foreign, [{ name: own, values }]);
  }

  #credentialsSecret({ cache, platform: { metadata } }: Pass): SecretObject | undefined {
    const { namespace } = metadata;
    return cache.get({ apiVersion: 'v1', kind: 'Secret', name: credentialsName(metadata), namespace });
  }

  #topicsTask(
    pass: Pass,
    spec: BssPlatformSpec,
    kafka: ReturnType<typeof kafkaConnection>,
  ): { task: Task; state: () => TopicsState | undefined } {
    let state: TopicsState | undefined;
    const ensure = () => {
      if (kafka.connection === undefined)
        return { healthy: false, failing: true, ready: 0, desired: spec.topics.length, message: kafka.missing.join('; ') };
      state = this.#options.topics.ensure(pass.key, kafka.connection, spec.topics, topicsWereSettled(pass, spec));
      return state.health;
    };
    return { task: { name: TOPICS, kind: 'KafkaTopics', stage: 'setup', ensure }, state: () => state };
  }

  /** The alerts at the last read. Reading starts once Prometheus is healthy, and continues when it no longer is. */
  #alerts({ key, platform: { status } }: Pass, input: PlatformInput, states: ComponentState[]): AlertStatus | undefined {
    const { alerts } = this.#options;
    const address = (name: string) => endpoints(input).find((endpoint) => endpoint.name === name)?.address;
    const prometheus = address('prometheus');
    if (prometheus === undefined || !hasAlerts(input.spec)) {
      alerts.remove(key);
      return undefined;
    }
    const started = status?.alerts !== undefined || states.some(({ name, health }) => name === 'prometheus' && health.healthy);
    return started ? alerts.watch(key, { prometheus, alertmanager: address('alertmanager') }) : undefined;
  }

  /** Milliseconds until the next check of the topics; held topics are not checked. */
  #topicsMs(pass: Pass, { components }: ActedOutcome): number {
    const ensured = components.some(({ name, state }) => name === TOPICS && state === 'applied');
    return ensured ? Math.max(1000, this.#options.topics.nextCheckMs(pass.key)) : RESYNC_MS;
  }
}

/** Name of the topics among the components in status. */
const TOPICS = 'topics';

/** True when status is about the current generation and reports all topics as ready. */
function topicsWereSettled({ platform: { status, metadata } }: Pass, { topics }: BssPlatformSpec): boolean {
  const shown = status?.components?.find(({ name }) => name === TOPICS);
  return status?.observedGeneration === metadata.generation && shown?.ready === topics.length && shown.desired === topics.length;
}

function rotationState(values: Credentials = {}): RotationState {
  return { underWay: isRotating(values), request: requestOf(values), waitsFor: [] };
}

function generationOf({ platform }: Pass): number {
  return platform.metadata.generation ?? 0;
}

function security({ client, platform, signal }: Pass): Promise<{ podSecurity?: string }> {
  return podSecurity(client, platform.metadata.namespace, { signal });
}

/** The components without the kinds that the cluster does not serve; a problem when the builders fail on a spec that the schema admits. */
async function build(pass: Pass, input: PlatformInput): Promise<Served | Problem> {
  try {
    return await servedComponents(buildPlatform(input), (kind) => pass.cache.serves(kind));
  } catch (error) {
    pass.logger.error({ error }, 'cannot build the manifests');
    return {
      path: 'spec',
      message: `the operator cannot build manifests from it: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

/** Of the Secrets that users own; the operator creates the credentials Secret itself. */
function missingSecrets(input: Omit<PlatformInput, 'secretHashes'>, secrets: SecretValues): string[] {
  const users = referencedSecrets(input).filter(({ name }) => name !== credentialsName(input));
  return secrets.missing(users).map(({ what, remedy }) => `${what}: ${remedy}`);
}

function facts(
  input: PlatformInput,
  warnings: string[],
  contested: string[] = [],
): Pick<ActedOutcome, 'spec' | 'warnings' | 'endpoints' | 'secretName'> {
  return {
    spec: input.spec,
    warnings: [
      ...adviseSpec(input.spec).map(({ path, message }) => `${path}: ${message}`),
      ...refused(input).map(({ path, what, remedy }) => `${path}: ${what}: ${remedy}`),
      ...warnings,
      ...contested
        .toSorted()
        .map(
          (name) => `${name}: another client keeps changing it, and the operator keeps correcting the drift: see the DriftCorrected events`,
        ),
    ],
    endpoints: endpoints(input),
    secretName: credentialsName(input),
  };
}

/** Objects that the platform owns but that may be missing in the inventory: created just before a crash, before status was written. */
function ownObjects(pass: Pass): InventoryEntry[] {
  return pass.cache
    .ofPlatform(pass.key)
    .filter((object) => ownershipOf(pass.platform, object) === 'ours')
    .map((object) => entryOf(object));
}

function credentialsEntry(input: PlatformInput): InventoryEntry {
  return { apiVersion: 'v1', kind: 'Secret', name: credentialsName(input) };
}

/** A held object does not exist yet and is not in the inventory. */
function isCreated({ cache, platform }: Pass, entry: InventoryEntry, created: InventoryEntry[]): boolean {
  const known = created.some((one) => entryKey(one) === entryKey(entry));
  return known || cache.get({ ...entry, namespace: platform.metadata.namespace }) !== undefined;
}

/** True when a workload is held. */
function areHeld(components: Component[], states: ComponentState[]): boolean {
  const workloads = new Set(components.filter(({ stage }) => stage === 'workloads').map(({ name }) => name));
  return states.some(({ name, state }) => workloads.has(name) && state === 'held');
}

function requeueMs({ contested }: Pass, { components }: ActedOutcome): number {
  if (contested.size > 0) return REFILL_MS;
  if (components.some(({ state }) => state === 'refused')) return REFUSED_MS;
  if (components.some(({ state, health }) => state === 'held' || !health.healthy)) return PENDING_MS;
  return RESYNC_MS;
}

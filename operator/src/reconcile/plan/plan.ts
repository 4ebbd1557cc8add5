/** The changes that another spec would cause, found by server-side dry runs: for `bss plan` and for the plan in status. */
import { FIELD_MANAGER } from '../../api/index.ts';
import {
  adviseSpec,
  refused,
  type BssPlatformSpec,
  buildPlatform,
  credentialsName,
  FIRST_SLOT,
  HASH_ANNOTATION,
  secretUses,
  slotsOf,
} from '../../platform/index.ts';
import type { Component, PlatformInput } from '../../platform/index.ts';
import { Applier, KubeError, Metrics, referenceOf, type CallOptions, type KubeClient, type KubernetesObject } from '../../runtime/index.ts';
import { remedyFor } from '../apply/apply.ts';
import { decode, type SecretObject } from '../credentials/credentials.ts';
import { desiredEntries, undesired } from '../ownership/inventory.ts';
import { servedComponents } from '../watch/optional.ts';
import { ownershipOf, type PlatformObject } from '../ownership/ownership.ts';
import type { PlannedChange } from './planned.ts';
import { podSecurity } from '../pod-security.ts';
import { isKept } from '../prune/prune.ts';
import { enlargement, withoutShrinking } from '../apply/volumes.ts';
import { restartReasons } from '../apply/restart.ts';
import { SecretValues } from '../credentials/secrets.ts';
import { readStatus } from '../status/status.ts';
import { settleAll } from '../settle-all.ts';

/** A platform with a proposed spec. */
export interface Proposal {
  /** The live platform; undefined when it does not exist. */
  live: PlatformObject | undefined;
  /** As the API server would store it. */
  next: PlatformObject;
  /** The validated spec of `next`. */
  spec: BssPlatformSpec;
  operatorNamespace: string;
}

export interface PlannedChanges {
  /** In the order in which the operator would make them. */
  changes: PlannedChange[];
  warnings: string[];
}

interface Planning {
  client: KubeClient;
  call: CallOptions;
  /** Warnings about live objects. Filled by the plan. */
  remarks: Set<string>;
}

/** @throws KubeError when a retry may succeed; final refusals are among the changes */
export async function planChanges(client: KubeClient, proposal: Proposal, call: CallOptions = {}): Promise<PlannedChanges> {
  const { live, next, spec, operatorNamespace } = proposal;
  const planning: Planning = { client, call, remarks: new Set() };
  const { name, namespace, uid } = next.metadata;
  const identity = { name, namespace, ...(uid === undefined ? {} : { uid }) };
  const security = await podSecurity(client, namespace, call);
  const input = await platformInput(planning, { ...identity, ...security, spec, operatorNamespace, secretHashes: {}, slots: FIRST_SLOT });
  const { components, warnings } = await servedComponents(buildPlatform(input), (kind) => client.serves(kind));
  const applied = (await settleAll(components.map((component) => planComponent(planning, next, component)))).flat();
  const deleted = live === undefined ? [] : await planDeletions(planning, live, input, components);
  const advice = [
    ...adviseSpec(spec).map(({ path, message }) => `${path}: ${message}`),
    ...refused(input).map(({ path, what, remedy }) => `${path}: ${what}: ${remedy}`),
  ];
  const pause = spec.paused ? ['spec.paused is true: the operator makes none of these changes until it is false'] : [];
  return { changes: [...applied, ...deleted], warnings: [...advice, ...warnings, ...[...planning.remarks].toSorted(), ...pause] };
}

/** Adds the hashes of the live Secrets: without them every workload would seem to roll out. */
async function platformInput({ client, call }: Planning, bare: PlatformInput): Promise<PlatformInput> {
  const read = async (name: string): Promise<[string, Record<string, string>]> => {
    const secret = await client.find<SecretObject>({ apiVersion: 'v1', kind: 'Secret', name, namespace: bare.namespace }, call);
    return [name, decode(secret?.data ?? {})];
  };
  const own = await read(credentialsName(bare));
  const input = { ...bare, slots: slotsOf(own[1]) };
  const uses = secretUses(input);
  const secrets = await settleAll(uses.flatMap(({ name }) => (name === own[0] ? [] : [read(name)])));
  return { ...input, secretHashes: new SecretValues(new Map([...secrets, own])).hashes(uses) };
}

async function planComponent(planning: Planning, platform: PlatformObject, component: Component): Promise<PlannedChange[]> {
  const changes = (await settleAll(component.manifests.map((manifest) => planObject(planning, platform, manifest)))).filter(
    (change) => change !== undefined,
  );
  const configChanged = changes.some(({ kind, action }) => kind === 'ConfigMap' && action === 'change');
  return changes.map((change) =>
    change.after === undefined
      ? change
      : { ...change, restarts: restartReasons(change.before, change.after, HASH_ANNOTATION, configChanged) },
  );
}

async function planObject(
  { client, call, remarks }: Planning,
  platform: PlatformObject,
  desired: KubernetesObject,
): Promise<PlannedChange | undefined> {
  const applier = new Applier({ client, fieldManager: FIELD_MANAGER, metrics: new Metrics() });
  const change = { kind: desired.kind, name: desired.metadata.name, restarts: [] };
  const live = await client.find(referenceOf(desired), call);
  const manifest = withoutShrinking(desired, live);
  const enlarged = enlargement(desired, live);
  if (enlarged !== undefined) remarks.add(enlarged);
  if (live !== undefined && ownershipOf(platform, live) === 'foreign')
    return { ...change, action: 'refused', refusal: 'it exists and has another owner' };
  try {
    const { action, before, object } = await applier.apply(manifest, { ...call, dryRun: true });
    if (action === 'created') return { ...change, action: 'create', after: object };
    return action === 'changed' ? { ...change, action: 'change', before, after: object } : undefined;
  } catch (error) {
    if (!(error instanceof KubeError) || error.retriable || error.reason === 'Aborted') throw error;
    const remedy = live === undefined ? 'none' : remedyFor(error, manifest, live);
    if (remedy === 'leave') return undefined;
    if (remedy === 'replace') return { ...change, action: 'replace', before: live, after: manifest };
    return { ...change, action: 'refused', refusal: error.message };
  }
}

async function planDeletions(
  { client, call }: Planning,
  live: PlatformObject,
  input: PlatformInput,
  components: Component[],
): Promise<PlannedChange[]> {
  const credentials = { apiVersion: 'v1', kind: 'Secret', name: credentialsName(input) };
  const { first, last } = undesired(readStatus(live.status)?.inventory ?? [], [...desiredEntries(components), credentials]);
  const objects = await settleAll([...first, ...last].map((entry) => client.find({ ...entry, namespace: input.namespace }, call)));
  return objects
    .filter((object) => object !== undefined && ownershipOf(live, object) !== 'foreign')
    .filter((object) => object !== undefined)
    .map((object) => ({ action: isKept(object) ? 'keep' : 'delete', kind: object.kind, name: object.metadata.name, restarts: [] }));
}

/** `bss plan`: what applying a file would change, found by dry runs on the API server, which change nothing. */
import { adviseSpec, API_VERSION, FIELD_MANAGER, KIND, parseSpec } from '../api/index.ts';
import {
  buildPlatform,
  credentialsName,
  FIRST_SLOT,
  HASH_ANNOTATION,
  kafkaAccess,
  secretUses,
  slotsOf,
  type Component,
  type PlatformInput,
} from '../platform/index.ts';
import { decode, type SecretObject } from '../reconcile/credentials.ts';
import { unwanted, wantedEntries } from '../reconcile/inventory.ts';
import { ownershipOf, type PlatformObject } from '../reconcile/ownership.ts';
import { isKept } from '../reconcile/prune.ts';
import { restartReasons } from '../reconcile/restart.ts';
import { SecretValues } from '../reconcile/secrets.ts';
import { readStatus } from '../reconcile/status.ts';
import { Applier, KubeError, Metrics, referenceOf, type KubeClient, type KubernetesObject } from '../runtime/index.ts';
import type { Plan, PlannedChange } from './plan-text.ts';
import type { PlatformFile } from './resource.ts';
import { UsageError } from './usage.ts';

/** @throws UsageError when the API server or the operator would refuse the resource; KubeError when the cluster does not answer */
export async function plan(client: KubeClient, file: PlatformFile, operatorNamespace: string): Promise<Plan> {
  const { name, namespace } = file;
  const live = await client.find<PlatformObject>({ apiVersion: API_VERSION, kind: KIND, name, namespace });
  const next = await dryRun(client, file, live);
  const parsed = parseSpec(next.spec);
  if (!parsed.ok)
    throw new UsageError(`${name} is wrong:\n${parsed.problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`);
  const { spec } = parsed;
  const input = await platformInput(client, {
    name,
    namespace,
    spec,
    operatorNamespace,
    secretHashes: {},
    slots: FIRST_SLOT,
    ...uidOf(next),
  });
  const components = buildPlatform(input);
  const applied = (await Promise.all(components.map((component) => planComponent(client, next, component)))).flat();
  const deleted = live === undefined ? [] : await planDeletions(client, live, input, components);
  return {
    namespace,
    name,
    ...specChange(live, next),
    changes: [...applied, ...deleted],
    warnings: [
      ...adviseSpec(spec).map(({ path, message }) => `${path}: ${message}`),
      ...(spec.paused ? ['spec.paused is true: nothing of this happens until it is false'] : []),
    ],
  };
}

function uidOf({ metadata: { uid } }: PlatformObject): { uid?: string } {
  return uid === undefined ? {} : { uid };
}

/** The resource as the API server would store it, with defaults, after all its checks. */
async function dryRun(client: KubeClient, file: PlatformFile, live: PlatformObject | undefined): Promise<PlatformObject> {
  const { name, namespace, labels, annotations, spec } = file;
  const metadata = { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  try {
    if (live === undefined)
      return await client.create<PlatformObject>({ apiVersion: API_VERSION, kind: KIND, metadata, spec }, { dryRun: true });
    const merged = {
      ...live.metadata,
      labels: { ...live.metadata.labels, ...labels },
      annotations: { ...live.metadata.annotations, ...annotations },
    };
    const { status: _status, ...rest } = live;
    return await client.replace<PlatformObject>({ ...rest, metadata: merged, spec }, { dryRun: true });
  } catch (error) {
    if (error instanceof KubeError && !error.retriable) throw new UsageError(error.message);
    throw error;
  }
}

function specChange(live: PlatformObject | undefined, next: PlatformObject): { spec?: PlannedChange } {
  const change = { kind: KIND, name: next.metadata.name, restarts: [] };
  if (live === undefined) return { spec: { ...change, action: 'create' } };
  const same = JSON.stringify(live.spec) === JSON.stringify(next.spec);
  return same ? {} : { spec: { ...change, action: 'change', before: live, after: next } };
}

/** With the hashes of the Secrets as they are: without them every pod would seem to restart. */
async function platformInput(client: KubeClient, bare: PlatformInput): Promise<PlatformInput> {
  const read = async (name: string): Promise<[string, Record<string, string>]> => {
    const secret = await client.find<SecretObject>({ apiVersion: 'v1', kind: 'Secret', name, namespace: bare.namespace });
    return [name, decode(secret?.data ?? {})];
  };
  const own = await read(credentialsName(bare));
  const input = { ...bare, slots: slotsOf(own[1]) };
  const { sasl, caSecret } = kafkaAccess(input);
  const uses = secretUses(input);
  const names = new Set([...uses.map((use) => use.name), sasl?.secretName, caSecret?.name].filter((name) => name !== undefined));
  const secrets = await Promise.all([...names].filter((name) => name !== own[0]).map(read));
  return { ...input, secretHashes: new SecretValues(new Map([...secrets, own])).hashes(uses) };
}

async function planComponent(client: KubeClient, platform: PlatformObject, component: Component): Promise<PlannedChange[]> {
  const applier = new Applier({ client, fieldManager: FIELD_MANAGER, metrics: new Metrics() });
  const changes = (await Promise.all(component.manifests.map((manifest) => planObject(client, applier, platform, manifest)))).filter(
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
  client: KubeClient,
  applier: Applier,
  platform: PlatformObject,
  manifest: KubernetesObject,
): Promise<PlannedChange | undefined> {
  const change = { kind: manifest.kind, name: manifest.metadata.name, restarts: [] };
  const live = await client.find(referenceOf(manifest));
  if (live !== undefined && ownershipOf(platform, live) === 'foreign')
    return { ...change, action: 'refused', refusal: 'it exists and belongs to somebody else' };
  try {
    const { action, before, object } = await applier.apply(manifest, { dryRun: true });
    if (action === 'created') return { ...change, action: 'create', after: object };
    return action === 'changed' ? { ...change, action: 'change', before, after: object } : undefined;
  } catch (error) {
    if (!(error instanceof KubeError) || error.retriable) throw error;
    if (live !== undefined && error.reason === 'Invalid' && error.message.includes('immutable'))
      return { ...change, action: 'replace', before: live, after: manifest };
    return { ...change, action: 'refused', refusal: error.message };
  }
}

async function planDeletions(
  client: KubeClient,
  live: PlatformObject,
  input: PlatformInput,
  components: Component[],
): Promise<PlannedChange[]> {
  const credentials = { apiVersion: 'v1', kind: 'Secret', name: credentialsName(input) };
  const { first, last } = unwanted(readStatus(live.status)?.inventory ?? [], [...wantedEntries(components), credentials]);
  const objects = await Promise.all([...first, ...last].map((entry) => client.find({ ...entry, namespace: input.namespace })));
  return objects
    .filter((object) => object !== undefined && ownershipOf(live, object) !== 'foreign')
    .filter((object) => object !== undefined)
    .map((object) => ({ action: isKept(object) ? 'keep' : 'delete', kind: object.kind, name: object.metadata.name, restarts: [] }));
}

/** Finalizes a platform: deletes workloads, then stores; the deletion policy decides about volumes. */
import { FINALIZER, type BssPlatform } from '../../api/index.ts';
import { buildPlatform, credentialsName, FIRST_SLOT, holdsData, isFinalizedFirst, parseSpec } from '../../platform/index.ts';
import { KubeError, referenceOf, type KubernetesObject } from '../../runtime/index.ts';
import { entryKey, entryOf } from '../ownership/inventory.ts';
import { COMPONENT_LABEL, ownershipOf } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { settleAll } from '../settle-all.ts';
import { isKept } from './prune.ts';

/** Consumers get this long to drain before their stores are deleted. */
const DRAIN_MS = 60_000;
/** `kubectl delete --cascade=orphan`: keep the objects. */
const ORPHAN = 'orphan';
/** Adds the finalizer to the platform. @returns false when it was present */
export async function ensureFinalizer({ platform, client, signal }: Pass): Promise<boolean> {
  const { finalizers = [], resourceVersion } = platform.metadata;
  if (finalizers.includes(FINALIZER)) return false;
  await client.patch(referenceOf(platform), { metadata: { resourceVersion, finalizers: [...finalizers, FINALIZER] } }, { signal });
  return true;
}

/**
 * One step of the deletion.
 * @returns what the deletion waits for; undefined when the finalizer is removed
 * @throws KubeError when a retry may succeed
 */
export async function finalize(pass: Pass): Promise<string | undefined> {
  const { finalizers = [] } = pass.platform.metadata;
  if (!finalizers.includes(FINALIZER)) return undefined;
  if (!finalizers.includes(ORPHAN)) {
    const waitingFor = await deleteOwned(pass);
    if (waitingFor !== undefined) return waitingFor;
  }
  await removeFinalizer(pass, finalizers);
  return undefined;
}

async function deleteOwned(pass: Pass): Promise<string | undefined> {
  const objects = ownedBy(pass.platform, pass.cache.ofPlatform(pass.key));
  const keep = keepsVolumes(pass);
  const doomed = objects.filter((object) => !(holdsData(object.kind) && keep(object)));
  const { name, namespace } = pass.platform.metadata;
  const stores = storesOf({ name, namespace, spec: pass.platform.spec });
  const { first, rest } = deletionSteps(doomed, stores);
  await settleAll(first.map((object) => remove(pass, object)));
  const pods = workingPods(pass, rest, stores);
  const begun = Date.parse(pass.platform.metadata.deletionTimestamp ?? '');
  if (pods.length > 0 && pass.now - begun < DRAIN_MS) return `${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} to terminate`;
  await settleAll(objects.filter((object) => !doomed.includes(object)).map((object) => orphan(pass, object)));
  await settleAll(rest.map((object) => remove(pass, object)));
  return undefined;
}

/**
 * The objects to delete or orphan: those that the platform controls, and those without its owner reference that the operator created, which the
 * inventory lists. Labels alone are no proof: users copy objects with their labels. Pure.
 */
export function ownedBy(platform: Pick<BssPlatform, 'metadata' | 'status'>, objects: KubernetesObject[]): KubernetesObject[] {
  const credentials = { apiVersion: 'v1', kind: 'Secret', name: credentialsName(platform.metadata) };
  const created = new Set([...(platform.status?.inventory ?? []), credentials].map((entry) => entryKey(entry)));
  return objects.filter((object) => {
    const ownership = ownershipOf(platform, object);
    return ownership === 'ours' || (ownership === 'adoptable' && created.has(entryKey(entryOf(object))));
  });
}

/** Names of the stores and poolers; empty when the spec is invalid: then only StatefulSets count as stores. Pure. */
export function storesOf({ name, namespace, spec }: { name: string; namespace: string; spec: unknown }): Set<string> {
  const parsed = parseSpec(spec);
  if (!parsed.ok) return new Set();
  const components = buildPlatform({ name, namespace, spec: parsed.spec, operatorNamespace: '', secretHashes: {}, slots: FIRST_SLOT });
  return new Set(components.filter(({ stage }) => stage === 'stores').map((component) => component.name));
}

/** Splits the objects: first the consumers, then the stores and poolers that they drain through, and everything else. Pure. */
export function deletionSteps(objects: KubernetesObject[], stores: Set<string>): { first: KubernetesObject[]; rest: KubernetesObject[] } {
  const isFirst = (object: KubernetesObject) => isFinalizedFirst(object.kind) && !stores.has(componentOf(object));
  return { first: objects.filter((object) => isFirst(object)), rest: objects.filter((object) => !isFirst(object)) };
}

function componentOf({ metadata: { labels } }: KubernetesObject): string {
  return labels?.[COMPONENT_LABEL] ?? '';
}

/** Decides by the deletion policy of the current spec; when the spec is invalid, by the annotation of the volume. */
function keepsVolumes({ platform }: Pass): (object: KubernetesObject) => boolean {
  const parsed = parseSpec(platform.spec);
  return parsed.ok ? () => parsed.spec.deletionPolicy === 'keep' : isKept;
}

/** Pods of the objects that are deleted first: all but those of stores, poolers and StatefulSets. */
function workingPods({ cache, key }: Pass, rest: KubernetesObject[], stores: Set<string>) {
  const statefulSets = rest.filter(({ kind }) => kind === 'StatefulSet').map(({ metadata }) => metadata.name);
  return cache
    .podsOf(key)
    .filter((pod) => !stores.has(componentOf(pod)))
    .filter(({ metadata }) => !statefulSets.some((set) => metadata.name.startsWith(`${set}-`) && isOrdinal(metadata.name, set)));
}

function isOrdinal(pod: string, set: string): boolean {
  return /^\d+$/.test(pod.slice(set.length + 1));
}

async function remove({ client, signal }: Pass, object: KubernetesObject): Promise<void> {
  if (object.metadata.deletionTimestamp !== undefined) return;
  await client.delete(referenceOf(object), { propagation: 'Background', signal });
}

/** Removes the owner reference of an object to keep: the garbage collector would delete it with the platform. */
async function orphan({ client, platform, signal }: Pass, object: KubernetesObject): Promise<void> {
  const { ownerReferences = [], resourceVersion } = object.metadata;
  const kept = ownerReferences.filter((reference) => reference.uid !== platform.metadata.uid);
  if (kept.length === ownerReferences.length) return;
  await client.patch(referenceOf(object), { metadata: { resourceVersion, ownerReferences: kept } }, { signal });
}

async function removeFinalizer({ platform, client, signal }: Pass, finalizers: string[]): Promise<void> {
  const patch = {
    metadata: { resourceVersion: platform.metadata.resourceVersion, finalizers: finalizers.filter((one) => one !== FINALIZER) },
  };
  try {
    await client.patch(referenceOf(platform), patch, { signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.status !== 404) throw error;
  }
}

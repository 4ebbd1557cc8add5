/** Finalizes a platform: deletes workloads, then stores; the deletion policy decides about volumes. */
import { FINALIZER, parseSpec } from '../../api/index.ts';
import { KubeError, referenceOf, type KubernetesObject } from '../../runtime/index.ts';
import { ownershipOf } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { isKept } from './prune.ts';

/** Consumers get this long to drain before their stores are deleted. */
const DRAIN_MS = 60_000;
/** `kubectl delete --cascade=orphan`: keep the objects. */
const ORPHAN = 'orphan';
/** Deleted first: what runs the services. Stores are StatefulSets and are deleted in the second step. */
const FIRST = new Set(['ScaledObject', 'Ingress', 'Job', 'Deployment']);
/** Data, and the passwords that it needs. */
const POLICY_KINDS = new Set(['PersistentVolumeClaim', 'Secret']);

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
  const objects = pass.cache.ofPlatform(pass.key).filter((object) => ownershipOf(pass.platform, object) !== 'foreign');
  const keep = keepsVolumes(pass);
  const doomed = objects.filter((object) => !(POLICY_KINDS.has(object.kind) && keep(object)));
  const [first, rest] = [doomed.filter(({ kind }) => FIRST.has(kind)), doomed.filter(({ kind }) => !FIRST.has(kind))];
  await Promise.all(first.map((object) => remove(pass, object)));
  const pods = workingPods(pass, rest);
  const begun = Date.parse(pass.platform.metadata.deletionTimestamp ?? '');
  if (pods.length > 0 && pass.now - begun < DRAIN_MS) return `${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} to terminate`;
  await Promise.all(objects.filter((object) => !doomed.includes(object)).map((object) => orphan(pass, object)));
  await Promise.all(rest.map((object) => remove(pass, object)));
  return undefined;
}

/** Decides by the deletion policy of the current spec; when the spec is invalid, by the annotation of the volume. */
function keepsVolumes({ platform }: Pass): (object: KubernetesObject) => boolean {
  const parsed = parseSpec(platform.spec);
  return parsed.ok ? () => parsed.spec.deletionPolicy === 'keep' : isKept;
}

/** Pods of the objects that are deleted first: all but those of StatefulSets. */
function workingPods({ cache, key }: Pass, rest: KubernetesObject[]) {
  const stores = rest.filter(({ kind }) => kind === 'StatefulSet').map(({ metadata }) => metadata.name);
  return cache
    .podsOf(key)
    .filter(({ metadata }) => !stores.some((store) => metadata.name.startsWith(`${store}-`) && isOrdinal(metadata.name, store)));
}

function isOrdinal(pod: string, store: string): boolean {
  return /^\d+$/.test(pod.slice(store.length + 1));
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

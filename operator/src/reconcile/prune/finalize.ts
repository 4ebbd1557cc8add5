/** The end of a platform: first what works, then what it works with; volumes by the deletion policy. */
import { FINALIZER, parseSpec } from '../../api/index.ts';
import { KubeError, referenceOf, type KubernetesObject } from '../../runtime/index.ts';
import { ownershipOf } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { isKept } from './prune.ts';

/** Consumers get this long to finish their batches before their stores go. */
const DRAIN_MS = 60_000;
/** `kubectl delete --cascade=orphan`: the objects are to stay. */
const ORPHAN = 'orphan';
/** What runs the services; stores are StatefulSets, which go in the second step. */
const FIRST = new Set(['ScaledObject', 'Ingress', 'Job', 'Deployment']);
/** Data and the passwords it was made with. */
const POLICY_KINDS = new Set(['PersistentVolumeClaim', 'Secret']);

/** Puts our finalizer on the platform. @returns false when it is there already */
export async function ensureFinalizer({ platform, client, signal }: Pass): Promise<boolean> {
  const { finalizers = [], resourceVersion } = platform.metadata;
  if (finalizers.includes(FINALIZER)) return false;
  await client.patch(referenceOf(platform), { metadata: { resourceVersion, finalizers: [...finalizers, FINALIZER] } }, { signal });
  return true;
}

/**
 * One step towards the end.
 * @returns what is being waited for; undefined when all is done and the finalizer is gone
 * @throws KubeError when the same may succeed later
 */
export async function finalize(pass: Pass): Promise<string | undefined> {
  const { finalizers = [] } = pass.platform.metadata;
  if (!finalizers.includes(FINALIZER)) return undefined;
  if (!finalizers.includes(ORPHAN)) {
    const waitingFor = await takeDown(pass);
    if (waitingFor !== undefined) return waitingFor;
  }
  await removeFinalizer(pass, finalizers);
  return undefined;
}

async function takeDown(pass: Pass): Promise<string | undefined> {
  const objects = pass.cache.ofPlatform(pass.key).filter((object) => ownershipOf(pass.platform, object) !== 'foreign');
  const keep = keepsVolumes(pass);
  const doomed = objects.filter((object) => !(POLICY_KINDS.has(object.kind) && keep(object)));
  const [first, rest] = [doomed.filter(({ kind }) => FIRST.has(kind)), doomed.filter(({ kind }) => !FIRST.has(kind))];
  await Promise.all(first.map((object) => remove(pass, object)));
  const pods = workingPods(pass, rest);
  const begun = Date.parse(pass.platform.metadata.deletionTimestamp ?? '');
  if (pods.length > 0 && pass.now - begun < DRAIN_MS) return `${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} to finish`;
  await Promise.all(objects.filter((object) => !doomed.includes(object)).map((object) => release(pass, object)));
  await Promise.all(rest.map((object) => remove(pass, object)));
  return undefined;
}

/**
 * By the policy of the spec as it is now; when that cannot be read, by what the volume itself says.
 */
function keepsVolumes({ platform }: Pass): (object: KubernetesObject) => boolean {
  const parsed = parseSpec(platform.spec);
  return parsed.ok ? () => parsed.spec.deletionPolicy === 'keep' : isKept;
}

/** Pods of what was deleted first: all but those of StatefulSets. */
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

/** What is kept must not have the platform as its owner: the garbage collector would take it along. */
async function release({ client, platform, signal }: Pass, object: KubernetesObject): Promise<void> {
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

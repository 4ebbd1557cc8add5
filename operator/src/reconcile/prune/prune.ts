/** Prunes objects that are no longer desired: only those that this platform owns, and never volumes to keep. */
import { KEEP_ANNOTATION } from '../../platform/index.ts';
import { KubeError, type KubernetesObject } from '../../runtime/index.ts';
import type { InventoryEntry } from '../ownership/inventory.ts';
import { ownershipOf } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { settleAll } from '../settle-all.ts';

/**
 * Deletes the objects and returns those that could not be deleted yet.
 * @throws KubeError when a retry may succeed
 */
export async function prune(pass: Pass, entries: InventoryEntry[]): Promise<InventoryEntry[]> {
  const outcomes = await settleAll(entries.map(async (entry) => ({ entry, gone: await pruneOne(pass, entry) })));
  const pruned = outcomes.filter(({ gone }) => gone === 'deleted').map(({ entry }) => `${entry.kind} ${entry.name}`);
  const kept = outcomes.filter(({ gone }) => gone === 'kept').map(({ entry }) => entry.name);
  if (pruned.length > 0) pass.publish('Normal', 'Pruned', `deleted objects that are no longer desired: ${pruned.join(', ')}`);
  if (kept.length > 0) pass.publish('Normal', 'VolumeKept', `kept with their data: ${kept.join(', ')}`);
  return outcomes.filter(({ gone }) => gone === 'refused').map(({ entry }) => entry);
}

async function pruneOne(pass: Pass, entry: InventoryEntry): Promise<'deleted' | 'kept' | 'absent' | 'refused'> {
  const { namespace } = pass.platform.metadata;
  const reference = { ...entry, namespace };
  try {
    const live = pass.cache.get(reference) ?? (await pass.client.find(reference, { signal: pass.signal }));
    if (live === undefined || ownershipOf(pass.platform, live) === 'foreign') return 'absent';
    if (isKept(live)) return 'kept';
    const { uid } = live.metadata;
    const options = uid === undefined ? {} : { preconditions: { uid } };
    return (await pass.client.delete(reference, { propagation: 'Background', signal: pass.signal, ...options })) ? 'deleted' : 'absent';
  } catch (error) {
    if (!(error instanceof KubeError) || error.retriable) throw error;
    // The cluster no longer serves the kind, so the object cannot exist.
    if (error.status === 404) return 'absent';
    pass.logger.warn({ object: entry, error: error.message }, 'cannot prune an object');
    return 'refused';
  }
}

export function isKept(object: KubernetesObject): boolean {
  return object.metadata.annotations?.[KEEP_ANNOTATION] === 'true';
}

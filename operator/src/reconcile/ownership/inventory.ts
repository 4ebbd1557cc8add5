/** The objects that the operator created for a platform, and those that are no longer desired. Pure. */
import { isPrunedFirst, type Component } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import type { StatusEntry } from '../status/outcome.ts';

export type InventoryEntry = StatusEntry<'inventory'>;

export function entryOf({ apiVersion, kind, metadata: { name } }: KubernetesObject): InventoryEntry {
  return { apiVersion, kind, name };
}

/** Identity of an object. The version of its group is not part of it: the API server serves one object under every version. */
export function entryKey({ apiVersion, kind, name }: InventoryEntry): string {
  const [group = ''] = apiVersion.includes('/') ? apiVersion.split('/', 1) : [];
  return `${kind}/${group}/${name}`;
}

/** Entries in a fixed order, each once. */
export function sortedInventory(entries: InventoryEntry[]): InventoryEntry[] {
  const byKey = new Map(entries.map(({ apiVersion, kind, name }) => [entryKey({ apiVersion, kind, name }), { apiVersion, kind, name }]));
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

export function desiredEntries(components: Component[]): InventoryEntry[] {
  return components.flatMap(({ manifests }) => manifests.map((manifest) => entryOf(manifest)));
}

/** Entries that are no longer desired, in two groups by the time of pruning. `created`: all objects that were created and not deleted since. */
export function undesired(created: InventoryEntry[], desired: InventoryEntry[]): { first: InventoryEntry[]; last: InventoryEntry[] } {
  const keys = new Set(desired.map((entry) => entryKey(entry)));
  const gone = sortedInventory(created).filter((entry) => !keys.has(entryKey(entry)));
  return { first: gone.filter(({ kind }) => isPrunedFirst(kind)), last: gone.filter(({ kind }) => !isPrunedFirst(kind)) };
}

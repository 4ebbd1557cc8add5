/** What the operator made for a platform, and what of it is no longer wanted. Pure. */
import type { Component } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import type { StatusEntry } from '../status/outcome.ts';

export type InventoryEntry = StatusEntry<'inventory'>;

/**
 * Kinds that are taken away before anything is applied: an old migration must not run beside the new one, a policy that cuts off the new pods
 * must not stay. All other kinds go last, when nothing uses them any more.
 */
const FIRST_TO_GO = new Set([
  'Job',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'Ingress',
  'HTTPRoute',
  'ScaledObject',
  'TriggerAuthentication',
]);

export function entryOf({ apiVersion, kind, metadata: { name } }: KubernetesObject): InventoryEntry {
  return { apiVersion, kind, name };
}

export function entryKey({ apiVersion, kind, name }: InventoryEntry): string {
  return `${kind}/${apiVersion}/${name}`;
}

/** Entries in a fixed order, each once. */
export function sortedInventory(entries: InventoryEntry[]): InventoryEntry[] {
  const byKey = new Map(entries.map(({ apiVersion, kind, name }) => [entryKey({ apiVersion, kind, name }), { apiVersion, kind, name }]));
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

export function wantedEntries(components: Component[]): InventoryEntry[] {
  return components.flatMap(({ manifests }) => manifests.map((manifest) => entryOf(manifest)));
}

/** What is no longer wanted, in two parts by when it goes. `made`: everything that was ever made and not yet deleted. */
export function unwanted(made: InventoryEntry[], wanted: InventoryEntry[]): { first: InventoryEntry[]; last: InventoryEntry[] } {
  const keys = new Set(wanted.map((entry) => entryKey(entry)));
  const gone = sortedInventory(made).filter((entry) => !keys.has(entryKey(entry)));
  return { first: gone.filter(({ kind }) => FIRST_TO_GO.has(kind)), last: gone.filter(({ kind }) => !FIRST_TO_GO.has(kind)) };
}

/** What the stores share: each is managed by the operator or external. */
import { isObject } from '../api/profiles.ts';
import type { BssPlatformSpec } from './spec.ts';

/** A store is managed unless the user gave an external one: the defaults of the profile then do not apply. */
export function settleStore(merged: unknown, given: unknown): unknown {
  if (!isObject(merged) || !isObject(given) || !isObject(given['external'])) return merged;
  if (given['managed'] !== undefined && given['managed'] !== null) return merged;
  const { managed: _managed, ...external } = merged;
  return external;
}

/** Whether a workload of the platform uses the database: without one, the platform has no Postgres, no PgBouncer and no migration. */
export function usesDatabase({ workloads: { ledger, interest } }: BssPlatformSpec): boolean {
  return ledger.enabled || interest.enabled;
}

/** What the stores share: each is managed by the operator or external. */
import { isObject } from '../api/profiles.ts';

/** A store is managed unless the user gave an external one: the defaults of the profile then do not apply. */
export function settleStore(merged: unknown, given: unknown): unknown {
  if (!isObject(merged) || !isObject(given) || !isObject(given['external'])) return merged;
  if (given['managed'] !== undefined && given['managed'] !== null) return merged;
  const { managed: _managed, ...external } = merged;
  return external;
}

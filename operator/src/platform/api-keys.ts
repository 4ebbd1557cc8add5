/** Generated API keys of the credentials Secret, as the services that accept them and their callers read them. */
import { slotKey } from './logins.ts';
import { credentialsName } from './names.ts';
import { fromSecret, value, type Requirements } from './pods.ts';
import type { PlatformInput } from './types.ts';
import { httpAddress } from './workload.ts';

/** @param key of a credential with slots. Two values are accepted during a rotation, otherwise the same one twice. */
export function acceptedKeys(input: PlatformInput, key: string): Requirements {
  const name = credentialsName(input);
  const keys = input.slots.live.map((slot) => slotKey(key, slot));
  return {
    env: [fromSecret('API_KEY', name, keys.at(0) ?? ''), fromSecret('API_KEY_OTHER', name, keys.at(-1) ?? '')],
    secrets: [{ name, keys }],
  };
}

/** A service of the platform that its other services call. */
export interface CalledService {
  /** Its component. */
  component: string;
  /** Key of its API key in the credentials Secret. */
  key: string;
  /** Callers read its address and its key from `<prefix>_URL` and `<prefix>_API_KEY`. */
  prefix: string;
}

/**
 * Environment of a pod that calls a service of the platform. The key is the one of the active slot: a service comes before its callers in the
 * order in which workloads are replaced, so each of its pods accepts that key.
 */
export function callerOf(input: PlatformInput, { component, key, prefix }: CalledService): Requirements {
  const [name, active] = [credentialsName(input), slotKey(key, input.slots.active)];
  return {
    env: [value(`${prefix}_URL`, httpAddress(input, component)), fromSecret(`${prefix}_API_KEY`, name, active)],
    secrets: [{ name, keys: [active] }],
  };
}

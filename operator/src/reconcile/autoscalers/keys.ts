/** Keys by which the autoscaler and the Secret watch know their users: `namespace/name` is a platform, three parts are a ConsumerAutoscaler. */
import { AUTOSCALER_PLURAL } from '../../api/index.ts';

/** @param key `namespace/name` of a ConsumerAutoscaler @returns a key that no platform has */
export function scalingKey(key: string): string {
  const slash = key.indexOf('/');
  return `${key.slice(0, slash)}/${AUTOSCALER_PLURAL}${key.slice(slash)}`;
}

/** `namespace/name` of the ConsumerAutoscaler; undefined for the key of a platform. */
export function autoscalerKeyOf(key: string): string | undefined {
  const [namespace, plural, name] = key.split('/');
  return plural === AUTOSCALER_PLURAL && name !== undefined ? `${namespace}/${name}` : undefined;
}

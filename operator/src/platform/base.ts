/** What stands under every component: identity, rights, and who may speak to whom. */
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { networkPolicies } from './network.ts';
import { prometheusRole } from './prometheus.ts';
import type { PlatformInput } from './types.ts';

export function baseComponent(input: PlatformInput): Blueprint {
  // An identity without rights: pods must not run as `default`, to which somebody may have granted something.
  const account: Draft = { apiVersion: 'v1', kind: 'ServiceAccount', name: input.name, automountServiceAccountToken: false };
  return blueprint('base', 'stores', [account, prometheusRole(input), ...networkPolicies(input)]);
}

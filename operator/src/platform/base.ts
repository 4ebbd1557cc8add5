/** What stands under every component: the pods' identity and who may speak to whom. */
import { component, type Draft } from './component.ts';
import { networkPolicies } from './network.ts';
import type { Component, PlatformInput } from './types.ts';

export function baseComponent(input: PlatformInput): Component {
  // An identity without rights: pods must not run as `default`, to which somebody may have granted something.
  const account: Draft = { apiVersion: 'v1', kind: 'ServiceAccount', name: input.name, automountServiceAccountToken: false };
  return component(input, 'base', 'stores', [account, ...networkPolicies(input)]);
}

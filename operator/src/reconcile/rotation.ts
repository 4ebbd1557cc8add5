/** When the former passwords may go. */
import type { Component } from '../platform/index.ts';
import type { ComponentState } from './outcome.ts';
import { COMPONENT_LABEL } from './ownership.ts';
import { hasEnded, isOfTemplate, type PodObject } from './pods.ts';

/**
 * Nothing uses former passwords any more: what has to do with them is applied and healthy, and every pod, those that are still stopping
 * included, is of the newest template.
 * @param pods of the platform
 */
export function isRolledOut(components: Component[], states: ComponentState[], pods: PodObject[]): boolean {
  // What only watches is not waited for: it may be ill for reasons of its own.
  const concerned = components.filter(({ stage }) => stage !== 'observability');
  const names = new Set(components.filter((component) => !concerned.includes(component)).map(({ name }) => name));
  const settled = states.every(({ name, state, health }) => names.has(name) || (state === 'applied' && health.healthy));
  return settled && concerned.every((component) => !hasFormerPod(component, pods));
}

function hasFormerPod({ name, manifests }: Component, pods: PodObject[]): boolean {
  const owner = manifests.find(({ kind }) => kind === 'Deployment');
  if (owner === undefined) return false;
  const own = pods.filter((pod) => pod.metadata.labels?.[COMPONENT_LABEL] === name);
  return own.some((pod) => !hasEnded(pod) && !isOfTemplate(pod, owner));
}

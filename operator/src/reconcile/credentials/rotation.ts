/** When the former passwords may go. */
import type { Component } from '../../platform/index.ts';
import type { ComponentState } from '../status/outcome.ts';
import { COMPONENT_LABEL } from '../ownership/ownership.ts';
import { hasEnded, isOfTemplate, type PodObject } from '../health/pods.ts';

/**
 * What may still use former passwords: components that are not applied or not healthy, or, when all are, pods of an earlier template, those that
 * are still stopping included. Empty when nothing does.
 * @param pods of the platform
 */
export function usersOfFormer(components: Component[], states: ComponentState[], pods: PodObject[]): string[] {
  // What only watches is not waited for: it may be ill for reasons of its own.
  const watching = new Set(components.filter(({ stage }) => stage === 'observability').map(({ name }) => name));
  const open = states.filter(({ name, state, health }) => !watching.has(name) && !(state === 'applied' && health.healthy));
  if (open.length > 0) return open.map(({ name }) => name);
  return components.filter(({ name }) => !watching.has(name)).flatMap((component) => formerPods(component, pods));
}

function formerPods({ name, manifests }: Component, pods: PodObject[]): string[] {
  const owner = manifests.find(({ kind }) => kind === 'Deployment');
  if (owner === undefined) return [];
  const own = pods.filter((pod) => pod.metadata.labels?.[COMPONENT_LABEL] === name);
  const former = own.filter((pod) => !hasEnded(pod) && !isOfTemplate(pod, owner));
  return former.map(({ metadata }) => `pod ${metadata.name}`).toSorted();
}

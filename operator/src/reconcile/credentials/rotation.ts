/** When the former passwords can be removed. */
import type { Component } from '../../platform/index.ts';
import type { ComponentState } from '../status/outcome.ts';
import { COMPONENT_LABEL } from '../ownership/ownership.ts';
import { hasEnded, isOfTemplate, type PodObject } from '../health/pods.ts';

/**
 * Users of the former passwords: components that are not applied or not healthy; if there are none, pods of an earlier template, terminating ones
 * included. Empty when nothing uses them.
 * @param pods of the platform
 */
export function usersOfFormerCredentials(components: Component[], states: ComponentState[], pods: PodObject[]): string[] {
  // Monitoring components do not block a rotation: they may be unhealthy for other reasons.
  const monitoring = new Set(components.filter(({ stage }) => stage === 'observability').map(({ name }) => name));
  const open = states.filter(({ name, state, health }) => !monitoring.has(name) && !(state === 'applied' && health.healthy));
  if (open.length > 0) return open.map(({ name }) => name);
  return components.filter(({ name }) => !monitoring.has(name)).flatMap((component) => formerPods(component, pods));
}

function formerPods({ name, manifests }: Component, pods: PodObject[]): string[] {
  const owner = manifests.find(({ kind }) => kind === 'Deployment');
  if (owner === undefined) return [];
  const own = pods.filter((pod) => pod.metadata.labels?.[COMPONENT_LABEL] === name);
  const former = own.filter((pod) => !hasEnded(pod) && !isOfTemplate(pod, owner));
  return former.map(({ metadata }) => `pod ${metadata.name}`).toSorted();
}

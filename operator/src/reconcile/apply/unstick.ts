/**
 * A StatefulSet waits without limit for a pod of a broken revision to become ready before it replaces that pod ("forced rollback" in the Kubernetes
 * documentation). Deleting that pod is the documented remedy.
 */
import type { Component } from '../../platform/index.ts';
import { referenceOf, type KubernetesObject } from '../../runtime/index.ts';
import type { ComponentState } from '../status/outcome.ts';
import type { Pass } from '../pass.ts';
import { isReady, type PodObject } from '../health/pods.ts';

interface StatefulSet extends KubernetesObject {
  status?: { updateRevision?: string; observedGeneration?: number };
}

const REVISION_LABEL = 'controller-revision-hash';

/** Pods of the StatefulSet that are not ready and whose revision is not the update revision. Pure. */
export function stuckPods(live: KubernetesObject, pods: PodObject[]): PodObject[] {
  const { updateRevision, observedGeneration = 0 } = (live as StatefulSet).status ?? {};
  if (updateRevision === undefined || observedGeneration < (live.metadata.generation ?? 0)) return [];
  const own = pods.filter(({ metadata }) => metadata.labels?.[REVISION_LABEL]?.startsWith(`${live.metadata.name}-`));
  return own.filter(
    (pod) => !isReady(pod) && pod.metadata.deletionTimestamp === undefined && pod.metadata.labels?.[REVISION_LABEL] !== updateRevision,
  );
}

/** Deletes the stuck pods of unhealthy components. @throws KubeError */
export async function unstick(pass: Pass, components: Component[], states: ComponentState[]): Promise<void> {
  const unhealthy = new Set(states.filter(({ state, health }) => state === 'applied' && !health.healthy).map(({ name }) => name));
  const checks = components
    .filter(({ name }) => unhealthy.has(name))
    .flatMap(({ health }) => health.filter(({ kind }) => kind === 'StatefulSet'));
  const { namespace } = pass.platform.metadata;
  for (const { kind, name } of checks) {
    const live = pass.cache.get({ apiVersion: 'apps/v1', kind, name, namespace });
    for (const pod of live === undefined ? [] : stuckPods(live, pass.cache.podsOf(pass.key))) {
      pass.logger.info({ pod: pod.metadata.name }, 'deleting a pod that blocks the rollout of its StatefulSet');
      await pass.client.delete(referenceOf(pod), {
        signal: pass.signal,
        ...(pod.metadata.uid ? { preconditions: { uid: pod.metadata.uid } } : {}),
      });
    }
  }
}

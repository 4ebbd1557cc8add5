/** Hands a platform's consumer groups to the autoscaler, and what was learnt about them back to it after a restart. */
import type { BssPlatformStatus } from '../../api/index.ts';
import type { Autoscaler, ConsumerGroupStatus, KafkaConnection, LearnedRate, ScaleTarget } from '../../autoscale/index.ts';
import type { PlatformInput } from '../../platform/index.ts';
import type { Pass } from '../pass.ts';
import { externalTargets, scaleTargets } from './targets.ts';

/**
 * A Deployment that hibernation stopped waits for its turn to wake: nobody else may start it before its stores are there. Those of other programs
 * are not in the cache; one that is there is the operator's own, whose replicas are not for a group of others to set.
 */
function mayScale({ cache }: Pass, { deployment, namespace }: ScaleTarget, external: boolean, held: boolean): boolean {
  const live = cache.get({ apiVersion: 'apps/v1', kind: 'Deployment', name: deployment, namespace });
  if (external) return live === undefined;
  const { replicas = 1 } = (live?.['spec'] ?? {}) as { replicas?: number };
  return live !== undefined && !(held && replicas === 0);
}

/**
 * Sets the platform's targets once their Deployments exist, and takes them away where nothing is to be scaled.
 * @param held whether workloads are waiting for something before they are applied
 * @returns the groups as sampled last; undefined when nobody samples them
 */
export function scale(
  pass: Pass,
  autoscaler: Autoscaler,
  input: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>,
  connection: KafkaConnection | undefined,
  held: boolean,
): ConsumerGroupStatus[] | undefined {
  const external = new Set(externalTargets(input).map(({ group }) => group));
  const targets = scaleTargets(input).filter((target) => mayScale(pass, target, external.has(target.group), held));
  if (connection === undefined || targets.length === 0) {
    autoscaler.remove(pass.key);
    return undefined;
  }
  const { status } = pass.platform;
  autoscaler.setTargets(
    pass.key,
    targets.map((target) => withLearned(target, status)),
    connection,
  );
  return autoscaler.snapshot(pass.key);
}

function withLearned(target: ScaleTarget, status: BssPlatformStatus | undefined): ScaleTarget {
  const learned: LearnedRate | undefined = status?.consumerGroups?.find((group) => group.name === target.group)?.learned;
  return learned === undefined ? target : { ...target, learned };
}

/** Hands a platform's consumer groups to the autoscaler, and what was learnt about them back to it after a restart. */
import type { BssPlatformStatus } from '../api/index.ts';
import type { Autoscaler, ConsumerGroupStatus, KafkaConnection, LearnedRate, ScaleTarget } from '../autoscale/index.ts';
import { scaleTargets, type PlatformInput } from '../platform/index.ts';
import type { Pass } from './pass.ts';

/**
 * Sets the platform's targets once their Deployments exist, and takes them away where nothing is to be scaled.
 * @returns the groups as sampled last; undefined when nobody samples them
 */
export function scale(
  pass: Pass,
  autoscaler: Autoscaler,
  input: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>,
  connection: KafkaConnection | undefined,
): ConsumerGroupStatus[] | undefined {
  const targets = scaleTargets(input).filter(({ deployment, namespace }) =>
    pass.cache.get({ apiVersion: 'apps/v1', kind: 'Deployment', name: deployment, namespace }),
  );
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

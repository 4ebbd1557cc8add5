/** Passes a platform's consumer groups to the autoscaler, with the rates that it learned before a restart. */
import type { BssPlatformStatus } from '../../api/index.ts';
import type { Autoscaler, ConsumerGroupStatus, KafkaConnection, LearnedRate, ScaleTarget } from '../../autoscale/index.ts';
import type { PlatformInput } from '../../platform/index.ts';
import type { Pass } from '../pass.ts';
import { externalTargets, scaleTargets } from './targets.ts';

/**
 * A held Deployment with zero replicas is waking from hibernation: the autoscaler must not start it before its stores are healthy. Deployments of
 * other programs are not in the cache; a cached one is the operator's, and an external group must not scale it.
 */
function mayScale({ cache }: Pass, { deployment, namespace }: ScaleTarget, external: boolean, held: boolean): boolean {
  const live = cache.get({ apiVersion: 'apps/v1', kind: 'Deployment', name: deployment, namespace });
  if (external) return live === undefined;
  const { replicas = 1 } = (live?.['spec'] ?? {}) as { replicas?: number };
  return live !== undefined && !(held && replicas === 0);
}

/**
 * Sets the platform's targets once their Deployments exist, and removes them when there is nothing to scale.
 * @param held whether a workload is held
 * @returns the groups as last sampled; undefined when they are not sampled
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

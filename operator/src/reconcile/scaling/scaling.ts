/** Passes consumer groups to the autoscaler, with what it learned before a restart. */
import { isDeepStrictEqual } from 'node:util';
import type { Autoscaler, ConsumerGroupStatus, KafkaConnection, ScaleTarget } from '../../autoscale/index.ts';
import type { PlatformInput } from '../../platform/index.ts';
import type { Pass } from '../pass.ts';
import type { Claims } from './claims.ts';
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

/** Where the targets go, and who else asks for the same objects. */
interface Scaling {
  autoscaler: Autoscaler;
  claims: Claims;
}

/**
 * Sets the platform's targets once their Deployments exist, and removes them when there is nothing to scale.
 * @param held whether a workload is held
 * @returns the groups as last sampled; undefined when they are not sampled
 */
export function scale(
  pass: Pass,
  { autoscaler, claims }: Scaling,
  input: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>,
  connection: KafkaConnection | undefined,
  held: boolean,
): ConsumerGroupStatus[] | undefined {
  const external = new Set(externalTargets(input).map(({ group }) => group));
  const targets = scaleTargets(input)
    .filter((target) => mayScale(pass, target, external.has(target.group), held))
    .map((target) =>
      external.has(target.group) ? { ...target, rivals: claims.rivalsOfPlatform(pass.platform, target.deployment) } : target,
    );
  const { consumerGroups = [] } = pass.platform.status ?? {};
  return setTargets(autoscaler, pass.key, targets, connection, ({ group, topics }) => {
    const known = consumerGroups.find(({ name }) => name === group);
    // The arrivals of other topics repeat in another way.
    return known === undefined || isDeepStrictEqual(known.topics, topics) ? known : { ...known, season: undefined };
  });
}

/** What status has of a group from before a restart. */
interface Known {
  learned?: ScaleTarget['learned'] | undefined;
  season?: string | undefined;
}

/**
 * Passes targets to the autoscaler, with what it learned before a restart. Without a target or a connection nothing is sampled.
 * @returns the groups as last sampled; undefined when they are not sampled
 */
export function setTargets(
  autoscaler: Autoscaler,
  key: string,
  targets: ScaleTarget[],
  connection: KafkaConnection | undefined,
  knownOf: (target: ScaleTarget) => Known | undefined,
): ConsumerGroupStatus[] | undefined {
  if (connection === undefined || targets.length === 0) {
    autoscaler.remove(key);
    return undefined;
  }
  const complete = targets.map((target) => {
    const { learned, season } = knownOf(target) ?? {};
    return { ...target, ...(learned === undefined ? {} : { learned }), ...(season === undefined ? {} : { season }) };
  });
  autoscaler.setTargets(key, complete, connection);
  return autoscaler.snapshot(key);
}

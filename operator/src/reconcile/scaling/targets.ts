/** From the spec to the targets and policies of the autoscaler. Pure. */
import type { ScalePolicy, ScaleTarget } from '../../autoscale/index.ts';
import { durationMs } from '../../api/index.ts';
import { ownGroups, type BssPlatformSpec, type PlatformInput } from '../../platform/index.ts';

type Autoscaling = BssPlatformSpec['workloads']['interest']['autoscaling'];

const seconds = (duration: string) => durationMs(duration) / 1000;

/** The autoscaler's policy for the fields of `spec...autoscaling`. */
export function scalePolicy(autoscaling: Autoscaling): ScalePolicy {
  const { lagPerReplica, safeReplicas } = autoscaling;
  return {
    mode: autoscaling.mode,
    minReplicas: autoscaling.minReplicas,
    maxReplicas: autoscaling.maxReplicas,
    maxDelaySeconds: seconds(autoscaling.maxDelay),
    ...(lagPerReplica === undefined ? {} : { lagPerReplica }),
    scaleDownWindowSeconds: seconds(autoscaling.scaleDownWindow),
    stepUpReplicas: autoscaling.stepUpReplicas,
    stepUpFactor: autoscaling.stepUpFactor,
    scaleToZero: autoscaling.scaleToZero,
    idleSeconds: seconds(autoscaling.idleTime),
    activationLag: autoscaling.activationLag,
    ...(safeReplicas === undefined ? {} : { safeReplicas }),
    lagUnknownSeconds: seconds(autoscaling.lagUnknownAfter),
  };
}

/** Consumer groups to scale, the platform's own first; none while it hibernates. */
export function scaleTargets(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): ScaleTarget[] {
  if (platform.spec.hibernate) return [];
  return [...ownTargets(platform), ...externalTargets(platform)];
}

function ownTargets(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): ScaleTarget[] {
  return ownGroups(platform).map(({ autoscaling, ...group }) => ({
    ...group,
    namespace: platform.namespace,
    policy: scalePolicy(autoscaling),
  }));
}

/** Groups of other programs: their Deployments are not the operator's. */
export function externalTargets({ namespace, spec }: Pick<PlatformInput, 'namespace' | 'spec'>): ScaleTarget[] {
  return spec.consumerGroups.map(({ name, topics, deployment, autoscaling }) => ({
    group: name,
    topics,
    namespace,
    deployment,
    policy: scalePolicy(autoscaling),
  }));
}

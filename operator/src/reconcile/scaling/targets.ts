/** From the spec to the targets and policies of the autoscaler. Pure. */
import type { ScaledKind, ScalePolicy, ScaleTarget } from '../../autoscale/index.ts';
import { durationMs, type Autoscaling, type ConsumerAutoscalerSpec } from '../../api/index.ts';
import { ownGroups, type PlatformInput } from '../../platform/index.ts';

const seconds = (duration: string) => durationMs(duration) / 1000;

/** The autoscaler's policy for the fields of `spec...autoscaling`, and for those of a ConsumerAutoscaler. */
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

/** A consumer group as a resource describes it. */
interface GroupDescription {
  group: string;
  topics: string[];
  namespace: string;
  /** Name of the object. */
  deployment: string;
  /** Its kind; a Deployment when left out. */
  kind?: ScaledKind;
  autoscaling: Autoscaling;
}

function targetOf({ autoscaling, ...group }: GroupDescription): ScaleTarget {
  return { ...group, policy: scalePolicy(autoscaling) };
}

function ownTargets(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): ScaleTarget[] {
  return ownGroups(platform).map((group) => targetOf({ ...group, namespace: platform.namespace }));
}

/** Groups of other programs: their Deployments are not the operator's. */
export function externalTargets({ namespace, spec }: Pick<PlatformInput, 'namespace' | 'spec'>): ScaleTarget[] {
  return spec.consumerGroups.map(({ name, ...group }) => targetOf({ ...group, group: name, namespace }));
}

/** The group of a ConsumerAutoscaler. */
export function autoscalerTarget(namespace: string, spec: ConsumerAutoscalerSpec): ScaleTarget {
  const { group, topics, scaleTargetRef } = spec;
  const { name, apiVersion, kind } = scaleTargetRef;
  return targetOf({ group, topics, namespace, deployment: name, kind: { apiVersion, kind }, autoscaling: spec });
}

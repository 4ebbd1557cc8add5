/** `autoscaling.mode: keda`: a ScaledObject of the same meaning, for clusters where KEDA scales everything. */
import { durationMs, INTEREST_GROUP, INTEREST_TOPIC } from '../api/index.ts';
import type { Draft } from './component.ts';
import { kafkaAccess } from './connections.ts';
import { nameOf } from './names.ts';
import type { PlatformInput } from './types.ts';

/** KEDA knows no delay: without `lagPerReplica` a replica is taken to apply so many events per second. */
const ASSUMED_RATE = 1000;

function lagThreshold({ spec }: PlatformInput): number {
  const { lagPerReplica, maxDelay } = spec.workloads.interest.autoscaling;
  return lagPerReplica ?? Math.max(1, Math.round((durationMs(maxDelay) / 1000) * ASSUMED_RATE));
}

function trigger(input: PlatformInput) {
  const { activationLag } = input.spec.workloads.interest.autoscaling;
  const access = kafkaAccess(input);
  return {
    type: 'kafka',
    metadata: {
      bootstrapServers: access.brokers.join(','),
      consumerGroup: INTEREST_GROUP,
      topic: INTEREST_TOPIC,
      lagThreshold: String(lagThreshold(input)),
      activationLagThreshold: String(activationLag),
      offsetResetPolicy: 'earliest',
      ...(access.tls ? { tls: 'enable' } : {}),
      ...(access.sasl ? { sasl: access.sasl.mechanism === 'plain' ? 'plaintext' : access.sasl.mechanism.replace('-sha-', '_sha') } : {}),
    },
    ...(access.sasl || access.caSecret ? { authenticationRef: { name: nameOf(input, 'interest') } } : {}),
  };
}

function authentication(input: PlatformInput): Draft | undefined {
  const { sasl, caSecret } = kafkaAccess(input);
  if (!sasl && !caSecret) return undefined;
  const secretTargetRef = [
    ...(sasl
      ? [
          { parameter: 'username', name: sasl.secretName, key: sasl.usernameKey },
          { parameter: 'password', name: sasl.secretName, key: sasl.passwordKey },
        ]
      : []),
    ...(caSecret ? [{ parameter: 'ca', name: caSecret.name, key: caSecret.key }] : []),
  ];
  return { apiVersion: 'keda.sh/v1alpha1', kind: 'TriggerAuthentication', name: nameOf(input, 'interest'), spec: { secretTargetRef } };
}

/** KEDA's objects for the interest consumer; none in the other modes, nor in hibernation, where nothing may wake it. */
export function scaledObject(input: PlatformInput): (Draft | undefined)[] {
  const { autoscaling } = input.spec.workloads.interest;
  if (autoscaling.mode !== 'keda' || input.spec.hibernate) return [];
  const down = Math.round(durationMs(autoscaling.scaleDownWindow) / 1000);
  const idle = Math.round(durationMs(autoscaling.idleTime) / 1000);
  const scaled: Draft = {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    name: nameOf(input, 'interest'),
    spec: {
      scaleTargetRef: { name: nameOf(input, 'interest') },
      minReplicaCount: autoscaling.minReplicas,
      maxReplicaCount: autoscaling.maxReplicas,
      cooldownPeriod: idle,
      ...(autoscaling.safeReplicas === undefined ? {} : { fallback: { failureThreshold: 3, replicas: autoscaling.safeReplicas } }),
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: Math.min(3600, down) } } } },
      triggers: [trigger(input)],
    },
  };
  return [authentication(input), scaled];
}

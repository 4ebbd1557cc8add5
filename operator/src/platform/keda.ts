/** `autoscaling.mode: keda`: a ScaledObject of the same meaning, for clusters where KEDA scales all workloads. */
import { durationMs, type KafkaAccess } from '../api/index.ts';
import type { Draft } from './component.ts';
import type { ConsumerGroup } from './definition.ts';
import { nameOf } from './names.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { PlatformInput } from './types.ts';

type Autoscaling = BssPlatformSpec['workloads']['interest']['autoscaling'];

/** KEDA has no setting for a delay: without `lagPerReplica` a replica is assumed to apply this many events per second. */
const ASSUMED_RATE = 1000;

function lagThreshold({ lagPerReplica, maxDelay }: Autoscaling): number {
  return lagPerReplica ?? Math.max(1, Math.round((durationMs(maxDelay) / 1000) * ASSUMED_RATE));
}

function trigger(name: string, { name: group, topics }: ConsumerGroup, autoscaling: Autoscaling, access: KafkaAccess) {
  return {
    type: 'kafka',
    metadata: {
      bootstrapServers: access.brokers.join(','),
      consumerGroup: group,
      topic: topics.join(','),
      lagThreshold: String(lagThreshold(autoscaling)),
      activationLagThreshold: String(autoscaling.activationLag),
      offsetResetPolicy: 'earliest',
      ...(access.tls ? { tls: 'enable' } : {}),
      ...(access.sasl ? { sasl: access.sasl.mechanism === 'plain' ? 'plaintext' : access.sasl.mechanism.replace('-sha-', '_sha') } : {}),
    },
    ...(authenticates(access) ? { authenticationRef: { name } } : {}),
  };
}

const authenticates = ({ sasl, caSecret, clientCertificate }: KafkaAccess): boolean => Boolean(sasl ?? caSecret ?? clientCertificate);

function authentication(name: string, access: KafkaAccess): Draft<'TriggerAuthentication'> | undefined {
  if (!authenticates(access)) return undefined;
  const { sasl, caSecret, clientCertificate: client } = access;
  const secretTargetRef = [
    ...(sasl
      ? [
          { parameter: 'username', name: sasl.secretName, key: sasl.usernameKey },
          { parameter: 'password', name: sasl.secretName, key: sasl.passwordKey },
        ]
      : []),
    ...(caSecret ? [{ parameter: 'ca', name: caSecret.name, key: caSecret.key }] : []),
    ...(client
      ? [
          { parameter: 'cert', name: client.secretName, key: client.certificateKey },
          { parameter: 'key', name: client.secretName, key: client.keyKey },
        ]
      : []),
  ];
  return { kind: 'TriggerAuthentication', name, spec: { secretTargetRef } };
}

/** KEDA's objects for the Deployment of a consumer group; none in the other modes, nor in hibernation, in which nothing may start it. */
export function scaledObject(input: PlatformInput, component: string, group: ConsumerGroup, access: KafkaAccess): (Draft | undefined)[] {
  const autoscaling = group.autoscaling(input.spec);
  if (autoscaling.mode !== 'keda' || input.spec.hibernate) return [];
  const name = nameOf(input, component);
  const down = Math.round(durationMs(autoscaling.scaleDownWindow) / 1000);
  const idle = Math.round(durationMs(autoscaling.idleTime) / 1000);
  const scaled: Draft<'ScaledObject'> = {
    kind: 'ScaledObject',
    name,
    spec: {
      scaleTargetRef: { name },
      minReplicaCount: autoscaling.minReplicas,
      maxReplicaCount: autoscaling.maxReplicas,
      cooldownPeriod: idle,
      ...(autoscaling.safeReplicas === undefined ? {} : { fallback: { failureThreshold: 3, replicas: autoscaling.safeReplicas } }),
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: Math.min(3600, down) } } } },
      triggers: [trigger(name, group, autoscaling, access)],
    },
  };
  return [authentication(name, access), scaled];
}

/** The batch consumer that applies interest transactions, and how it is scaled. */
import { databasePools, INTEREST_DLQ_TOPIC, INTEREST_GROUP, INTEREST_TOPIC } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { databaseClient, kafkaClient } from './connections.ts';
import { scaledObject } from './keda.ts';
import { disruptionBudget } from './parts.ts';
import { value } from './pods.ts';
import type { PlatformInput } from './types.ts';
import { workload } from './workload.ts';

/** Replicas that the operator sets by apply; undefined when the group is scaled by its lag. */
function fixedReplicas({ spec }: PlatformInput): number | undefined {
  const { autoscaling, replicas } = spec.workloads.interest;
  return autoscaling.mode === 'fixed' ? (replicas ?? autoscaling.minReplicas) : undefined;
}

export function interestComponent(input: PlatformInput): Blueprint | undefined {
  const { interest } = input.spec.workloads;
  if (!interest.enabled) return undefined;
  const database = databaseClient(input, 'interest', databasePools(input.spec).interest);
  const kafka = kafkaClient(input);
  return blueprint('interest', 'workloads', [
    workload(input, {
      name: 'interest',
      spec: interest,
      replicas: fixedReplicas(input),
      env: [
        ...database.env,
        ...kafka.env,
        value('INTEREST_TOPIC', INTEREST_TOPIC),
        value('INTEREST_GROUP', INTEREST_GROUP),
        value('INTEREST_DLQ_TOPIC', INTEREST_DLQ_TOPIC),
        value('INTEREST_BATCH_MAX_RECORDS', interest.batch.maxRecords),
        value('INTEREST_FETCH_MIN_BYTES', interest.batch.fetchMinBytes),
        value('INTEREST_FETCH_MAX_WAIT_MS', interest.batch.fetchMaxWaitMs),
      ],
      secrets: [...database.secrets, ...kafka.secrets],
      volumes: kafka.volumes,
      mounts: kafka.mounts,
      // The batch in hand is finished and committed before the member leaves its group.
      gracePeriodSeconds: 45,
      // Every pod that comes or goes is a rebalance: a quarter at a time instead of one by one.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    }),
    disruptionBudget(input, 'interest'),
    ...scaledObject(input),
  ]);
}

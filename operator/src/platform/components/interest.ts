/** The batch consumer that applies interest transactions. The operator scales it on the lag of its group. */
import { z } from 'zod';
import { autoscaling, settleBounds } from '../../api/autoscaling.ts';
import { piece } from '../../api/piece.ts';
import { amounts, isObject } from '../../api/profiles.ts';
import { defaultText, rule } from '../../api/rules.ts';
import type { BuildInput, ComponentDefinition, ConsumerGroup } from '../definition.ts';
import { scaledObject } from '../keda.ts';
import { disruptionBudget } from '../parts.ts';
import { value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice } from '../types.ts';
import { databasePool, METRICS_PORT, workload, workloadConnections, workloadFields } from '../workload.ts';
import { kafkaAccess, kafkaClient } from './kafka.ts';
import { databaseClient } from './pgbouncer.ts';

export const INTEREST_TOPIC = 'interest.transaction.v1';
export const INTEREST_DLQ_TOPIC = 'interest.transaction.v1.dlq';
export const INTEREST_GROUP = 'interest-batch';

const batch = z
  .strictObject({
    maxRecords: z.int().min(1).max(5000).default(5000).describe('Maximum number of events in one database transaction.'),
    fetchMinBytes: z
      .int()
      .min(1)
      .max(4_194_304)
      .default(1_048_576)
      .describe('A fetch waits until the broker has this many bytes (fetch.min.bytes) ...'),
    fetchMaxWaitMs: z.int().min(1).max(5000).default(500).describe('... or until this many milliseconds have passed (fetch.max.wait.ms).'),
  })
  .prefault({})
  .describe('Size of the batches that the consumer reads and applies.');

const schema = rule(
  z.strictObject({
    ...workloadFields('the interest consumer'),
    replicas: defaultText(
      z.int().min(0).max(1000).optional().describe('Number of replicas when autoscaling is off (autoscaling.mode: fixed).'),
      'autoscaling.minReplicas',
    ),
    autoscaling,
    batch,
    databasePool,
  }),
  {
    cel: "!has(self.replicas) || !has(self.autoscaling.mode) || self.autoscaling.mode == 'fixed'",
    message:
      'replicas needs autoscaling.mode fixed: set the mode to fixed, or remove replicas and set autoscaling.minReplicas and maxReplicas',
    fieldPath: '.replicas',
    check: (given) => given.replicas === undefined || given.autoscaling.mode === 'fixed',
  },
)
  .prefault({})
  .describe('Batch consumer that applies interest transactions to the ledger.');

/** A replica count without a mode is a fixed number. */
function settleScaling(interest: unknown, given: unknown): unknown {
  if (!isObject(interest)) return interest;
  if (interest['autoscaling'] !== undefined && !isObject(interest['autoscaling'])) return interest;
  const own = isObject(given) && isObject(given['autoscaling']) ? given['autoscaling'] : {};
  const scaling = settleBounds({ ...interest['autoscaling'] }, own);
  if (scaling['mode'] === undefined && typeof interest['replicas'] === 'number') scaling['mode'] = 'fixed';
  return { ...interest, autoscaling: scaling };
}

export const specPiece = piece('workloads.interest', schema, {
  profiles: {
    small: { resources: amounts('100m', '160Mi', '1', '512Mi') },
    production: { autoscaling: { maxReplicas: 12 }, resources: amounts('500m', '384Mi', undefined, '768Mi') },
  },
  settle: settleScaling,
});

type Interest = BssPlatformSpec['workloads']['interest'];

const GROUP: ConsumerGroup = {
  name: INTEREST_GROUP,
  topics: [INTEREST_TOPIC],
  at: 'workloads.interest.autoscaling',
  autoscaling: ({ workloads }) => workloads.interest.autoscaling,
};

/** Replicas that the operator sets by apply; undefined when the group is scaled on its lag. */
function fixedReplicas({ autoscaling: { mode, minReplicas }, replicas }: Interest): number | undefined {
  return mode === 'fixed' ? (replicas ?? minReplicas) : undefined;
}

function idleReplicas({ topics, workloads: { interest } }: BssPlatformSpec): Advice | undefined {
  const partitions = topics.find((topic) => topic.name === INTEREST_TOPIC)?.partitions ?? 0;
  const fixed = interest.autoscaling.mode === 'fixed';
  const replicas = fixed ? (interest.replicas ?? interest.autoscaling.minReplicas) : interest.autoscaling.maxReplicas;
  if (!interest.enabled || replicas <= partitions) return undefined;
  return {
    path: fixed ? 'spec.workloads.interest.replicas' : 'spec.workloads.interest.autoscaling.maxReplicas',
    message: `${replicas} consumers for ${partitions} partitions of ${INTEREST_TOPIC}: ${replicas - partitions} would be idle; lower it, or raise the partitions under spec.topics`,
  };
}

function consumers(input: BuildInput) {
  const { interest } = input.spec.workloads;
  const database = databaseClient(input, 'interest');
  const kafka = kafkaClient(input);
  return workload(input, {
    name: 'interest',
    semiSpaceMebibytes: 8,
    spec: interest,
    replicas: fixedReplicas(interest),
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
    // A member finishes and commits its batch before it leaves the group.
    gracePeriodSeconds: 45,
    // Every pod that joins or leaves the group is a rebalance: replace a quarter at a time instead of one by one.
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
  });
}

export const definition: ComponentDefinition = {
  name: 'interest',
  stage: 'workloads',
  present: ({ workloads }) => workloads.interest.enabled,
  ports: () => ({ metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'kafka', 'pgbouncer'),
  database: {
    name: 'ledger',
    role: 'interest',
    pool: {
      most: 4,
      size: ({ workloads }) => workloads.interest.databasePool,
      replicas: ({ workloads: { interest } }) => fixedReplicas(interest) ?? interest.autoscaling.maxReplicas,
    },
  },
  topics: [
    { name: INTEREST_TOPIC, partitions: 12 },
    // A dead letter is its record and some headers more.
    { name: INTEREST_DLQ_TOPIC, partitions: 1, retention: '30d', maxMessageBytes: 2 * 1024 * 1024 },
  ],
  consumerGroup: GROUP,
  advise: (all) => [idleReplicas(all)],
  manifests: (input) => [
    consumers(input),
    disruptionBudget(input, 'interest'),
    ...scaledObject(input, 'interest', GROUP, kafkaAccess(input)),
  ],
};

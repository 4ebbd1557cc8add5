/** The read model: balances and statements projected from the entries of the ledger. */
import { z } from 'zod';
import { autoscaling, type Autoscaling } from '../../api/autoscaling.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { acceptedKeys, type CalledService } from '../api-keys.ts';
import type { ComponentDefinition, ConsumerGroup } from '../definition.ts';
import { follows, hasReadModel } from '../event-path.ts';
import { addressOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice } from '../types.ts';
import { commonFields, databasePool, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections } from '../workload.ts';
import { kafkaClient } from './kafka.ts';
import { ENTRY_TOPIC } from './outbox-relay.ts';
import { databaseClient } from './pgbouncer.ts';

export const ENTRY_DLQ_TOPIC = `${ENTRY_TOPIC}.dlq`;
export const READ_MODEL_GROUP = 'read-model';

const schema = z
  .strictObject({
    enabled: follows('the read model', 'true where the outbox relay runs'),
    ...commonFields(),
    replicas: replicas.describe('Number of replicas. They share the partitions of the topic.'),
    databasePool,
  })
  .prefault({})
  .describe('Answers queries of balances and statements, which it projects from the entries of the ledger.');

export const specPiece = piece('workloads.readModel', schema, {
  profiles: {
    small: { resources: amounts('50m', '96Mi', '500m', '384Mi') },
    production: { replicas: 2, resources: amounts('250m', '192Mi', undefined, '512Mi') },
  },
  groupRules: [
    {
      cel: '!self.?readModel.?enabled.orValue(false) || (self.?outboxRelay.?enabled.orValue(true) && (self.ledger.enabled || self.interest.enabled))',
      message:
        'the read model needs the outbox relay with the ledger or the interest consumer: enable them, or set workloads.readModel.enabled to false',
      fieldPath: '.readModel',
      check: ({ readModel, outboxRelay, ledger, interest }) =>
        !readModel?.enabled || ((outboxRelay?.enabled ?? true) && (ledger?.enabled === true || interest?.enabled === true)),
    },
  ],
});

const READ_MODEL_KEY = 'read-model-api-key';

export const READ_MODEL: CalledService = { component: 'read-model', key: READ_MODEL_KEY, prefix: 'READ_MODEL' };

const FIXED: Autoscaling = autoscaling.parse({ mode: 'fixed' });

/** The operator shows the lag of the group and leaves the replicas to the spec. */
const GROUP: ConsumerGroup = {
  name: READ_MODEL_GROUP,
  topics: [ENTRY_TOPIC],
  at: 'workloads.readModel.replicas',
  autoscaling: ({ workloads: { readModel } }) => ({
    ...FIXED,
    minReplicas: readModel.replicas,
    maxReplicas: Math.max(1, readModel.replicas),
  }),
};

function idleReplicas(spec: BssPlatformSpec): Advice | undefined {
  const partitions = spec.topics.find((topic) => topic.name === ENTRY_TOPIC)?.partitions ?? 0;
  const { replicas: count } = spec.workloads.readModel;
  if (!hasReadModel(spec) || count <= partitions) return undefined;
  return {
    path: 'spec.workloads.readModel.replicas',
    message: `${count} replicas for ${partitions} partitions of ${ENTRY_TOPIC}: ${count - partitions} would project nothing; lower it, or raise the partitions under spec.topics`,
  };
}

export const definition: ComponentDefinition = {
  name: 'read-model',
  stage: 'workloads',
  present: hasReadModel,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'kafka', 'pgbouncer'),
  database: {
    name: 'readmodel',
    role: 'readmodel',
    pool: {
      most: 10,
      size: ({ workloads }) => workloads.readModel.databasePool,
      replicas: ({ workloads }) => workloads.readModel.replicas,
    },
  },
  credentials: [{ key: READ_MODEL_KEY, type: 'token' }],
  reads: [READ_MODEL_KEY],
  // A dead letter is its record and some headers more.
  topics: [{ name: ENTRY_DLQ_TOPIC, partitions: 1, retention: '30d', maxMessageBytes: 2 * 1024 * 1024 }],
  consumerGroup: GROUP,
  endpoints: (platform) =>
    hasReadModel(platform.spec) ? [{ name: 'read-model', address: `http://${addressOf(platform, 'read-model')}:${HTTP_PORT}` }] : [],
  advise: (all) => [idleReplicas(all)],
  manifests: (input) => {
    const { readModel } = input.spec.workloads;
    const [database, kafka, keys] = [databaseClient(input, 'readmodel'), kafkaClient(input), acceptedKeys(input, READ_MODEL_KEY)];
    return [
      service(input, 'read-model', { http: HTTP_PORT }),
      workload(input, {
        name: 'read-model',
        semiSpaceMebibytes: 8,
        spec: readModel,
        replicas: readModel.replicas,
        env: [
          ...database.env,
          ...kafka.env,
          ...keys.env,
          value('READ_MODEL_TOPIC', ENTRY_TOPIC),
          value('READ_MODEL_GROUP', READ_MODEL_GROUP),
          value('READ_MODEL_DLQ_TOPIC', ENTRY_DLQ_TOPIC),
        ],
        secrets: [...database.secrets, ...kafka.secrets, ...keys.secrets],
        volumes: kafka.volumes,
        mounts: kafka.mounts,
        http: true,
        // A member finishes and commits its batch before it leaves the group.
        gracePeriodSeconds: 45,
      }),
      disruptionBudget(input, 'read-model'),
    ];
  },
};

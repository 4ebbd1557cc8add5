/** The relay of the ledger's outbox: it publishes the entries of customer accounts to Kafka. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { follows, hasOutboxRelay } from '../event-path.ts';
import { disruptionBudget } from '../parts.ts';
import { value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice } from '../types.ts';
import { commonFields, databasePool, METRICS_PORT, replicas, workload, workloadConnections } from '../workload.ts';
import { kafkaClient } from './kafka.ts';
import { databaseClient } from './pgbouncer.ts';

export const ENTRY_TOPIC = 'ledger.entry.v1';

const schema = z
  .strictObject({
    enabled: follows('the relay', 'true where the ledger or the interest consumer is enabled'),
    ...commonFields(),
    replicas: replicas.describe('Number of replicas. One publishes at a time, the others stand by.'),
    databasePool,
  })
  .prefault({})
  .describe("Publishes the entries of the ledger's outbox to Kafka.");

export const specPiece = piece('workloads.outboxRelay', schema, {
  profiles: {
    small: { resources: amounts('25m', '96Mi', '500m', '384Mi') },
    production: { replicas: 2, resources: amounts('100m', '128Mi', undefined, '384Mi') },
  },
  groupRules: [
    {
      cel: '!self.?outboxRelay.?enabled.orValue(false) || self.ledger.enabled || self.interest.enabled',
      message:
        'the outbox relay needs the ledger or the interest consumer: enable one of them, or set workloads.outboxRelay.enabled to false',
      fieldPath: '.outboxRelay',
      check: ({ outboxRelay, ledger, interest }) => !outboxRelay?.enabled || ledger?.enabled === true || interest?.enabled === true,
    },
  ],
});

/** Rows of the outbox are deleted by the relay alone. */
function unsentRows({ workloads: { outboxRelay, ledger, interest } }: BssPlatformSpec): Advice | undefined {
  if (outboxRelay.enabled !== false || !(ledger.enabled || interest.enabled)) return undefined;
  return {
    path: 'spec.workloads.outboxRelay.enabled',
    message: 'nothing publishes the entries of the ledger: their rows fill the outbox and the disk of the database; turn the relay on',
  };
}

export const definition: ComponentDefinition = {
  name: 'outbox-relay',
  stage: 'workloads',
  present: hasOutboxRelay,
  ports: () => ({ metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'pgbouncer', 'kafka'),
  database: {
    name: 'ledger',
    role: 'relay',
    pool: {
      most: 3,
      size: ({ workloads }) => workloads.outboxRelay.databasePool,
      replicas: ({ workloads }) => workloads.outboxRelay.replicas,
    },
  },
  // A rebuild of a projection reads the entries from the first one on.
  topics: [{ name: ENTRY_TOPIC, partitions: 12, retention: 'unlimited' }],
  advise: (all) => [unsentRows(all)],
  manifests: (input) => {
    const { outboxRelay } = input.spec.workloads;
    const [database, kafka] = [databaseClient(input, 'relay'), kafkaClient(input)];
    return [
      workload(input, {
        name: 'outbox-relay',
        semiSpaceMebibytes: 8,
        spec: outboxRelay,
        replicas: outboxRelay.replicas,
        env: [...database.env, ...kafka.env, value('LEDGER_ENTRY_TOPIC', ENTRY_TOPIC)],
        secrets: [...database.secrets, ...kafka.secrets],
        volumes: kafka.volumes,
        mounts: kafka.mounts,
        gracePeriodSeconds: 30,
      }),
      disruptionBudget(input, 'outbox-relay'),
    ];
  },
};

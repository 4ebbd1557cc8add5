/** The Kafka exporter: metrics of topics and consumer groups. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { service } from '../parts.ts';
import { workload, workloadConnections, workloadFields } from '../workload.ts';
import { kafkaClient } from './kafka.ts';

const PORT = 9308;

const schema = z.strictObject(workloadFields('the Kafka exporter')).prefault({}).describe('Metrics of topics and consumer groups.');

export const specPiece = piece('workloads.kafkaExporter', schema, {
  profiles: {
    small: { resources: amounts('20m', '96Mi', '250m', '256Mi') },
    production: { resources: amounts('50m', '128Mi', undefined, '256Mi') },
  },
});

export const definition: ComponentDefinition = {
  name: 'kafka-exporter',
  stage: 'observability',
  present: ({ workloads }) => workloads.kafkaExporter.enabled,
  ports: () => ({ metrics: PORT }),
  connections: (all) => workloadConnections(all, 'kafka'),
  manifests: (input) => {
    const { env, ...rest } = kafkaClient(input);
    return [
      service(input, 'kafka-exporter', { metrics: PORT }),
      workload(input, {
        name: 'kafka-exporter',
        spec: input.spec.workloads.kafkaExporter,
        replicas: 1,
        env,
        ...rest,
        metricsPort: PORT,
        gracePeriodSeconds: 15,
        // Two of them at a time would count every lag twice.
        strategy: { type: 'Recreate' },
      }),
    ];
  },
};

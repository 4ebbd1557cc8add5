/** The ledger: accounts and the double-entry journal. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { databasePool, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections, workloadFields } from '../workload.ts';
import { databaseClient } from './pgbouncer.ts';

const schema = z
  .strictObject({ ...workloadFields('the ledger'), replicas, databasePool })
  .prefault({})
  .describe('Accounts and the double-entry journal.');

export const specPiece = piece('workloads.ledger', schema, {
  profiles: {
    small: { resources: amounts('50m', '128Mi', '500m', '384Mi') },
    production: { replicas: 2, resources: amounts('250m', '256Mi', undefined, '512Mi') },
  },
});

export const definition: ComponentDefinition = {
  name: 'ledger',
  stage: 'workloads',
  present: ({ workloads }) => workloads.ledger.enabled,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'pgbouncer'),
  database: {
    role: 'ledger',
    pool: { most: 10, size: ({ workloads }) => workloads.ledger.databasePool, replicas: ({ workloads }) => workloads.ledger.replicas },
  },
  endpoints: (platform) =>
    platform.spec.workloads.ledger.enabled ? [{ name: 'ledger', address: `http://${addressOf(platform, 'ledger')}:${HTTP_PORT}` }] : [],
  manifests: (input) => {
    const { ledger } = input.spec.workloads;
    const database = databaseClient(input, 'ledger');
    return [
      service(input, 'ledger', { http: HTTP_PORT }),
      workload(input, {
        name: 'ledger',
        spec: ledger,
        replicas: ledger.replicas,
        env: database.env,
        secrets: database.secrets,
        http: true,
        gracePeriodSeconds: 30,
      }),
      disruptionBudget(input, 'ledger'),
    ];
  },
};

/** The ledger: accounts and the double-entry journal. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { acceptedKeys, type CalledService } from '../api-keys.ts';
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

/** Key of the API key by which services of the platform call the ledger. */
export const LEDGER_KEY = 'ledger-api-key';

export const LEDGER: CalledService = { component: 'ledger', key: LEDGER_KEY, prefix: 'LEDGER' };

export const definition: ComponentDefinition = {
  name: 'ledger',
  stage: 'workloads',
  present: ({ workloads }) => workloads.ledger.enabled,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'pgbouncer'),
  database: {
    name: 'ledger',
    role: 'ledger',
    pool: { most: 10, size: ({ workloads }) => workloads.ledger.databasePool, replicas: ({ workloads }) => workloads.ledger.replicas },
  },
  credentials: [{ key: LEDGER_KEY, type: 'token' }],
  reads: [LEDGER_KEY],
  endpoints: (platform) =>
    platform.spec.workloads.ledger.enabled ? [{ name: 'ledger', address: `http://${addressOf(platform, 'ledger')}:${HTTP_PORT}` }] : [],
  manifests: (input) => {
    const { ledger } = input.spec.workloads;
    const database = databaseClient(input, 'ledger');
    const keys = acceptedKeys(input, LEDGER_KEY);
    return [
      service(input, 'ledger', { http: HTTP_PORT }),
      workload(input, {
        name: 'ledger',
        spec: ledger,
        replicas: ledger.replicas,
        env: [...database.env, ...keys.env],
        secrets: [...database.secrets, ...keys.secrets],
        http: true,
        gracePeriodSeconds: 30,
      }),
      disruptionBudget(input, 'ledger'),
    ];
  },
};

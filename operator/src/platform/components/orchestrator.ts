/** The orchestrator: transfers with idempotency keys. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { acceptedKeys, callerOf, type CalledService } from '../api-keys.ts';
import type { ComponentDefinition } from '../definition.ts';
import { follows, hasOrchestrator } from '../event-path.ts';
import { addressOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { value, type Requirements } from '../pods.ts';
import { commonFields, databasePool, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections } from '../workload.ts';
import { LEDGER, LEDGER_KEY } from './ledger.ts';
import { databaseClient } from './pgbouncer.ts';

const schema = z
  .strictObject({
    enabled: follows('the orchestrator', 'true where the ledger is enabled'),
    ...commonFields(),
    replicas,
    databasePool,
    idempotencyHours: z
      .int()
      .min(24)
      .max(8760)
      .default(24)
      .describe('How long a repeated Idempotency-Key gets the first answer (IDEMPOTENCY_TTL_HOURS).'),
  })
  .prefault({})
  .describe('Transfers between accounts, each at most once for an Idempotency-Key.');

export const specPiece = piece('workloads.orchestrator', schema, {
  profiles: {
    small: { resources: amounts('50m', '96Mi', '500m', '256Mi') },
    production: { replicas: 2, resources: amounts('250m', '192Mi', undefined, '512Mi') },
  },
  groupRules: [
    {
      cel: '!self.?orchestrator.?enabled.orValue(false) || self.ledger.enabled',
      message: 'the orchestrator needs the ledger: set workloads.ledger.enabled to true, or workloads.orchestrator.enabled to false',
      fieldPath: '.orchestrator',
      check: ({ orchestrator, ledger }) => !orchestrator?.enabled || ledger?.enabled === true,
    },
  ],
});

const ORCHESTRATOR_KEY = 'orchestrator-api-key';

export const ORCHESTRATOR: CalledService = { component: 'orchestrator', key: ORCHESTRATOR_KEY, prefix: 'ORCHESTRATOR' };

export const definition: ComponentDefinition = {
  name: 'orchestrator',
  stage: 'workloads',
  present: hasOrchestrator,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'pgbouncer', 'ledger'),
  database: {
    name: 'orchestrator',
    role: 'orchestrator',
    pool: {
      most: 10,
      size: ({ workloads }) => workloads.orchestrator.databasePool,
      replicas: ({ workloads }) => workloads.orchestrator.replicas,
    },
  },
  credentials: [{ key: ORCHESTRATOR_KEY, type: 'token' }],
  reads: [ORCHESTRATOR_KEY, LEDGER_KEY],
  endpoints: (platform) =>
    hasOrchestrator(platform.spec) ? [{ name: 'orchestrator', address: `http://${addressOf(platform, 'orchestrator')}:${HTTP_PORT}` }] : [],
  manifests: (input) => {
    const { orchestrator } = input.spec.workloads;
    const parts: Requirements[] = [databaseClient(input, 'orchestrator'), acceptedKeys(input, ORCHESTRATOR_KEY), callerOf(input, LEDGER)];
    return [
      service(input, 'orchestrator', { http: HTTP_PORT }),
      workload(input, {
        name: 'orchestrator',
        spec: orchestrator,
        replicas: orchestrator.replicas,
        env: [...parts.flatMap(({ env }) => env), value('IDEMPOTENCY_TTL_HOURS', orchestrator.idempotencyHours)],
        secrets: parts.flatMap(({ secrets }) => secrets),
        http: true,
        gracePeriodSeconds: 30,
      }),
      disruptionBudget(input, 'orchestrator'),
    ];
  },
};

/** Accounts: opens accounts in the ledger and publishes that they were opened. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { acceptedKeys, callerOf, type CalledService } from '../api-keys.ts';
import type { ComponentDefinition } from '../definition.ts';
import { follows, hasAccounts } from '../event-path.ts';
import { addressOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import type { Requirements } from '../pods.ts';
import { commonFields, databasePool, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections } from '../workload.ts';
import { kafkaClient } from './kafka.ts';
import { LEDGER, LEDGER_KEY } from './ledger.ts';
import { databaseClient } from './pgbouncer.ts';

const OPENED_TOPIC = 'account.opened.v1';

const schema = z
  .strictObject({
    enabled: follows('the accounts service', 'true where the ledger is enabled'),
    ...commonFields(),
    replicas,
    databasePool,
  })
  .prefault({})
  .describe('Opens accounts in the ledger.');

export const specPiece = piece('workloads.accounts', schema, {
  profiles: {
    small: { resources: amounts('25m', '96Mi', '500m', '256Mi') },
    production: { replicas: 2, resources: amounts('100m', '128Mi', undefined, '384Mi') },
  },
  groupRules: [
    {
      cel: '!self.?accounts.?enabled.orValue(false) || self.ledger.enabled',
      message: 'the accounts service needs the ledger: set workloads.ledger.enabled to true, or workloads.accounts.enabled to false',
      fieldPath: '.accounts',
      check: ({ accounts, ledger }) => !accounts?.enabled || ledger?.enabled === true,
    },
  ],
});

const ACCOUNTS_KEY = 'accounts-api-key';

export const ACCOUNTS: CalledService = { component: 'accounts', key: ACCOUNTS_KEY, prefix: 'ACCOUNTS' };

export const definition: ComponentDefinition = {
  name: 'accounts',
  stage: 'workloads',
  present: hasAccounts,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'pgbouncer', 'kafka', 'ledger'),
  database: {
    name: 'accounts',
    role: 'accounts',
    pool: { most: 5, size: ({ workloads }) => workloads.accounts.databasePool, replicas: ({ workloads }) => workloads.accounts.replicas },
  },
  credentials: [{ key: ACCOUNTS_KEY, type: 'token' }],
  reads: [ACCOUNTS_KEY, LEDGER_KEY],
  topics: [{ name: OPENED_TOPIC, partitions: 3, retention: 'unlimited' }],
  endpoints: (platform) =>
    hasAccounts(platform.spec) ? [{ name: 'accounts', address: `http://${addressOf(platform, 'accounts')}:${HTTP_PORT}` }] : [],
  manifests: (input) => {
    const { accounts } = input.spec.workloads;
    const kafka = kafkaClient(input);
    const parts: Requirements[] = [databaseClient(input, 'accounts'), kafka, acceptedKeys(input, ACCOUNTS_KEY), callerOf(input, LEDGER)];
    return [
      service(input, 'accounts', { http: HTTP_PORT }),
      workload(input, {
        name: 'accounts',
        spec: accounts,
        replicas: accounts.replicas,
        env: parts.flatMap(({ env }) => env),
        secrets: parts.flatMap(({ secrets }) => secrets),
        volumes: kafka.volumes,
        mounts: kafka.mounts,
        http: true,
        gracePeriodSeconds: 30,
      }),
      disruptionBudget(input, 'accounts'),
    ];
  },
};

/**
 * The Job that makes the database, its roles and its tables. A Job cannot change, so its name carries a hash of its pod: another pod, another
 * Job. Running it again does no harm.
 */
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { postgresAccess, postgresAdmin } from './connections.ts';
import { hash } from './hash.ts';
import { credentialsName, nameOf } from './names.ts';
import { container, fromSecret, podTemplate, value } from './pods.ts';
import type { PlatformInput } from './types.ts';
import { baseEnvironment, nodeRuntime, WORKLOAD_USER } from './workload.ts';

const RESOURCES = { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '1', memory: '384Mi' } };
const ROLES = ['ledger', 'interest'] as const;

function pod(input: PlatformInput) {
  const { ledger } = input.spec.workloads;
  const server = postgresAccess(input);
  const admin = postgresAdmin(input, 'DATABASE_ADMIN_USER', 'PGPASSWORD');
  const tls = server.tls === 'require' ? '?uselibpqcompat=true&sslmode=require' : '';
  return podTemplate(input, {
    component: 'migrate',
    placement: ledger,
    user: WORKLOAD_USER,
    secrets: [...admin.secrets, { name: credentialsName(input), keys: ROLES.map((role) => `${role}-password`) }],
    gracePeriodSeconds: 30,
    restartPolicy: 'OnFailure',
    containers: [
      container(input, {
        name: 'migrate',
        image: 'workloads',
        command: ['node', 'workloads/migrate/main.ts'],
        env: [
          ...baseEnvironment(input, 'migrate', ledger.logLevel),
          ...nodeRuntime(RESOURCES),
          ...admin.env,
          value('DATABASE_ADMIN_URL', `postgresql://$(DATABASE_ADMIN_USER)@${server.host}:${server.port}/postgres${tls}`),
          ...ROLES.map((role) => fromSecret(`${role.toUpperCase()}_PASSWORD`, credentialsName(input), `${role}-password`)),
          value('SEED_ACCOUNTS', input.spec.seedAccounts),
        ],
        resources: RESOURCES,
      }),
    ],
  });
}

export function migrateComponent(input: PlatformInput): Blueprint {
  const template = pod(input);
  const job: Draft = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    name: nameOf(input, `migrate-${hash(template)}`),
    spec: { suspend: input.spec.hibernate, backoffLimit: 6, template },
  };
  return blueprint('migrate', 'setup', [job]);
}

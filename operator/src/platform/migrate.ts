/**
 * The Job that makes the database, its roles and its tables, and sees to it that every PgBouncer lets the logins through: what comes after it may
 * use them. A Job cannot change, so its name carries a hash of its pod: another pod, another
 * Job. Running it again does no harm.
 */
import type { V1EnvVar } from '@kubernetes/client-node';
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { postgresAccess, postgresAdmin } from './connections.ts';
import { DATABASE_ROLES, FORMER_ADMIN_KEY, passwordKey } from './credentials.ts';
import { hash } from './hash.ts';
import { addressOf, credentialsName, nameOf } from './names.ts';
import { container, fromSecret, podTemplate, value } from './pods.ts';
import type { PlatformInput, SecretUse } from './types.ts';
import { baseEnvironment, nodeRuntime, WORKLOAD_USER } from './workload.ts';

const RESOURCES = { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '1', memory: '384Mi' } };

/** Passwords by variable: of all logins that are good (the others are locked), and the administrator's former one. */
function passwords(input: PlatformInput): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const { live, formerAdmin } = input.slots;
  const logins = DATABASE_ROLES.flatMap((role) => live.map((slot) => passwordKey(role, slot))).map((key) => [variable(key), key] as const);
  const former = formerAdmin && input.spec.postgres.managed ? [['PGPASSWORD_FORMER', FORMER_ADMIN_KEY] as const] : [];
  const all = [...logins, ...former];
  const name = credentialsName(input);
  return { env: all.map(([text, key]) => fromSecret(text, name, key)), secrets: [{ name, keys: all.map(([, key]) => key) }] };
}

/** `ledger-b-password` becomes `LEDGER_B_PASSWORD`. */
function variable(key: string): string {
  return key.toUpperCase().replaceAll('-', '_');
}

function pod(input: PlatformInput) {
  const { ledger } = input.spec.workloads;
  const server = postgresAccess(input);
  const admin = postgresAdmin(input, 'DATABASE_ADMIN_USER', 'PGPASSWORD');
  const own = passwords(input);
  const tls = server.tls === 'require' ? '?uselibpqcompat=true&sslmode=require' : '';
  return podTemplate(input, {
    component: 'migrate',
    placement: ledger,
    user: WORKLOAD_USER,
    secrets: [...admin.secrets, ...own.secrets],
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
          ...own.env,
          value('POOLERS', `${addressOf(input, 'pgbouncer-headless')}:${input.spec.pgbouncer.port}`),
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

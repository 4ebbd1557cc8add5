/**
 * The Job that creates the database, its roles and its tables, and waits until every PgBouncer accepts the logins: components of later stages may
 * use them. A Job's pod template is immutable, so the Job's name carries a hash of it: another template, another Job. The Job can run repeatedly.
 */
import type { V1EnvVar } from '@kubernetes/client-node';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { hash } from '../hash.ts';
import { ADMIN_KEY, EXPORTER_KEY, FORMER_ADMIN_KEY, passwordKey } from '../logins.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { container, fromSecret, podTemplate, value } from '../pods.ts';
import { usesDatabase } from '../store.ts';
import type { SecretUse } from '../types.ts';
import { baseEnvironment, nodeRuntime, WORKLOAD_USER, workloadConnections } from '../workload.ts';
import { postgresAccess, postgresAdmin, postgresUrl } from './postgres.ts';

/** Every role, that of a component that is not present included: its login exists when the component is enabled. */
function rolesOf({ definitions }: BuildInput): string[] {
  return definitions.flatMap(({ database }) => (database ? [database.role] : []));
}

/**
 * The largest int32, no limit in practice: the kubelet restarts the container with backoff (at most 5 minutes apart) until the database is there. A
 * Job that has failed is not retried by Kubernetes.
 */
const BACKOFF_LIMIT = 2 ** 31 - 1;
const RESOURCES = { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '1', memory: '384Mi' } };

/** Passwords by variable: of all valid logins (the others are locked), the administrator's former one, and the exporter's. */
function passwords(input: BuildInput): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const { live, formerAdmin } = input.slots;
  const logins = rolesOf(input)
    .flatMap((role) => live.map((slot) => passwordKey(role, slot)))
    .map((key) => [variable(key), key] as const);
  const former = formerAdmin && input.spec.postgres.managed ? [['PGPASSWORD_FORMER', FORMER_ADMIN_KEY] as const] : [];
  const all = [...logins, ...former, [variable(EXPORTER_KEY), EXPORTER_KEY] as const];
  const name = credentialsName(input);
  return { env: all.map(([text, key]) => fromSecret(text, name, key)), secrets: [{ name, keys: all.map(([, key]) => key) }] };
}

/** `ledger-b-password` becomes `LEDGER_B_PASSWORD`. */
function variable(key: string): string {
  return key.toUpperCase().replaceAll('-', '_');
}

function pod(input: BuildInput) {
  const { ledger } = input.spec.workloads;
  const server = postgresAccess(input);
  const admin = postgresAdmin(input, 'DATABASE_ADMIN_USER', 'PGPASSWORD');
  const own = passwords(input);
  return podTemplate(input, {
    component: 'migrate',
    placement: ledger,
    user: WORKLOAD_USER,
    secrets: [...admin.secrets, ...own.secrets, ...(server.authority?.secrets ?? [])],
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
          value('DATABASE_ADMIN_URL', postgresUrl(input, '$(DATABASE_ADMIN_USER)', 'postgres')),
          ...own.env,
          value('POOLERS', `${addressOf(input, 'pgbouncer-headless')}:${input.spec.pgbouncer.port}`),
          value('SEED_ACCOUNTS', input.spec.seedAccounts),
        ],
        resources: RESOURCES,
        mounts: server.authority?.mounts ?? {},
      }),
    ],
    volumes: server.authority?.volumes ?? [],
  });
}

export const definition: ComponentDefinition = {
  name: 'migrate',
  stage: 'setup',
  present: usesDatabase,
  connections: (all) => workloadConnections(all, 'pgbouncer', 'postgres'),
  reads: [ADMIN_KEY, EXPORTER_KEY, 'every role'],
  manifests: (input) => {
    const template = pod(input);
    return [
      {
        kind: 'Job',
        name: nameOf(input, `migrate-${hash(template)}`),
        spec: { suspend: input.spec.hibernate, backoffLimit: BACKOFF_LIMIT, template },
      },
    ];
  },
};

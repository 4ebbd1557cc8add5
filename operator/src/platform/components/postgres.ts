/** PostgreSQL: one server, or one of the user's. */
import type { V1EnvVar } from '@kubernetes/client-node';
import { z } from 'zod';
import { host, managedXorExternal, objectName, placement, port, resources, storage } from '../../api/common.ts';
import { quantityValue } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { ADMIN_KEY } from '../logins.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet, type Managed } from '../parts.ts';
import {
  claimName,
  claimVolume,
  configVolume,
  container,
  fromSecret,
  mebibytes,
  podTemplate,
  probes,
  scratch,
  secretVolume,
  value,
} from '../pods.ts';
import { settleStore } from '../store.ts';
import type { PlatformInput, SecretUse } from '../types.ts';

const managedPostgres = z
  .strictObject({
    storage: storage('the database', '5Gi'),
    parameters: z
      .record(z.string().max(63), z.string().max(256))
      .default({})
      .meta({ maxProperties: 64 })
      .describe('Additional settings of postgresql.conf, such as work_mem: 16MB. A change restarts the server.'),
    maxConnections: z
      .int()
      .min(20)
      .max(1000)
      .default(100)
      .describe('max_connections of the server. PgBouncer multiplexes the workloads onto these.'),
    resources: resources('the server'),
    ...placement(),
  })
  .describe('One PostgreSQL server run by the operator: for small and test installations.');

const externalPostgres = z
  .strictObject({
    host: host('Address of the primary.'),
    port: port('Its port.', 5432),
    tls: z.enum(['disable', 'require']).default('require').describe('Encryption of connections to the server (sslmode).'),
    adminSecret: z
      .strictObject({
        name: objectName("Secret in the platform's namespace."),
        usernameKey: z.string().min(1).max(253).default('username').describe('Key of the user name.'),
        passwordKey: z.string().min(1).max(253).default('password').describe('Key of the password.'),
      })
      .describe(
        'A role with CREATEDB and CREATEROLE; it need not be a superuser. Used by the migration Job and the metrics exporter only; the workloads get roles of their own.',
      ),
  })
  .describe(
    'An existing PostgreSQL server, such as CloudNativePG or a cloud service. The operator creates the database ledger and its roles.',
  );

const schema = managedXorExternal(
  z
    .strictObject({ managed: managedPostgres.optional(), external: externalPostgres.optional() })
    .describe('The system of record. Managed with defaults when neither field is set.'),
  'PostgreSQL',
).prefault({});

export const specPiece = piece('postgres', schema, {
  profiles: {
    small: { managed: { resources: amounts('100m', '192Mi', '1', '768Mi') } },
    production: { managed: { storage: { size: '100Gi' }, maxConnections: 200, resources: amounts('1', '4Gi', undefined, '8Gi') } },
  },
  settle: settleStore,
});

// On SIGTERM PostgreSQL would wait for its clients.
const IMAGE = {
  name: 'postgres',
  ref: 'postgres:17',
  what: 'PostgreSQL',
  debian: { packages: ['postgresql-17'], version: ['postgres', '--version'], stopSignal: 'SIGINT' },
};
/** User `postgres` of the public image; it must exist in the image's /etc/passwd for initdb. */
const USER = 999;
const PORT = 5432;
const BIN = '/usr/lib/postgresql/17/bin';
const DATA = '/data/pgdata';
const CONFIG = '/etc/postgresql';

/** The database is created beside its place and then moved there: an interruption leaves no incomplete database. */
const INIT = `set -eu
test -s ${DATA}/PG_VERSION && exit 0
rm -rf ${DATA}.new
${BIN}/initdb -D ${DATA}.new -U postgres --auth=scram-sha-256 --pwfile=/secrets/postgres-password --encoding=UTF8 --locale=C.UTF-8 --no-instructions
mv ${DATA}.new ${DATA}
`;

const HBA = `# type  database  user  address  method
local   all       all            scram-sha-256
host    all       all   all      scram-sha-256
`;

/** A quarter of the memory limit is the usual size for shared_buffers; the rest is the operating system's cache and the sessions'. */
function settings(postgres: Managed<'postgres'>): string {
  const memory = postgres.resources.limits.memory ?? '512Mi';
  const own: Record<string, string | number> = {
    listen_addresses: '*',
    port: PORT,
    unix_socket_directories: '/tmp',
    hba_file: `${CONFIG}/pg_hba.conf`,
    password_encryption: 'scram-sha-256',
    max_connections: postgres.maxConnections,
    shared_buffers: `${Math.max(32, Math.floor(mebibytes(memory) / 4))}MB`,
    effective_cache_size: `${Math.max(64, Math.floor(quantityValue(memory) / 2 ** 21))}MB`,
    shared_preload_libraries: 'pg_stat_statements',
    wal_compression: 'on',
    jit: 'off',
    // A client that died in a transaction must not keep its locks, nor the outbox's horizon.
    idle_in_transaction_session_timeout: '60s',
    log_min_duration_statement: '500ms',
  };
  const all: Record<string, string | number> = { ...own, ...postgres.parameters };
  return Object.entries(all)
    .map(([key, text]) => `${key} = '${String(text).replaceAll("'", "''")}'\n`)
    .join('');
}

function pod(input: PlatformInput, postgres: Managed<'postgres'>, config: Record<string, string>) {
  const common = { image: IMAGE, resources: postgres.resources } as const;
  const mounts = { '/data': 'data', '/tmp': 'tmp' };
  const alive = { exec: { command: [`${BIN}/pg_isready`, '-q', '-h', '127.0.0.1', '-p', String(PORT), '-U', 'postgres'] } };
  return podTemplate(input, {
    component: 'postgres',
    placement: postgres,
    user: USER,
    config,
    // Only initdb uses the password; the migration Job changes it in the database.
    gracePeriodSeconds: 60,
    initContainers: [
      container(input, { ...common, name: 'initdb', command: ['sh', '-c', INIT], mounts: { ...mounts, '/secrets': 'secrets' } }),
    ],
    containers: [
      container(input, {
        ...common,
        name: 'postgres',
        command: [`${BIN}/postgres`, '-D', DATA, `--config-file=${CONFIG}/postgresql.conf`],
        ports: { postgres: PORT },
        mounts: { ...mounts, [CONFIG]: 'config', '/dev/shm': 'shm' },
        probes: probes(alive),
      }),
    ],
    volumes: [
      configVolume('config', nameOf(input, 'postgres')),
      claimVolume('data', claimName(input, 'postgres')),
      secretVolume('secrets', credentialsName(input), { 'postgres-password': 'postgres-password' }),
      scratch('tmp', '64Mi'),
      { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '128Mi' } },
    ],
  });
}

type Platform = Pick<PlatformInput, 'name' | 'namespace' | 'spec'>;

/** The PostgreSQL server itself, past PgBouncer. */
export interface PostgresAccess {
  host: string;
  port: number;
  tls: 'disable' | 'require';
  /** Name of the administrator, or the Secret's key that holds it. */
  adminUser: { value: string } | { secretName: string; key: string };
  adminPassword: { secretName: string; key: string };
}

export function postgresAccess(platform: Platform): PostgresAccess {
  const external = platform.spec.postgres.external;
  if (!external) {
    return {
      host: addressOf(platform, 'postgres'),
      port: PORT,
      tls: 'disable',
      adminUser: { value: 'postgres' },
      adminPassword: { secretName: credentialsName(platform), key: ADMIN_KEY },
    };
  }
  const { name, usernameKey, passwordKey } = external.adminSecret;
  return {
    host: external.host,
    port: external.port,
    tls: external.tls,
    adminUser: { secretName: name, key: usernameKey },
    adminPassword: { secretName: name, key: passwordKey },
  };
}

/** Variables `userVariable` and `passwordVariable` of the administrator, and the Secrets behind them. */
export function postgresAdmin(
  platform: Platform,
  userVariable: string,
  passwordVariable: string,
): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const { adminUser, adminPassword } = postgresAccess(platform);
  const user = 'value' in adminUser ? value(userVariable, adminUser.value) : fromSecret(userVariable, adminUser.secretName, adminUser.key);
  return {
    env: [user, fromSecret(passwordVariable, adminPassword.secretName, adminPassword.key)],
    secrets: [{ name: adminPassword.secretName, keys: [...('value' in adminUser ? [] : [adminUser.key]), adminPassword.key] }],
  };
}

export const definition: ComponentDefinition = {
  name: 'postgres',
  stage: 'stores',
  present: ({ postgres }) => postgres.managed !== undefined,
  images: [IMAGE],
  ports: () => ({ postgres: PORT }),
  external: ({ postgres }) => (postgres.external ? [postgres.external.port] : []),
  credentials: [{ key: ADMIN_KEY, type: 'password' }],
  reads: [ADMIN_KEY],
  manifests: (input) => {
    const postgres = input.spec.postgres.managed;
    if (!postgres) return [];
    const config = { 'postgresql.conf': settings(postgres), 'pg_hba.conf': HBA };
    return [
      configMap(input, 'postgres', config),
      claim(input, 'postgres', postgres.storage),
      service(input, 'postgres', { postgres: PORT }, { headless: true }),
      service(input, 'postgres', { postgres: PORT }),
      statefulSet(input, 'postgres', pod(input, postgres, config)),
    ];
  },
};

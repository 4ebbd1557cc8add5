/** PostgreSQL: one server, or one of the user's. */
import type { V1EnvVar } from '@kubernetes/client-node';
import { z } from 'zod';
import { dataKey, host, managedXorExternal, objectName, placement, port, resources, secretKey, storage } from '../../api/common.ts';
import { quantityValue } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { rule } from '../../api/rules.ts';
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
  storeProbes,
  scratch,
  secretVolume,
  value,
} from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { settleStore, usesDatabase } from '../store.ts';
import { authority, type Authority } from '../authority.ts';
import type { Advice, PlatformInput, SecretUse } from '../types.ts';

/** Settings that the spec cannot change, by the reason. The names of PostgreSQL's settings have no upper case here, so that each has one spelling. */
const BLOCKED: Record<string, readonly string[]> = {
  'the operator sets it, because Services, probes, accounts and volumes depend on it': [
    'config_file',
    'data_directory',
    'external_pid_file',
    'hba_file',
    'ident_file',
    'include',
    'include_dir',
    'include_if_exists',
    'listen_addresses',
    'password_encryption',
    'port',
    'unix_socket_directories',
  ],
  'it has a field of its own: set spec.postgres.managed.maxConnections': ['max_connections'],
  'without it a crash loses or damages transactions that were acknowledged': [
    'fsync',
    'full_page_writes',
    'ignore_checksum_failure',
    'synchronous_commit',
    'zero_damaged_pages',
  ],
  'the log of the pod is the log of the server, and its root file system is read-only': ['log_destination', 'logging_collector'],
  'the pod has no certificate; use an external PostgreSQL for TLS': ['ssl', 'ssl_ca_file', 'ssl_cert_file', 'ssl_key_file'],
};

const PARAMETER_NAME = '^[a-z_][a-z0-9_]*([.][a-z0-9_]+)?$';

const namedParameters = rule(
  rule(z.record(z.string().max(63), z.string().max(256)).default({}).meta({ maxProperties: 64 }), {
    cel: `self.all(k, k.matches('${PARAMETER_NAME}'))`,
    message: 'write the names of settings in lower case, such as work_mem or pg_stat_statements.max',
    check: (given) => Object.keys(given).every((key) => new RegExp(PARAMETER_NAME).test(key)),
  }),
  {
    cel: String.raw`self.all(k, !self[k].matches('[\x00-\x1f\x7f]'))`,
    message: 'write the value of a setting in one line, without control characters',
    check: (given) => Object.values(given).every((text) => !/\p{Cc}/u.test(text)),
  },
);

const parameters = Object.entries(BLOCKED)
  .reduce(
    (schema, [reason, names]) =>
      rule(schema, {
        cel: `self.all(k, !(k in ['${names.join("', '")}']))`,
        message: `${names.join(', ')} cannot be set: ${reason}`,
        check: (given) => !names.some((name) => name in given),
      }),
    namedParameters,
  )
  .describe('Additional settings of postgresql.conf, such as work_mem: 16MB. A change restarts the server.');

const managedPostgres = z
  .strictObject({
    storage: storage('the database', '5Gi'),
    parameters,
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

const externalPostgres = rule(
  z.strictObject({
    host: host('Address of the primary.'),
    port: port('Its port.', 5432),
    tls: z
      .enum(['disable', 'require', 'verify-ca', 'verify-full'])
      .default('require')
      .describe(
        "Encryption of connections to the server (sslmode). Only verify-ca (the certificate's authority) and verify-full (also its host name) protect against another server in its place.",
      ),
    caSecret: secretKey('Certificate authority of the server in PEM, for verify-ca and verify-full.', 'ca.crt').optional(),
    adminSecret: z
      .strictObject({
        name: objectName("Secret in the platform's namespace."),
        usernameKey: dataKey('Key of the user name.', 'username'),
        passwordKey: dataKey('Key of the password.', 'password'),
      })
      .describe(
        'A role with CREATEDB and CREATEROLE; it need not be a superuser. Used by the migration Job only; the workloads and the metrics exporter get roles of their own.',
      ),
  }),
  {
    cel: "(self.tls in ['verify-ca', 'verify-full']) == has(self.caSecret)",
    message: 'set caSecret exactly if tls is verify-ca or verify-full',
    fieldPath: '.caSecret',
    check: ({ tls, caSecret }) => ['verify-ca', 'verify-full'].includes(tls) === (caSecret !== undefined),
  },
).describe('An existing PostgreSQL server, such as CloudNativePG or a cloud service. The operator creates its databases and their roles.');

const schema = managedXorExternal(
  z
    .strictObject({ managed: managedPostgres.optional(), external: externalPostgres.optional() })
    .describe(
      'The system of record of the ledger and the interest consumer; a platform without both has no PostgreSQL. Managed with defaults when neither field is set.',
    ),
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
  refs: { '0.1.0': 'postgres:17.12' },
  what: 'PostgreSQL',
  debian: { packages: ['postgresql-17'], version: ['postgres', '--version'], stopSignal: 'SIGINT' },
};
/** User `postgres` of the public image; it must exist in the image's /etc/passwd for initdb. */
const USER = 999;
const PORT = 5432;
const DATA = '/data/pgdata';
const CONFIG = '/etc/postgresql';
const RUN = `${CONFIG}/run.sh`;

/**
 * Runs a program of the server, whatever its major version and wherever the image has it: in PATH (the public images), or where Debian and the RPM
 * packages of the PostgreSQL project put it. Debian's PATH has wrappers of some programs, but not of postgres: its folder decides.
 */
export const RUN_SCRIPT = `#!/bin/sh
set -eu
postgres=$(command -v postgres || ls -d /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres 2>/dev/null | tail -n 1) || true
test -x "$postgres" || { echo 'the image has no program postgres in PATH, /usr/lib/postgresql or /usr/pgsql-*: correct spec.images.postgres' >&2; exit 78; }
bin=$(dirname "$(readlink -f "$postgres")")
program=$1; shift
exec "$bin/$program" "$@"
`;

/**
 * The database is created beside its place and then moved there: an interruption leaves no incomplete database. A server of another major version
 * cannot read it, which is said here with what to do.
 */
export const INIT_SCRIPT = `#!/bin/sh
set -eu
data=${DATA}
if test -s "$data/PG_VERSION"; then
  found=$(cat "$data/PG_VERSION")
  major=$(sh ${RUN} postgres --version | sed 's/^[^0-9]*\\([0-9]*\\).*/\\1/')
  test "$found" = "$major" && exit 0
  echo "the volume has a database of PostgreSQL $found, and the image is PostgreSQL $major: set spec.images.postgres to an image of $found, and move the data by dump and restore" >&2
  exit 78
fi
rm -rf "$data.new"
sh ${RUN} initdb -D "$data.new" -U postgres --auth=scram-sha-256 --pwfile=/secrets/postgres-password --encoding=UTF8 --locale=C.UTF-8 --no-instructions
mv "$data.new" "$data"
`;

/** The administrator can connect without a password from within the container: the way back when the password is lost (docs/rotation.md). */
const HBA = `# type  database  user      address  method
local   all       postgres           peer
local   all       all                scram-sha-256
host    all       all       all      scram-sha-256
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
    // The parameters of a statement are customers' data.
    log_parameter_max_length: 0,
    log_parameter_max_length_on_error: 0,
  };
  const all: Record<string, string | number> = { ...own, ...postgres.parameters };
  return (
    Object.entries(all)
      // PostgreSQL reads backslashes as in C strings.
      .map(([key, text]) => `${key} = '${String(text).replaceAll('\\', '\\\\').replaceAll("'", "''")}'\n`)
      .join('')
  );
}

function pod(input: PlatformInput, postgres: Managed<'postgres'>, config: Record<string, string>) {
  const common = { image: IMAGE, resources: postgres.resources } as const;
  const mounts = { '/data': 'data', '/tmp': 'tmp' };
  const ask = `sh ${RUN} pg_isready -q -h 127.0.0.1 -p ${PORT} -U postgres`;
  const ready = { exec: { command: ['sh', '-c', ask] } };
  // 1: it rejects connections, as in the recovery after the crash of a session.
  const alive = { exec: { command: ['sh', '-c', `${ask} -t 20 || test $? -eq 1`] } };
  return podTemplate(input, {
    component: 'postgres',
    placement: postgres,
    user: USER,
    config,
    // Only initdb uses the password; the migration Job changes it in the database.
    gracePeriodSeconds: 60,
    initContainers: [
      container(input, {
        ...common,
        name: 'initdb',
        command: ['sh', `${CONFIG}/init.sh`],
        mounts: { ...mounts, [CONFIG]: 'config', '/secrets': 'secrets' },
      }),
    ],
    containers: [
      container(input, {
        ...common,
        name: 'postgres',
        command: ['sh', RUN, 'postgres', '-D', DATA, `--config-file=${CONFIG}/postgresql.conf`],
        ports: { postgres: PORT },
        mounts: { ...mounts, [CONFIG]: 'config', '/dev/shm': 'shm' },
        probes: storeProbes(ready, alive),
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
  tls: 'disable' | 'require' | 'verify-ca' | 'verify-full';
  /** The authority that clients check the server against: for `verify-ca` and `verify-full`. */
  authority?: Authority;
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
    ...(external.caSecret ? { authority: authority('postgres', external.caSecret) } : {}),
    adminUser: { secretName: name, key: usernameKey },
    adminPassword: { secretName: name, key: passwordKey },
  };
}

/**
 * URL of a database of the server itself, without a password. The driver's own meaning of sslmode differs from libpq's.
 * @param user name of the login, or a reference to a variable of the container
 */
export function postgresUrl(platform: Platform, user: string, database: string): string {
  const { host: address, port: listens, tls, authority: root } = postgresAccess(platform);
  const options = tls === 'disable' ? '' : `?uselibpqcompat=true&sslmode=${tls}`;
  return `postgresql://${user}@${address}:${listens}/${database}${options}${root ? `&sslrootcert=${root.path}` : ''}`;
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

function singleServer(spec: BssPlatformSpec): Advice | undefined {
  const { profile, postgres } = spec;
  if (profile !== 'production' || !postgres.managed || !usesDatabase(spec)) return undefined;
  return {
    path: 'spec.postgres.managed',
    message:
      'one server without a standby: while its node is unavailable, so is the platform; a crash loses no committed transaction, but the loss of its volume loses all of them since your last backup; set spec.postgres.external to a server with a standby and backups',
  };
}

export const definition: ComponentDefinition = {
  name: 'postgres',
  stage: 'stores',
  present: (spec) => spec.postgres.managed !== undefined && usesDatabase(spec),
  images: [IMAGE],
  ports: () => ({ postgres: PORT }),
  external: ({ postgres }) => (postgres.external ? [postgres.external.port] : []),
  credentials: [{ key: ADMIN_KEY, type: 'password' }],
  advise: (all) => [singleServer(all)],
  reads: [ADMIN_KEY],
  manifests: (input) => {
    const postgres = input.spec.postgres.managed;
    if (!postgres) return [];
    const config = { 'postgresql.conf': settings(postgres), 'pg_hba.conf': HBA, 'run.sh': RUN_SCRIPT, 'init.sh': INIT_SCRIPT };
    return [
      configMap(input, 'postgres', config),
      claim(input, 'postgres', postgres.storage),
      service(input, 'postgres', { postgres: PORT }, { headless: true }),
      service(input, 'postgres', { postgres: PORT }),
      statefulSet(input, 'postgres', pod(input, postgres, config)),
    ];
  },
};

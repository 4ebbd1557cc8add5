/** One PostgreSQL server. */
import { quantityValue } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { claim, configMap, service, statefulSet, type Managed } from './parts.ts';
import { claimName, claimVolume, configVolume, container, mebibytes, podTemplate, probes, scratch, secretVolume } from './pods.ts';
import type { PlatformInput } from './types.ts';

/** User `postgres` of the public image; it must exist in the image's /etc/passwd for initdb. */
const USER = 999;
const BIN = '/usr/lib/postgresql/17/bin';
const DATA = '/data/pgdata';
const CONFIG = '/etc/postgresql';

/** Made beside its place and moved there, so that a cut in the middle leaves nothing half-made. */
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
    port: PORTS.postgres,
    unix_socket_directories: '/tmp',
    hba_file: `${CONFIG}/pg_hba.conf`,
    password_encryption: 'scram-sha-256',
    max_connections: postgres.maxConnections,
    shared_buffers: `${Math.max(32, Math.floor(mebibytes(memory) / 4))}MB`,
    effective_cache_size: `${Math.max(64, Math.floor(quantityValue(memory) / 2 ** 21))}MB`,
    shared_preload_libraries: 'pg_stat_statements',
    wal_compression: 'on',
    jit: 'off',
    // A client that died in the middle must not hold locks, nor the outbox's horizon, for ever.
    idle_in_transaction_session_timeout: '60s',
    log_min_duration_statement: '500ms',
  };
  const all: Record<string, string | number> = { ...own, ...postgres.parameters };
  return Object.entries(all)
    .map(([key, text]) => `${key} = '${String(text).replaceAll("'", "''")}'\n`)
    .join('');
}

function pod(input: PlatformInput, postgres: Managed<'postgres'>, config: Record<string, string>) {
  const common = { image: 'postgres', resources: postgres.resources } as const;
  const mounts = { '/data': 'data', '/tmp': 'tmp' };
  const alive = { exec: { command: [`${BIN}/pg_isready`, '-q', '-h', '127.0.0.1', '-p', String(PORTS.postgres), '-U', 'postgres'] } };
  return podTemplate(input, {
    component: 'postgres',
    placement: postgres,
    user: USER,
    config,
    // The password is used by initdb alone; the database is told of a change by the migration Job.
    gracePeriodSeconds: 60,
    initContainers: [
      container(input, { ...common, name: 'initdb', command: ['sh', '-c', INIT], mounts: { ...mounts, '/secrets': 'secrets' } }),
    ],
    containers: [
      container(input, {
        ...common,
        name: 'postgres',
        command: [`${BIN}/postgres`, '-D', DATA, `--config-file=${CONFIG}/postgresql.conf`],
        ports: { postgres: PORTS.postgres },
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

/** The managed server; nothing when PostgreSQL is external. */
export function postgresComponent(input: PlatformInput): Blueprint | undefined {
  const postgres = input.spec.postgres.managed;
  if (!postgres) return undefined;
  const config = { 'postgresql.conf': settings(postgres), 'pg_hba.conf': HBA };
  return blueprint('postgres', 'stores', [
    configMap(input, 'postgres', config),
    claim(input, 'postgres', postgres.storage),
    service(input, 'postgres', { postgres: PORTS.postgres }, { headless: true }),
    service(input, 'postgres', { postgres: PORTS.postgres }),
    statefulSet(input, 'postgres', pod(input, postgres, config)),
  ]);
}

/** PgBouncer: every query at run time goes through it. */
import type { V1EnvVar } from '@kubernetes/client-node';
import { z } from 'zod';
import { placement, port, resources } from '../../api/common.ts';
import { durationMs } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { duration, rule } from '../../api/rules.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { loginOf, passwordKey, STATS_USER, USERLIST_KEY } from '../logins.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { configMap, deployment, disruptionBudget, service } from '../parts.ts';
import { configVolume, container, fromSecret, goRuntime, podTemplate, probes, scratch, secretVolume, value } from '../pods.ts';
import { databasePools, serverConnections } from '../pools.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { usesDatabase } from '../store.ts';
import type { Advice, PlatformInput, SecretUse } from '../types.ts';
import { postgresAccess } from './postgres.ts';

const schema = rule(
  rule(
    z.strictObject({
      replicas: z
        .int()
        .min(1)
        .max(10)
        .default(1)
        .describe('Number of poolers. Each has pools of its own: the connections to the server multiply.'),
      port: port('Port that the workloads connect to (listen_port).', 6432),
      poolMode: z
        .enum(['transaction', 'session'])
        .default('transaction')
        .describe('When a server connection goes back to the pool (pool_mode). The workloads need no session state.'),
      maxClientConnections: z.int().min(10).max(10_000).default(100).describe('Clients that one pooler accepts (max_client_conn).'),
      defaultPoolSize: z.int().min(1).max(500).default(20).describe('Server connections for each role (default_pool_size).'),
      minPoolSize: z.int().min(0).max(500).default(5).describe('Server connections that are kept open for each role (min_pool_size).'),
      reservePoolSize: z
        .int()
        .min(0)
        .max(500)
        .default(5)
        .describe('Additional server connections for each role while clients wait (reserve_pool_size).'),
      reservePoolTimeout: duration('How long a client waits before the reserve is used (reserve_pool_timeout, whole seconds).').default(
        '5s',
      ),
      queryWaitTimeout: duration(
        'How long a query may wait for a server connection before its client is refused (query_wait_timeout, whole seconds).',
      ).default('30s'),
      serverIdleTimeout: duration('After which idle time a server connection is closed (server_idle_timeout, whole seconds).').default(
        '10m',
      ),
      maxPreparedStatements: z
        .int()
        .min(0)
        .max(10_000)
        .default(200)
        .describe(
          'Named prepared statements kept for each server connection in transaction mode; 0 turns them off (max_prepared_statements).',
        ),
      resources: resources('a pooler'),
      ...placement(),
    }),
    {
      cel: 'self.minPoolSize <= self.defaultPoolSize',
      message: 'minPoolSize is above defaultPoolSize: lower minPoolSize or raise defaultPoolSize',
      fieldPath: '.minPoolSize',
      check: (given) => given.minPoolSize <= given.defaultPoolSize,
    },
  ),
  {
    cel: 'self.defaultPoolSize + self.reservePoolSize <= self.maxClientConnections',
    message: 'defaultPoolSize + reservePoolSize is above maxClientConnections: a pool larger than the number of clients is never used',
    fieldPath: '.defaultPoolSize',
    check: (given) => given.defaultPoolSize + given.reservePoolSize <= given.maxClientConnections,
  },
)
  .prefault({})
  .describe('PgBouncer in front of PostgreSQL, for every query at run time.');

export const specPiece = piece('pgbouncer', schema, {
  profiles: {
    small: { resources: amounts('25m', '32Mi', '500m', '128Mi') },
    production: { replicas: 2, resources: amounts('100m', '64Mi', undefined, '256Mi') },
  },
});

const IMAGE = {
  name: 'pgbouncer',
  refs: { '0.1.0': 'edoburu/pgbouncer:v1.24.1-p1' },
  what: 'PgBouncer',
  debian: { packages: ['pgbouncer'], version: ['pgbouncer', '--version'] },
};
const EXPORTER_IMAGE = {
  name: 'pgbouncerExporter',
  refs: { '0.1.0': 'prometheuscommunity/pgbouncer-exporter:v0.10.2' },
  what: 'the PgBouncer exporter',
  debian: {
    packages: ['prometheus-pgbouncer-exporter'],
    version: ['pgbouncer_exporter', '--version'],
    programs: { pgbouncer_exporter: 'prometheus-pgbouncer-exporter' },
  },
};
const EXPORTER_PORT = 9127;
const EXPORTER_RESOURCES = { requests: { cpu: '5m', memory: '16Mi' }, limits: { cpu: '100m', memory: '64Mi' } };
const USER = 65532;
const CONFIG = '/etc/pgbouncer';
const AUTH = '/etc/pgbouncer-auth';
/** Directory of the socket that the exporter connects to. */
const SOCKET = '/run/pgbouncer';

/**
 * PgBouncer reloads its users on SIGHUP only, while the kubelet changes the mounted file in place. On SIGTERM it would wait for its clients, which
 * keep their connections, until it is killed in the middle of their transactions. On SIGINT it lets transactions end, starts no new ones, and
 * exits; before that it serves for as long as endpoints take to be removed.
 */
const RUN = `users() { cksum < ${AUTH}/userlist.txt; }
known=$(users)
pgbouncer ${CONFIG}/pgbouncer.ini &
pid=$!
stop() { sleep 2; kill -INT $pid; wait $pid; exit 0; }
trap stop TERM
while kill -0 $pid 2> /dev/null; do
  sleep 3 &
  wait $!
  now=$(users)
  [ "$now" = "$known" ] || kill -HUP $pid
  known=$now
done
wait $pid
`;

/** All users need a password except the exporter, which can connect from within the pod only. */
const HBA = `# type  database   user      address  method
local   pgbouncer  ${STATS_USER}             trust
host    all        ${STATS_USER}     all      reject
host    all        all       all      scram-sha-256
`;

/** Whole seconds, at least one: zero would turn a timeout off. */
function seconds(text: string): number {
  return Math.max(1, Math.round(durationMs(text) / 1000));
}

/** The lines of the databases, each once. */
function databases(input: BuildInput): string[] {
  const { host, port: listens } = postgresAccess(input);
  const { limits } = serverConnections(input.spec, input.definitions);
  const names = new Set(input.definitions.flatMap(({ database }) => (database ? [database.name] : [])));
  return [...names].map((name) => {
    const limit = limits[name] === undefined ? '' : ` max_db_connections=${limits[name]}`;
    return `${name} = host=${host} port=${listens} dbname=${name}${limit}`;
  });
}

function ini(input: BuildInput): string {
  const { pgbouncer } = input.spec;
  const server = postgresAccess(input);
  const settings: Record<string, string | number> = {
    listen_addr: '*',
    listen_port: pgbouncer.port,
    auth_type: 'hba',
    auth_hba_file: `${CONFIG}/pg_hba.conf`,
    auth_file: `${AUTH}/userlist.txt`,
    stats_users: STATS_USER,
    pool_mode: pgbouncer.poolMode,
    max_client_conn: pgbouncer.maxClientConnections,
    default_pool_size: pgbouncer.defaultPoolSize,
    min_pool_size: pgbouncer.minPoolSize,
    reserve_pool_size: pgbouncer.reservePoolSize,
    reserve_pool_timeout: seconds(pgbouncer.reservePoolTimeout),
    query_wait_timeout: seconds(pgbouncer.queryWaitTimeout),
    server_idle_timeout: seconds(pgbouncer.serverIdleTimeout),
    max_prepared_statements: pgbouncer.maxPreparedStatements,
    server_tls_sslmode: server.tls,
    ...(server.authority ? { server_tls_ca_file: server.authority.path } : {}),
    // Clients wait while the server is away: retry soon.
    server_login_retry: 1,
    ignore_startup_parameters: 'extra_float_digits,options',
    unix_socket_dir: input.spec.prometheus.enabled ? SOCKET : '',
    // No files: logs go to stderr.
    logfile: '',
    pidfile: '',
  };
  const lines = Object.entries(settings).map(([key, text]) => `${key} = ${text}`);
  return ['[databases]', ...databases(input), '', '[pgbouncer]', ...lines, ''].join('\n');
}

function exporter(input: PlatformInput) {
  const url = `postgres:///pgbouncer?host=${SOCKET}&port=${input.spec.pgbouncer.port}&user=${STATS_USER}&sslmode=disable`;
  return container(input, {
    name: 'pgbouncer-exporter',
    image: EXPORTER_IMAGE,
    command: ['pgbouncer_exporter', `--web.listen-address=:${EXPORTER_PORT}`],
    env: [value('PGBOUNCER_EXPORTER_CONNECTION_STRING', url), ...goRuntime(EXPORTER_RESOURCES)],
    ports: { metrics: EXPORTER_PORT },
    resources: EXPORTER_RESOURCES,
    mounts: { [SOCKET]: 'socket' },
  });
}

function template(input: PlatformInput, config: Record<string, string>) {
  const { pgbouncer, prometheus } = input.spec;
  const { authority } = postgresAccess(input);
  const pooler = container(input, {
    name: 'pgbouncer',
    image: IMAGE,
    command: ['sh', '-c', RUN],
    ports: { pgbouncer: pgbouncer.port },
    resources: pgbouncer.resources,
    mounts: { [CONFIG]: 'config', [AUTH]: 'auth', ...authority?.mounts, ...(prometheus.enabled ? { [SOCKET]: 'socket' } : {}) },
    probes: probes({ tcpSocket: { port: pgbouncer.port } }),
  });
  return podTemplate(input, {
    component: 'pgbouncer',
    placement: pgbouncer,
    user: USER,
    // Without its users, which it reloads while it runs.
    config,
    secrets: authority?.secrets ?? [],
    // Longer than idle_in_transaction_session_timeout, which is 15 s.
    gracePeriodSeconds: 30,
    containers: [pooler, ...(prometheus.enabled ? [exporter(input)] : [])],
    volumes: [
      configVolume('config', nameOf(input, 'pgbouncer')),
      secretVolume('auth', credentialsName(input), { [USERLIST_KEY]: 'userlist.txt' }),
      ...(authority?.volumes ?? []),
      ...(prometheus.enabled ? [scratch('socket', '1Mi')] : []),
    ],
  });
}

/**
 * Environment of a workload that connects to its database through PgBouncer with a login of its own. The pod names the login, and each login has
 * its own key, so that a container that restarts uses the login that its pod was created with.
 */
export function databaseClient(input: BuildInput, role: string): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const secret = credentialsName(input);
  const { active } = input.slots;
  const address = `${addressOf(input, 'pgbouncer')}:${input.spec.pgbouncer.port}`;
  const key = passwordKey(role, active);
  const database = input.definitions.find((one) => one.database?.role === role)?.database?.name ?? role;
  return {
    env: [
      value('DATABASE_URL', `postgresql://${loginOf(role, active)}@${address}/${database}`),
      fromSecret('PGPASSWORD', secret, key),
      value('DB_POOL_MAX', input.pools[role] ?? 1),
    ],
    secrets: [{ name: secret, keys: [key] }],
  };
}

function tooManyClients(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): Advice | undefined {
  const { demanded, available } = databasePools(spec, definitions);
  if (demanded <= available) return undefined;
  return {
    path: 'spec.pgbouncer.maxClientConnections',
    message: `the workloads may open ${demanded} connections, and PgBouncer accepts ${available} of them: raise maxClientConnections, or lower databasePool or the replicas`,
  };
}

function tooManyServerConnections(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): Advice | undefined {
  const { demanded, available } = serverConnections(spec, definitions);
  if (available === undefined || demanded <= available) return undefined;
  return {
    path: 'spec.postgres.managed.maxConnections',
    message: `the poolers may use ${demanded} connections, and the server accepts ${available} of them: PgBouncer limits each database to its share, and clients wait for the rest; raise maxConnections, or lower databasePool, the replicas or the pool sizes of PgBouncer`,
  };
}

export const definition: ComponentDefinition = {
  name: 'pgbouncer',
  stage: 'stores',
  present: usesDatabase,
  images: [IMAGE, EXPORTER_IMAGE],
  ports: ({ pgbouncer, prometheus }) => ({ pgbouncer: pgbouncer.port, ...(prometheus.enabled ? { metrics: EXPORTER_PORT } : {}) }),
  jobs: ({ prometheus }) => (prometheus.enabled ? ['pgbouncer-exporter'] : []),
  connections: () => ['postgres'],
  reads: [USERLIST_KEY],
  endpoints: (platform) =>
    usesDatabase(platform.spec)
      ? [{ name: 'postgres', address: `${addressOf(platform, 'pgbouncer')}:${platform.spec.pgbouncer.port}` }]
      : [],
  advise: (all, definitions) => (usesDatabase(all) ? [tooManyClients(all, definitions), tooManyServerConnections(all, definitions)] : []),
  manifests: (input) => {
    const { port: listen, replicas } = input.spec.pgbouncer;
    const config = { 'pgbouncer.ini': ini(input), 'pg_hba.conf': HBA };
    return [
      configMap(input, 'pgbouncer', config),
      service(input, 'pgbouncer', { pgbouncer: listen }, { headless: true }),
      service(input, 'pgbouncer', { pgbouncer: listen }),
      deployment(input, 'pgbouncer', template(input, config), replicas),
      disruptionBudget(input, 'pgbouncer'),
    ];
  },
};

/** PgBouncer: every query at run time goes through it. */
import { durationMs } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { postgresAccess } from './connections.ts';
import { STATS_USER, USERLIST_KEY } from './credentials.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { configMap, deployment, disruptionBudget, service } from './parts.ts';
import { configVolume, container, goRuntime, podTemplate, probes, scratch, secretVolume, value } from './pods.ts';
import type { PlatformInput } from './types.ts';

const USER = 65532;
const CONFIG = '/etc/pgbouncer';
const AUTH = '/etc/pgbouncer-auth';
/** Where the exporter beside it enters. */
const SOCKET = '/run/pgbouncer';

/**
 * What PgBouncer does not do by itself. It reads its users again on SIGHUP only, and the kubelet changes the mounted file in place. On SIGTERM it
 * would wait for its clients, which keep their connections for as long as they live, until it is killed in the middle of their transactions; on
 * SIGINT it lets transactions end, takes no new ones, and goes. Before that it serves on for as long as Services take to forget the pod.
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

/** Passwords for everyone but the exporter, who can come from within the pod alone. */
const HBA = `# type  database   user      address  method
local   pgbouncer  ${STATS_USER}             trust
host    all        ${STATS_USER}     all      reject
host    all        all       all      scram-sha-256
`;

/** Whole seconds, at least one: zero would turn a limit off. */
function seconds(text: string): number {
  return Math.max(1, Math.round(durationMs(text) / 1000));
}

function ini(input: PlatformInput): string {
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
    // A server that went away is tried again soon: its clients wait for it.
    server_login_retry: 1,
    ignore_startup_parameters: 'extra_float_digits,options',
    unix_socket_dir: input.spec.prometheus.enabled ? SOCKET : '',
    // Nothing is written to disk.
    logfile: '',
    pidfile: '',
  };
  const lines = Object.entries(settings).map(([key, text]) => `${key} = ${text}`);
  return ['[databases]', `ledger = host=${server.host} port=${server.port} dbname=ledger`, '', '[pgbouncer]', ...lines, ''].join('\n');
}

function exporter(input: PlatformInput) {
  const resources = { requests: { cpu: '5m', memory: '16Mi' }, limits: { cpu: '100m', memory: '64Mi' } };
  const url = `postgres:///pgbouncer?host=${SOCKET}&port=${input.spec.pgbouncer.port}&user=${STATS_USER}&sslmode=disable`;
  return container(input, {
    name: 'pgbouncer-exporter',
    image: 'pgbouncerExporter',
    command: ['pgbouncer_exporter', `--web.listen-address=:${PORTS.pgbouncerExporter}`],
    env: [value('PGBOUNCER_EXPORTER_CONNECTION_STRING', url), ...goRuntime(resources)],
    ports: { metrics: PORTS.pgbouncerExporter },
    resources,
    mounts: { [SOCKET]: 'socket' },
  });
}

export function pgbouncerComponent(input: PlatformInput): Blueprint {
  const { pgbouncer, prometheus } = input.spec;
  const config = { 'pgbouncer.ini': ini(input), 'pg_hba.conf': HBA };
  const pooler = container(input, {
    name: 'pgbouncer',
    image: 'pgbouncer',
    command: ['sh', '-c', RUN],
    ports: { pgbouncer: pgbouncer.port },
    resources: pgbouncer.resources,
    mounts: { [CONFIG]: 'config', [AUTH]: 'auth', ...(prometheus.enabled ? { [SOCKET]: 'socket' } : {}) },
    probes: probes({ tcpSocket: { port: pgbouncer.port } }),
  });
  const template = podTemplate(input, {
    component: 'pgbouncer',
    placement: pgbouncer,
    user: USER,
    // Not its users: it reads them again while it runs.
    config,
    // Longer than a transaction may be idle, which is 15 s.
    gracePeriodSeconds: 30,
    containers: [pooler, ...(prometheus.enabled ? [exporter(input)] : [])],
    volumes: [
      configVolume('config', nameOf(input, 'pgbouncer')),
      secretVolume('auth', credentialsName(input), { [USERLIST_KEY]: 'userlist.txt' }),
      ...(prometheus.enabled ? [scratch('socket', '1Mi')] : []),
    ],
  });
  return blueprint('pgbouncer', 'stores', [
    configMap(input, 'pgbouncer', config),
    service(input, 'pgbouncer', { pgbouncer: pgbouncer.port }, { headless: true }),
    service(input, 'pgbouncer', { pgbouncer: pgbouncer.port }),
    deployment(input, 'pgbouncer', template, pgbouncer.replicas),
    disruptionBudget(input, 'pgbouncer'),
  ]);
}

/** PgBouncer: every query at run time goes through it. */
import { durationMs } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { postgresAccess } from './connections.ts';
import { STATS_USER } from './credentials.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { configMap, deployment, disruptionBudget, service } from './parts.ts';
import { configVolume, container, fromSecret, goRuntime, podTemplate, probes, secretVolume, value } from './pods.ts';
import type { PlatformInput } from './types.ts';

const USER = 65532;
const CONFIG = '/etc/pgbouncer';
const AUTH = '/etc/pgbouncer-auth';

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
    auth_type: 'scram-sha-256',
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
    // Nothing is written to disk.
    logfile: '',
    pidfile: '',
    unix_socket_dir: '',
  };
  const lines = Object.entries(settings).map(([key, text]) => `${key} = ${text}`);
  return ['[databases]', `ledger = host=${server.host} port=${server.port} dbname=ledger`, '', '[pgbouncer]', ...lines, ''].join('\n');
}

function exporter(input: PlatformInput) {
  const resources = { requests: { cpu: '5m', memory: '16Mi' }, limits: { cpu: '100m', memory: '64Mi' } };
  const url = `postgres://${STATS_USER}:$(STATS_PASSWORD)@127.0.0.1:${input.spec.pgbouncer.port}/pgbouncer?sslmode=disable`;
  return container(input, {
    name: 'pgbouncer-exporter',
    image: 'pgbouncerExporter',
    command: ['pgbouncer_exporter', `--web.listen-address=:${PORTS.pgbouncerExporter}`],
    env: [
      fromSecret('STATS_PASSWORD', credentialsName(input), 'pgbouncer-stats-password'),
      value('PGBOUNCER_EXPORTER_CONNECTION_STRING', url),
      ...goRuntime(resources),
    ],
    ports: { metrics: PORTS.pgbouncerExporter },
    resources,
  });
}

export function pgbouncerComponent(input: PlatformInput): Blueprint {
  const { pgbouncer, prometheus } = input.spec;
  const config = { 'pgbouncer.ini': ini(input) };
  const pooler = container(input, {
    name: 'pgbouncer',
    image: 'pgbouncer',
    command: ['pgbouncer', `${CONFIG}/pgbouncer.ini`],
    ports: { pgbouncer: pgbouncer.port },
    resources: pgbouncer.resources,
    mounts: { [CONFIG]: 'config', [AUTH]: 'auth' },
    probes: probes({ tcpSocket: { port: pgbouncer.port } }),
  });
  const template = podTemplate(input, {
    component: 'pgbouncer',
    placement: pgbouncer,
    user: USER,
    config,
    secrets: [{ name: credentialsName(input), keys: ['pgbouncer-userlist', 'pgbouncer-stats-password'] }],
    gracePeriodSeconds: 30,
    containers: [pooler, ...(prometheus.enabled ? [exporter(input)] : [])],
    volumes: [
      configVolume('config', nameOf(input, 'pgbouncer')),
      secretVolume('auth', credentialsName(input), { 'pgbouncer-userlist': 'userlist.txt' }),
    ],
  });
  return blueprint('pgbouncer', 'stores', [
    configMap(input, 'pgbouncer', config),
    service(input, 'pgbouncer', { pgbouncer: pgbouncer.port }),
    deployment(input, 'pgbouncer', template, pgbouncer.replicas),
    disruptionBudget(input, 'pgbouncer'),
  ]);
}

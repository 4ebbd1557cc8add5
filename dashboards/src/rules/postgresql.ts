/** Postgres and the PgBouncer in front of it. */
import { PLATFORM, series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

/** PgBouncer keeps one pool for each database and user in each of its pods; its own console is no database. */
const POOL = `${PLATFORM}, pod, database, user`;
const REAL = 'database!="pgbouncer"';

/** Share of a pool's server connections that run a query or hold a transaction. */
export const POOL_RATIO = 'pool:pgbouncer_server_connections:used_ratio';
/** Mean time of a query in seconds, as PgBouncer measures it between client and server. */
export const QUERY_SECONDS = 'database:pgbouncer_query_seconds:mean';

function recordings({ timing }: RuleOptions): Group {
  const rate = timing.range('rate');
  const total = (metric: string) => `sum by (${PLATFORM}, database) (rate(${series(metric, REAL)}[${rate}]))`;
  return {
    name: 'bss-database-records',
    rules: [
      {
        record: POOL_RATIO,
        expr:
          `sum by (${POOL}) (${series('pgbouncer_pools_server_active_connections', REAL)})` +
          ` / on (${PLATFORM}, pod, database) group_left ()` +
          ` (max by (${PLATFORM}, pod, database) (${series('pgbouncer_databases_pool_size', REAL)}) > 0)`,
      },
      {
        record: QUERY_SECONDS,
        expr: `${total('pgbouncer_stats_queries_duration_seconds_total')} / (${total('pgbouncer_stats_queries_pooled_total')} > 0)`,
      },
    ],
  };
}

/** 15 and 18 of the 20 connections of a pool, as a share, so that larger pools have the same margin. */
const POOL_LIMITS = [
  ['warning', 'Warning', 0.75],
  ['critical', 'Critical', 0.9],
] as const;

function connections({ timing }: RuleOptions): Alert[] {
  return [
    ...POOL_LIMITS.map(([severity, suffix, limit]): Alert => ({
      alert: `DbConnections${suffix}`,
      expr: `${POOL_RATIO} > ${limit}`,
      for: timing.for(severity),
      severity,
      team: 'database',
      labels: { family: 'DbConnections' },
      summary: 'The pool of {{ $labels.user }} on {{ $labels.database }} is nearly used up',
      description: `{{ $value | humanizePercentage }} of the server connections in {{ $labels.pod }} are busy, above ${limit * 100} %.`,
    })),
    {
      alert: 'DbPoolExhausted',
      expr: `sum by (${POOL}) (${series('pgbouncer_pools_client_waiting_connections', REAL)}) > 0`,
      for: timing.for('poolExhausted'),
      severity: 'critical',
      team: 'database',
      summary: 'Clients of {{ $labels.user }} wait for a connection to {{ $labels.database }}',
      description: '{{ $value }} clients wait in {{ $labels.pod }}: every server connection of the pool is busy.',
    },
    {
      alert: 'PgbouncerClientsNearLimit',
      expr:
        `sum by (${PLATFORM}, pod) (${series('pgbouncer_used_clients')})` +
        ` / on (${PLATFORM}, pod) max by (${PLATFORM}, pod) (${series('pgbouncer_config_max_client_connections')}) > 0.8`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'database',
      summary: '{{ $labels.pod }} is about to refuse clients',
      description: '{{ $value | humanizePercentage }} of max_client_conn is in use, above 80 %.',
    },
  ];
}

function servers({ timing }: RuleOptions): Alert[] {
  return [
    {
      alert: 'PostgresDown',
      expr: `${series('pg_up')} == 0`,
      for: timing.for('down'),
      severity: 'critical',
      team: 'database',
      summary: 'Postgres of platform {{ $labels.platform }} is down',
      description: 'The exporter cannot log in to Postgres: the server is down, unreachable or refuses the password.',
    },
    {
      alert: 'PgbouncerDown',
      expr: `${series('pgbouncer_up')} == 0`,
      for: timing.for('down'),
      severity: 'critical',
      team: 'database',
      summary: 'PgBouncer of platform {{ $labels.platform }} is down',
      description: 'The exporter in {{ $labels.pod }} cannot reach the console of PgBouncer.',
    },
  ];
}

function queries({ timing }: RuleOptions): Alert[] {
  return [
    {
      alert: 'DbSlowQueries',
      expr: `${QUERY_SECONDS} > 0.5`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'database',
      summary: 'Queries on {{ $labels.database }} are slow',
      description: 'A query takes {{ $value | humanizeDuration }} on average, above 500 ms.',
    },
    {
      alert: 'DbLongTransaction',
      expr: `max by (${PLATFORM}, datname, state) (${series('pg_stat_activity_max_tx_duration', 'datname="ledger"')}) > 60`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'database',
      summary: 'A transaction on {{ $labels.datname }} stays open',
      description:
        'The oldest transaction ({{ $labels.state }}) is {{ $value | humanizeDuration }} old, above 1 minute: it holds locks and keeps vacuum from its work.',
    },
    {
      alert: 'DbDeadlocks',
      expr: `sum by (${PLATFORM}, datname) (increase(${series('pg_stat_database_deadlocks')}[${timing.range('event')}])) > 0`,
      severity: 'warning',
      team: 'database',
      summary: 'Transactions on {{ $labels.datname }} deadlock',
      description: 'Postgres ended {{ $value | printf "%.0f" }} transactions to resolve deadlocks.',
    },
  ];
}

export function postgresqlGroups(options: RuleOptions): Group[] {
  return [recordings(options), { name: 'postgresql-alerts', rules: [...servers(options), ...connections(options), ...queries(options)] }];
}

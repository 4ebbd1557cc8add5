import { APIS, NODE_JOBS, selected } from '../promql.ts';
import { GROUP_LAG, TOPIC_RATE } from '../rules/kafka.ts';
import { POOL_RATIO } from '../rules/postgresql.ts';
import { ERROR_RATIO, HEAP_RATIO, REQUEST_RATE } from '../rules/system.ts';
import { graph, query, responseTimes, stat, type Board } from './board.ts';

const rate = (metric: string, matchers = '') => `sum(rate(${selected(metric, matchers)}[$__rate_interval]))`;

export const overview: Board = {
  uid: 'bss-overview',
  title: 'BSS Overview',
  description: 'Is the platform well, how much does it process, and where to look next.',
  rows: [
    {
      title: 'State',
      panels: [
        stat('Ready', 'short', '1 when the BssPlatform is Ready.', `min(${selected('bss_platform_ready')})`, {
          limits: { warning: 1, critical: null, falling: true },
          next: 'bss-operator',
        }),
        stat(
          'Alerts that fire',
          'short',
          'Without the watchdog, which always fires.',
          `count(${selected('ALERTS', 'alertstate="firing",severity!="none"')}) or vector(0)`,
          { limits: { warning: 1, critical: 5 } },
        ),
        stat('Targets down', 'short', 'Targets that Prometheus cannot scrape.', `count(${selected('up')} == 0) or vector(0)`, {
          limits: { warning: null, critical: 1 },
          next: 'bss-components',
        }),
        stat('Records that wait', 'short', 'Lag of all consumer groups. Target: below 1,000.', `sum(${selected(GROUP_LAG)})`, {
          limits: { warning: 1000, critical: 10_000 },
          next: 'bss-kafka',
        }),
        stat(
          'Oldest waiting event',
          's',
          'Age of the oldest event that a scaled group has yet to consume.',
          `max(${selected('bss_consumer_group_delay_seconds')})`,
          {
            limits: { warning: 30, critical: 60 },
            next: 'bss-autoscaling',
          },
        ),
        stat('Heap in use', 'percentunit', 'The fullest heap. Warning 70 %, critical 85 %.', `max(${selected(HEAP_RATIO)})`, {
          limits: { warning: 0.7, critical: 0.85 },
        }),
      ],
    },
    {
      title: 'Events',
      panels: [
        graph(
          'Event throughput',
          'ops',
          'Events that producers append, a second, with the target of 6,667.',
          [query(`sum(${selected(TOPIC_RATE, 'topic!~"__.*"')})`, 'events'), query('vector(6667)', 'target')],
          { next: 'bss-kafka' },
        ),
        graph(
          'Events per minute',
          'short',
          'The same for a minute, with the target of 400,000.',
          [query(`60 * sum(${selected(TOPIC_RATE, 'topic!~"__.*"')})`, 'events'), query('vector(400000)', 'target')],
          { next: 'bss-kafka' },
        ),
        graph('Components', 'ops', 'What each store does, a second: records, transactions, commands.', [
          query(`sum(${selected(TOPIC_RATE)})`, 'Kafka records'),
          query(rate('pg_stat_database_xact_commit'), 'PostgreSQL transactions'),
          query(rate('redis_commands_processed_total'), 'Redis commands'),
        ]),
      ],
    },
    {
      title: 'HTTP APIs',
      panels: [
        graph('Request rate', 'reqps', 'Requests a second, by service.', [query(selected(REQUEST_RATE), '{{service}}')], {
          next: 'credit-ledger',
        }),
        graph('Response time', 's', 'p50, p95 and p99 by service. p95: warning 500 ms, critical 1 s.', responseTimes(), {
          limits: { warning: 0.5, critical: 1 },
          next: 'credit-ledger',
          drill: ['bss-logs', 'bss-traces'],
        }),
        graph(
          'Error rate',
          'percentunit',
          'Share of answers with 5xx. Warning 1 %, critical 5 %.',
          [query(selected(ERROR_RATIO), '{{service}}')],
          {
            limits: { warning: 0.01, critical: 0.05 },
            next: 'bss-slo',
            drill: ['bss-logs', 'bss-traces'],
          },
        ),
        graph(
          'SLA status',
          'percentunit',
          'Share of requests without a 5xx over one day, with the SLA of 99.9 %.',
          [query(`1 - ${selected('service:slo_errors:ratio_rate1d')}`, '{{service}}'), query('vector(0.999)', 'SLA')],
          { next: 'bss-slo', min: 0.99, max: 1 },
        ),
        graph(
          'Database pools',
          'percentunit',
          'Busy share of each PgBouncer pool. Warning 15 of 20, critical 18 of 20.',
          [query(selected(POOL_RATIO), '{{user}}@{{database}}')],
          {
            limits: { warning: 0.75, critical: 0.9 },
            next: 'bss-database',
          },
        ),
        graph(
          'Heap',
          'percentunit',
          'Share of the heap limit in use, by pod. Warning 70 %, critical 85 %.',
          [query(selected(HEAP_RATIO), '{{pod}}')],
          {
            limits: { warning: 0.7, critical: 0.85 },
            max: 1,
          },
        ),
      ],
    },
    {
      title: 'Processes',
      panels: [
        graph(
          'CPU',
          'short',
          'Cores used, by pod. Node runs JavaScript on one. Warning 0.7, critical 0.85.',
          [query(selected('pod:process_cpu:cores'), '{{pod}}')],
          {
            limits: { warning: 0.7, critical: 0.85 },
          },
        ),
        graph('Memory', 'bytes', 'Resident memory, by pod.', [
          query(selected('process_resident_memory_bytes', `job=~"${NODE_JOBS}"`), '{{pod}}'),
        ]),
        graph(
          'Event-loop delay',
          's',
          'p99 by pod: how late timers and answers are.',
          [query(selected('nodejs_eventloop_lag_p99_seconds', `job=~"${APIS}|interest"`), '{{pod}}')],
          {
            limits: { warning: 0.1, critical: 0.5 },
          },
        ),
      ],
    },
  ],
};

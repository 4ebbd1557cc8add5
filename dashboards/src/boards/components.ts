import { APIS, quantileOf, rateOf, selected, TIMED_REQUESTS } from '../promql.ts';
import { GROUP_LAG } from '../rules/kafka.ts';
import { ERROR_RATIO } from '../rules/system.ts';
import { graph, heatmap, query, stat, table, withExemplars, type Board, type Panel } from './board.ts';

const state: Panel[] = [
  stat('Targets that answer', 'short', 'Targets that Prometheus can scrape.', `count(${selected('up')} == 1) or vector(0)`),
  stat('Targets down', 'short', 'Targets that Prometheus cannot scrape.', `count(${selected('up')} == 0) or vector(0)`, {
    limits: { warning: null, critical: 1 },
  }),
  stat(
    'Restarts',
    'short',
    'Processes that started within the last hour, a rollout included.',
    `count(changes(${selected('process_start_time_seconds')}[1h]) > 0) or vector(0)`,
    { limits: { warning: 1, critical: 10 }, next: 'bss-system' },
  ),
  stat('Postgres', 'short', '1 while the exporter can log in.', `min(${selected('pg_up')})`, {
    limits: { warning: 1, critical: null, falling: true },
    next: 'bss-database',
  }),
  stat('Redis', 'short', '1 while the exporter can log in.', `min(${selected('redis_up')})`, {
    limits: { warning: 1, critical: null, falling: true },
    next: 'bss-cache',
  }),
  stat('Kafka brokers', 'short', 'Brokers that the exporter sees.', `max(${selected('kafka_brokers')})`, {
    limits: { warning: 1, critical: null, falling: true },
    next: 'bss-kafka',
  }),
  table(
    'Which pods answer?',
    'short',
    'A row for each target of Prometheus: 1 while it answers.',
    `sort(sum by (service, pod) (${selected('up')}))`,
    { limits: { warning: 1, critical: null, falling: true } },
  ),
  table(
    'Which alerts fire?',
    'short',
    'A row for each alert that fires, without the watchdog.',
    `sum by (alertname, severity, service, pod) (${selected('ALERTS', 'alertstate="firing",severity!="none"')})`,
    { limits: { warning: 1, critical: null } },
  ),
];

const RESPONSE = 'http_request_duration_seconds';

const outbox: Panel[] = [
  graph('Rows in the outbox', 'short', 'Rows that wait to be published.', [query(`max(${selected('outbox_pending')})`, 'rows')], {
    next: 'credit-ledger',
  }),
  graph(
    'Time to publish',
    's',
    'p50, p95 and p99 from the insertion of a row to the acknowledgement of Kafka. Target of p99: below 1 s.',
    [
      query(quantileOf(0.5, 'outbox_relay_latency_seconds'), 'p50'),
      query(quantileOf(0.95, 'outbox_relay_latency_seconds'), 'p95'),
      query(quantileOf(0.99, 'outbox_relay_latency_seconds'), 'p99'),
    ],
    { limits: { warning: 1, critical: 5 } },
  ),
  graph(
    'Entries not projected',
    's',
    'Age of the oldest entry that the read model has yet to project, by partition. Warning 1 minute.',
    [query(`max by (topic, partition) (${selected('consumer_lag_seconds', 'service="read-model"')})`, '{{topic}} {{partition}}')],
    { limits: { warning: 60, critical: null }, next: 'credit-ledger', drill: ['bss-logs'] },
  ),
  graph('Projected entries', 'ops', 'Entries that the read model projects, and duplicates that it skips, a second.', [
    query(`sum(${rateOf('events_processed_total', 'service="read-model"')})`, 'projected'),
    query(`sum(${rateOf('read_model_duplicates_total')})`, 'skipped'),
  ]),
  graph(
    'Dead letters of the read model',
    'short',
    'Entries given up, a minute, by reason, and partitions that cannot continue.',
    [
      query(`60 * sum by (reason) (${rateOf('read_model_dead_letters_total')})`, '{{reason}}'),
      query(`60 * sum(${rateOf('read_model_partitions_blocked_total')})`, 'blocked partitions'),
    ],
    { limits: { warning: null, critical: 1 }, next: 'bss-kafka' },
  ),
  graph(
    'Transfers',
    'ops',
    'Transfers initiated, resumed, and repeated requests, a second.',
    [
      query(`sum(${rateOf('transfers_initiated_total')})`, 'initiated'),
      query(`sum(${rateOf('transfers_resumed_total')})`, 'resumed'),
      query(`sum(${rateOf('idempotency_hits_total')})`, 'repeated'),
    ],
    { next: 'credit-ledger' },
  ),
];

const work: Panel[] = [
  graph(
    'Consumer lag',
    'short',
    'Records that wait, by group. Target: below 1,000.',
    [query(`sum by (consumergroup) (${selected(GROUP_LAG)})`, '{{consumergroup}}')],
    { limits: { warning: 1000, critical: 10_000 }, next: 'bss-kafka' },
  ),
  graph(
    'Processing time',
    's',
    'p50 and p95 of the time in which the consumers apply a batch.',
    ['interest_batch_duration_seconds', 'read_model_batch_duration_seconds'].flatMap((metric) => [
      query(quantileOf(0.5, metric, 'service'), '{{service}} p50'),
      withExemplars(query(quantileOf(0.95, metric, 'service'), '{{service}} p95')),
    ]),
    { next: 'bss-interest', drill: ['bss-logs', 'bss-traces'] },
  ),
  graph(
    'Response time',
    's',
    'p95 by service. Warning 500 ms, critical 1 s.',
    [withExemplars(query(quantileOf(0.95, RESPONSE, 'service', TIMED_REQUESTS), '{{service}}'))],
    { limits: { warning: 0.5, critical: 1 }, drill: ['bss-logs', 'bss-traces'] },
  ),
  graph(
    'Errors',
    'percentunit',
    'Share of answers with 5xx, by service. Warning 1 %, critical 5 %.',
    [query(selected(ERROR_RATIO), '{{service}}')],
    { limits: { warning: 0.01, critical: 0.05 }, next: 'bss-slo', drill: ['bss-logs', 'bss-traces'] },
  ),
  heatmap('How are response times spread?', 's', 'Requests in each range of response times, of all services.', [
    query(`sum by (le) (increase(${selected(`${RESPONSE}_bucket`, `job=~"${APIS}"`)}[$__rate_interval]))`, '{{le}}'),
  ]),
  graph(
    'Circuit breakers',
    'short',
    '0 closed, 1 open, 2 half open.',
    [query(`max by (service, connector) (${selected('circuit_breaker_state')})`, '{{service}} {{connector}}')],
    { limits: { warning: null, critical: 1 }, drill: ['bss-logs'] },
  ),
  graph(
    'Statements',
    'ops',
    'Statements that each service sends to the database, a second.',
    [query(`sum by (service) (${rateOf('db_calls_total')})`, '{{service}}')],
    { next: 'bss-database', width: 12 },
  ),
  graph(
    'Time of a scrape',
    's',
    'How long each service takes to give its metrics. Above the interval of 5 s, samples are lost.',
    [query(`max by (service) (${selected('scrape_duration_seconds')})`, '{{service}}')],
    { limits: { warning: 1, critical: 5 }, width: 12 },
  ),
];

export const components: Board = {
  uid: 'bss-components',
  title: 'Component Health',
  description: 'Which component is unhealthy, and whether each one gets its work done.',
  rows: [
    { title: 'State', panels: state },
    { title: 'Work', panels: work },
    { title: 'Event path', panels: outbox },
  ],
};

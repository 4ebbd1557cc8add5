import { APIS, selected } from '../promql.ts';
import { OBJECTIVES, sloRecord } from '../rules/slo.ts';
import { SLO_WINDOWS, duration } from '../rules/durations.ts';
import { CALCULATION_RATE } from '../rules/business.ts';
import { GROUP_LAG } from '../rules/kafka.ts';
import { LATENCY, REQUEST_RATE } from '../rules/system.ts';
import { graph, query, stat, type Board } from './board.ts';

const rate = (metric: string, matchers = '') => `rate(${selected(metric, matchers)}[$__rate_interval])`;
const quantile = (q: number, metric: string) => `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`;
const mean = (metric: string) => `sum(${rate(`${metric}_sum`)}) / sum(${rate(`${metric}_count`)})`;

export const interest: Board = {
  uid: 'bss-interest',
  title: 'Interest',
  description: 'The batch consumer: calculations, batches, and what it gives up on.',
  rows: [
    {
      title: 'Calculations',
      panels: [
        graph('Calculations', 'ops', 'Calculations a second, by status. A day of 100 million events is 1,157 a second.', [
          query(selected(CALCULATION_RATE), '{{status}}'),
        ]),
        graph('Time of a calculation', 's', 'p95 of the arithmetic alone.', [
          query(quantile(0.95, 'interest_calculation_latency_seconds'), 'p95'),
        ]),
        graph(
          'Lag',
          'short',
          'Records that wait for the consumer. Target: below 1,000.',
          [query(selected(GROUP_LAG, 'topic=~"interest.*"'), '{{topic}}')],
          {
            limits: { warning: 1000, critical: 10_000 },
            next: 'bss-autoscaling',
          },
        ),
      ],
    },
    {
      title: 'Batches',
      panels: [
        graph('Batch size', 'short', 'Records in a database transaction: mean and p95. Up to 5,000.', [
          query(mean('interest_batch_size'), 'mean'),
          query(quantile(0.95, 'interest_batch_size'), 'p95'),
        ]),
        graph(
          'Time of a batch',
          's',
          'p50 and p95 of the time to apply a batch.',
          [query(quantile(0.5, 'interest_batch_duration_seconds'), 'p50'), query(quantile(0.95, 'interest_batch_duration_seconds'), 'p95')],
          { next: 'bss-database' },
        ),
        graph('Database calls', 'short', 'Statements in a batch. Target: 2.', [query(mean('interest_batch_db_calls'), 'mean')], {
          limits: { warning: 2.5, critical: 4 },
          next: 'bss-database',
        }),
        graph(
          'Halved batches',
          'short',
          'Batches that the database refused, a minute: each is halved until the poison record stands alone.',
          [query(`60 * sum(${rate('interest_batch_fallback_total')})`, 'halved')],
        ),
        graph('Duplicates', 'ops', 'Events that had been applied before and were skipped.', [
          query(`sum(${rate('interest_duplicates_total')})`, 'skipped'),
        ]),
        graph(
          'Dead letters',
          'short',
          'Records given up, a minute, by reason.',
          [query(`60 * sum by (reason) (${rate('interest_dead_letters_total')})`, '{{reason}}')],
          { limits: { warning: null, critical: 1 } },
        ),
      ],
    },
  ],
};

const group = (metric: string) => `max by (group) (${selected(metric)})`;

export const autoscaling: Board = {
  uid: 'bss-autoscaling',
  title: 'Autoscaling',
  description: 'From lag to replicas: what the autoscaler sees and what it decides. `bss explain-scaling` says why.',
  rows: [
    {
      title: 'What it sees',
      panels: [
        graph('Lag', 'short', 'Events that wait for the group.', [query(group('bss_consumer_group_lag'), '{{group}}')], {
          next: 'bss-kafka',
        }),
        graph(
          'Delay',
          's',
          'Age of the oldest event that waits. The goal is maxDelay of the group.',
          [query(group('bss_consumer_group_delay_seconds'), '{{group}}')],
          {
            limits: { warning: 30, critical: 60 },
          },
        ),
        graph('Arrival rate', 'ops', 'Events that arrive, a second.', [query(group('bss_consumer_group_arrival_rate'), '{{group}}')]),
        graph('Rate of a replica', 'ops', 'Events that one replica applies, a second, as learnt while it had enough to do.', [
          query(group('bss_consumer_group_rate_per_replica'), '{{group}}'),
        ]),
      ],
    },
    {
      title: 'What it decides',
      panels: [
        graph('Replicas', 'short', 'Replicas that the Deployment asks for, and those that the autoscaler wants.', [
          query(group('bss_consumer_group_replicas'), '{{group}} replicas'),
          query(group('bss_consumer_group_desired_replicas'), '{{group}} wanted'),
        ]),
        graph('Members', 'short', 'Consumers in the group: a new replica counts once it has joined.', [
          query(selected('kafka_consumergroup_members'), '{{consumergroup}}'),
        ]),
        graph('Scale actions', 'short', 'Changes of the number of replicas within the last 10 minutes.', [
          query(`max by (group) (changes(${selected('bss_consumer_group_replicas')}[10m]))`, '{{group}}'),
        ]),
      ],
    },
  ],
};

const requests = (status: string) => `sum by (service, status) (${rate('http_requests_total', `job=~"${APIS}",status=~"${status}"`)})`;

export const creditLedger: Board = {
  uid: 'credit-ledger',
  title: 'Credit Ledger',
  description: 'Gateway and ledger: requests, queries, connections, messages.',
  rows: [
    {
      title: 'Requests',
      panels: [
        graph('Request rate', 'reqps', 'HTTP requests by service.', [query(selected(REQUEST_RATE), '{{service}}')]),
        graph(
          'Request latency',
          's',
          'p50, p95 and p99 by service. Target of p95: below 500 ms.',
          (['p50', 'p95', 'p99'] as const).map((name) => query(selected(LATENCY[name]), `{{service}} ${name}`)),
          { limits: { warning: 0.5, critical: 1 } },
        ),
        graph('Errors', 'reqps', 'Answers with 4xx and 5xx, a second.', [query(requests('[45]..'), '{{service}} {{status}}')], {
          next: 'bss-slo',
        }),
        graph('Requests by route', 'reqps', 'Where the requests go.', [
          query(`sum by (service, method, route) (${rate('http_requests_total', `job=~"${APIS}"`)})`, '{{service}} {{method}} {{route}}'),
        ]),
        graph('Queries', 'ops', 'Balances and statements that were asked for.', [
          query(`sum(${rate('balance_queries_total')})`, 'balances'),
          query(`sum(${rate('statement_queries_total')})`, 'statements'),
        ]),
        graph(
          'Circuit breaker',
          'short',
          'Of the gateway to the ledger: 0 closed, 1 open, 2 half open.',
          [query(`max by (connector) (${selected('circuit_breaker_state')})`, '{{connector}}')],
          { limits: { warning: null, critical: 1 } },
        ),
      ],
    },
    {
      title: 'Stores',
      panels: [
        graph(
          'Consumer lag',
          'short',
          'Records that wait, by topic and partition.',
          [query(selected('kafka_consumergroup_lag'), '{{topic}} {{partition}}')],
          {
            next: 'bss-kafka',
          },
        ),
        graph(
          'Database connections',
          'short',
          'Active connections of each pool.',
          [query(`sum by (pool) (${selected('db_pool_connections', 'state="active"')})`, '{{pool}}')],
          { next: 'bss-database' },
        ),
        graph(
          'Kafka clients',
          'ops',
          'Records that the services produce and consume.',
          [query(`sum by (service, direction) (${rate('kafka_client_messages_total')})`, '{{service}} {{direction}}')],
          { next: 'bss-kafka' },
        ),
      ],
    },
  ],
};

const budget = (index: number) => {
  const objective = OBJECTIVES[index];
  if (objective === undefined) throw new Error(`there is no objective ${index}`);
  return objective;
};

const burn = (index: number) =>
  SLO_WINDOWS.map((window) =>
    query(`${selected(sloRecord(budget(index), window))} / ${budget(index).budget}`, `{{service}} ${duration(window)}`),
  );

const remaining = (index: number) => `min(1 - ${selected(sloRecord(budget(index), 259_200))} / ${budget(index).budget})`;

export const slo: Board = {
  uid: 'bss-slo',
  title: 'SLO',
  description: 'Objectives of the HTTP APIs, what is left of their error budgets, and how fast they burn.',
  rows: [
    {
      title: 'Availability: 99.9 % of the requests without a 5xx',
      panels: [
        stat(
          'Budget left',
          'percentunit',
          'Share of the budget that is left at the rate of the last three days; below 0 it is overspent.',
          remaining(0),
          {
            limits: { warning: 0.25, critical: 0, falling: true },
          },
        ),
        graph(
          'Failed requests',
          'percentunit',
          'Share over one day, with the objective of 0.1 %.',
          [query(selected('service:slo_errors:ratio_rate1d'), '{{service}}'), query('vector(0.001)', 'objective')],
          { next: 'credit-ledger' },
        ),
        graph('Burn rate', 'short', 'How many times too fast the budget burns: 1 uses it up in 30 days, 14.4 in 50 hours.', burn(0), {
          limits: { warning: 1, critical: 6 },
        }),
      ],
    },
    {
      title: 'Latency: 99 % of the requests within a second',
      panels: [
        stat(
          'Budget left',
          'percentunit',
          'Share of the budget that is left at the rate of the last three days; below 0 it is overspent.',
          remaining(1),
          {
            limits: { warning: 0.25, critical: 0, falling: true },
          },
        ),
        graph(
          'Slow requests',
          'percentunit',
          'Share over one day, with the objective of 1 %.',
          [query(selected('service:slo_slow:ratio_rate1d'), '{{service}}'), query('vector(0.01)', 'objective')],
          { next: 'credit-ledger' },
        ),
        graph('Burn rate', 'short', 'How many times too fast the budget burns.', burn(1), { limits: { warning: 1, critical: 6 } }),
      ],
    },
  ],
};

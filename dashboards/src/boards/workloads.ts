import { APIS, quantileOf, rateOf, selected } from '../promql.ts';
import { API_OBJECTIVES, OBJECTIVES, sloRecord, type Objective } from '../rules/slo.ts';
import { SLO_WINDOWS, duration } from '../rules/durations.ts';
import { CALCULATION_RATE } from '../rules/business.ts';
import { SERVER_FAILURES } from '../rules/event-path.ts';
import { GROUP_LAG } from '../rules/kafka.ts';
import { REQUEST_RATE } from '../rules/system.ts';
import { graph, heatmap, query, responseTimes, stat, withExemplars, type Board, type BoardId, type Panel } from './board.ts';

const mean = (metric: string) => `sum(${rateOf(`${metric}_sum`)}) / sum(${rateOf(`${metric}_count`)})`;

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
          withExemplars(query(quantileOf(0.95, 'interest_calculation_latency_seconds'), 'p95')),
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
          query(quantileOf(0.95, 'interest_batch_size'), 'p95'),
        ]),
        graph(
          'Time of a batch',
          's',
          'p50 and p95 of the time to apply a batch.',
          [
            query(quantileOf(0.5, 'interest_batch_duration_seconds'), 'p50'),
            withExemplars(query(quantileOf(0.95, 'interest_batch_duration_seconds'), 'p95')),
          ],
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
          [query(`60 * sum(${rateOf('interest_batch_fallback_total')})`, 'halved')],
        ),
        graph('Duplicates', 'ops', 'Events that had been applied before and were skipped.', [
          query(`sum(${rateOf('interest_duplicates_total')})`, 'skipped'),
        ]),
        graph(
          'Dead letters',
          'short',
          'Records given up, a minute, by reason.',
          [query(`60 * sum by (reason) (${rateOf('interest_dead_letters_total')})`, '{{reason}}')],
          { limits: { warning: null, critical: 1 } },
        ),
        graph(
          'Records not read',
          'short',
          'Since the start of the consumers: records that retention deleted before they were applied, and partitions read from the first record because their topic was recreated.',
          [
            query(`sum(${selected('interest_records_lost_total')})`, 'lost records'),
            query(`sum(${selected('interest_partitions_recreated_total')})`, 'recreated partitions'),
          ],
          { limits: { warning: null, critical: 1 } },
        ),
      ],
    },
  ],
};

const group = (metric: string) => `max by (group) (${selected(metric)})`;

/** A ConsumerAutoscaler belongs to no platform: its series have its name in place of one. */
const ofAutoscaler = (metric: string) => `max by (namespace, autoscaler) (${metric}{autoscaler!=""})`;
const AUTOSCALER = '{{namespace}}/{{autoscaler}}';

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
    {
      title: 'ConsumerAutoscalers, of every namespace',
      panels: [
        graph('Lag', 'short', 'Events that wait for the group.', [query(ofAutoscaler('bss_consumer_group_lag'), AUTOSCALER)]),
        graph('Delay', 's', 'Age of the oldest event that waits. The goal is maxDelay of the resource.', [
          query(ofAutoscaler('bss_consumer_group_delay_seconds'), AUTOSCALER),
        ]),
        graph('Arrival rate', 'ops', 'Events that arrive, a second.', [query(ofAutoscaler('bss_consumer_group_arrival_rate'), AUTOSCALER)]),
        graph(
          'Replicas',
          'short',
          'Replicas that the scaled object asks for, and those that the autoscaler wants.',
          [
            query(ofAutoscaler('bss_consumer_group_replicas'), `${AUTOSCALER} replicas`),
            query(ofAutoscaler('bss_consumer_group_desired_replicas'), `${AUTOSCALER} wanted`),
          ],
          { width: 24 },
        ),
      ],
    },
  ],
};

/** Of all outcomes of transfers. */
const transferShare = (outcome: string) =>
  `(${outcome} or vector(0)) / ((sum(${rateOf('transfers_completed_total')}) + sum(${rateOf('transfers_failed_total')})) > 0)`;

const requests = (status: string) => `sum by (service, status) (${rateOf('http_requests_total', `job=~"${APIS}",status=~"${status}"`)})`;

export const creditLedger: Board = {
  uid: 'credit-ledger',
  title: 'Credit Ledger',
  description: 'The path of a transfer: requests, the outbox, the read model, and the stores behind them.',
  rows: [
    {
      title: 'Requests',
      panels: [
        graph('Request rate', 'reqps', 'HTTP requests by service.', [query(selected(REQUEST_RATE), '{{service}}')]),
        graph('Request latency', 's', 'p50, p95 and p99 by service. Target of p95: below 500 ms.', responseTimes(), {
          limits: { warning: 0.5, critical: 1 },
          drill: ['bss-logs', 'bss-traces'],
        }),
        graph('Errors', 'reqps', 'Answers with 4xx and 5xx, a second.', [query(requests('[45]..'), '{{service}} {{status}}')], {
          next: 'bss-slo',
        }),
        graph(
          'Transfer success rate',
          'percentunit',
          'Share of the transfers that were completed, rejected by the ledger, and failed for another reason.',
          [
            query(transferShare(`sum(${rateOf('transfers_completed_total')})`), 'completed'),
            query(transferShare(`sum(${rateOf('transfers_failed_total', `error_type!~"${SERVER_FAILURES}"`)})`), 'rejected'),
            query(transferShare(`sum(${rateOf('transfers_failed_total', `error_type=~"${SERVER_FAILURES}"`)})`), 'failed'),
          ],
          { max: 1, width: 24, drill: ['bss-logs', 'bss-traces'] },
        ),
      ],
    },
    {
      title: 'Events',
      panels: [
        graph(
          'Outbox age',
          's',
          'Age of the oldest row that is not published. Warning 1 minute, critical 5 minutes.',
          [query(`max(${selected('outbox_oldest_unsent_age_seconds')})`, 'oldest row')],
          { limits: { warning: 60, critical: 300 }, next: 'bss-kafka' },
        ),
        graph('Outbox publish rate', 'ops', 'Entries that the relay publishes, a second.', [
          query(`sum(${rateOf('outbox_events_published_total')})`, 'published'),
        ]),
        graph(
          'Consumer lag',
          'short',
          'Records that wait, by topic and partition.',
          [query(selected('kafka_consumergroup_lag'), '{{topic}} {{partition}}')],
          { next: 'bss-kafka' },
        ),
        heatmap('Projection latency', 's', 'Entries in each range of the time from the posting to its projection.', [
          query(`sum by (le) (increase(${selected('projection_latency_seconds_bucket')}[$__rate_interval]))`, '{{le}}'),
        ]),
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
          [query(`sum by (service, direction) (${rateOf('kafka_client_messages_total')})`, '{{service}} {{direction}}')],
          { next: 'bss-kafka' },
        ),
      ],
    },
  ],
};

const LONGEST_WINDOW = Math.max(...SLO_WINDOWS);
const MULTIPLES = { limits: { warning: 1, critical: 6 } };

/** How much of the budget of an objective is left, how many requests miss it, and how fast the budget burns. */
function objectivePanels(objective: Objective, title: string, next: BoardId): Panel[] {
  const { by, budget } = objective;
  const record = (window: number) => selected(sloRecord(objective, window));
  const percent = `${Number((budget * 100).toPrecision(6))} %`;
  return [
    stat(
      'Budget left',
      'percentunit',
      `Share of the budget that is left at the rate of the last three days, of the worst ${by}; below 0 it is overspent.`,
      `min(1 - ${record(LONGEST_WINDOW)} / ${budget})`,
      { limits: { warning: 0.25, critical: 0, falling: true } },
    ),
    graph(
      title,
      'percentunit',
      `Share over one day, with the objective of ${percent}.`,
      [query(record(86_400), `{{${by}}}`), query(`vector(${budget})`, 'objective')],
      { next },
    ),
    graph(
      'Burn rate',
      'short',
      'How many times too fast the budget burns: 1 uses it up in 30 days, 14.4 in 50 hours.',
      SLO_WINDOWS.map((window) => query(`${record(window)} / ${budget}`, `{{${by}}} ${duration(window)}`)),
      MULTIPLES,
    ),
  ];
}

const [ERRORS, DELAYS] = OBJECTIVES;
const [API_ERRORS, API_DELAYS] = API_OBJECTIVES;

export const slo: Board = {
  uid: 'bss-slo',
  title: 'SLO',
  description: 'Objectives of the services and of the APIs, what is left of their error budgets, and how fast they burn.',
  rows: [
    { title: 'Availability: 99.9 % of the requests without a 5xx', panels: objectivePanels(ERRORS, 'Failed requests', 'credit-ledger') },
    { title: 'Latency: 99 % of the requests within a second', panels: objectivePanels(DELAYS, 'Slow requests', 'credit-ledger') },
    {
      title: 'Customers, orders, invoices and payments at the gateway: 99.9 % of the requests without a 5xx',
      panels: objectivePanels(API_ERRORS, 'Failed requests by API', 'bss-business'),
    },
    {
      title: 'Customers, orders, invoices and payments at the gateway: 95 % of the requests within 2 s, payments within 1 s',
      panels: objectivePanels(API_DELAYS, 'Slow requests by API', 'bss-business'),
    },
  ],
};

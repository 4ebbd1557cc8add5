import { APIS, quantileOf, rateOf, selected } from '../promql.ts';
import { CALCULATION_RATE } from '../rules/business.ts';
import { GROUP_RATE, TOPIC_RATE } from '../rules/kafka.ts';
import { graph, query, stat, type Board, type Panel } from './board.ts';

/** Of a day with 100 million events: their mean rate, a second. */
const DAY_RATE = 1157;
const OF_USERS = 'topic!~"__.*"';

const day = (metric: string) => `sum(increase(${selected(metric)}[24h]))`;
/** Whole numbers: an increase is extrapolated to the ends of its range. */
const countOfDay = (metric: string) => `round(${day(metric)})`;

const today: Panel[] = [
  stat(
    'Calculations in 24 hours',
    'short',
    'Interest calculations. The goal of a full day is 100 million.',
    countOfDay('interest_calculation_total'),
    {
      next: 'bss-interest',
    },
  ),
  stat(
    'Failed calculations',
    'percentunit',
    'Share of the calculations of 24 hours that failed. Target: below 1 %.',
    `(sum(increase(${selected('interest_calculation_total', 'status="failure"')}[24h])) or vector(0)) / (${day('interest_calculation_total')} > 0)`,
    { limits: { warning: 0.01, critical: 0.05 }, next: 'bss-interest' },
  ),
  stat('Records given up', 'short', 'Dead letters of 24 hours.', countOfDay('interest_dead_letters_total'), {
    limits: { warning: 1, critical: 100 },
    next: 'bss-kafka',
  }),
  stat('Balances asked for', 'short', 'Balance queries of 24 hours.', countOfDay('balance_queries_total'), { next: 'credit-ledger' }),
  stat('Statements asked for', 'short', 'Statement queries of 24 hours.', countOfDay('statement_queries_total'), { next: 'credit-ledger' }),
  stat(
    'Availability',
    'percentunit',
    'Share of requests without a 5xx over one day, of the worst service. SLA: 99.9 %.',
    `min(1 - ${selected('service:slo_errors:ratio_rate1d')})`,
    { limits: { warning: 0.999, critical: 0.99, falling: true }, next: 'bss-slo' },
  ),
];

const events: Panel[] = [
  graph(
    'Do we keep up?',
    'ops',
    'Events that arrive and events that are applied, a second, by topic.',
    [
      query(`sum by (topic) (${selected(TOPIC_RATE, OF_USERS)})`, '{{topic}} arrive'),
      query(`sum by (topic) (${selected(GROUP_RATE, OF_USERS)})`, '{{topic}} applied'),
    ],
    { next: 'bss-kafka' },
  ),
  graph(
    'How long do events wait?',
    's',
    'Age of the oldest event that a group has yet to apply. Warning 30 s, critical 60 s.',
    [query(`max by (group) (${selected('bss_consumer_group_delay_seconds')})`, '{{group}}')],
    { limits: { warning: 30, critical: 60 }, next: 'bss-autoscaling' },
  ),
  graph(
    'Calculations',
    'ops',
    'Calculations a second, by status, with the mean rate of a day of 100 million events.',
    [query(selected(CALCULATION_RATE), '{{status}}'), query(`vector(${DAY_RATE})`, '100 million a day')],
    { next: 'bss-interest' },
  ),
];

const customers: Panel[] = [
  graph('Queries', 'ops', 'Balances and statements that are asked for, a second.', [
    query(`sum(${rateOf('balance_queries_total')})`, 'balances'),
    query(`sum(${rateOf('statement_queries_total')})`, 'statements'),
  ]),
  graph(
    'Requests by operation',
    'reqps',
    'What clients ask the gateway for, a second.',
    [query(`sum by (service, method, route) (${rateOf('http_requests_total', 'job="gateway"')})`, '{{method}} {{route}}')],
    { next: 'credit-ledger', drill: ['bss-logs', 'bss-traces'] },
  ),
  graph(
    'Refused requests',
    'reqps',
    'Answers with 4xx and 5xx that clients got, a second, by status.',
    [query(`sum by (service, status) (${rateOf('http_requests_total', `job=~"${APIS}",status=~"[45].."`)})`, '{{service}} {{status}}')],
    { next: 'bss-slo', drill: ['bss-logs', 'bss-traces'] },
  ),
];

const orders: Panel[] = [
  stat('Customers created in 24 hours', 'short', 'New customers.', countOfDay('bss_customers_created_total')),
  stat('Orders in 24 hours', 'short', 'Orders created.', countOfDay('bss_orders_total')),
  stat('Invoices in 24 hours', 'short', 'Invoices created.', countOfDay('bss_invoices_total')),
  stat('Payments in 24 hours', 'short', 'Payments created.', countOfDay('bss_payments_total')),
  graph('Orders, invoices and payments', 'ops', 'Created a second.', [
    query(`sum(${rateOf('bss_orders_total')})`, 'orders'),
    query(`sum(${rateOf('bss_invoices_total')})`, 'invoices'),
    query(`sum(${rateOf('bss_payments_total')})`, 'payments'),
  ]),
  graph(
    'Payments on the ledger',
    'ops',
    'Transfers of payments and refunds a second, by outcome. A rejection has a reason of the ledger, such as insufficient funds.',
    [
      query(`sum by (kind) (${rateOf('payment_transfers_completed_total')})`, '{{kind}} completed'),
      query(`sum by (kind, error_type) (${rateOf('payment_transfers_rejected_total')})`, '{{kind}} {{error_type}}'),
    ],
    { next: 'credit-ledger', width: 6 },
  ),
  graph(
    'Payments without an outcome',
    'short',
    'Transfers of payments that are in progress, and those in progress for more than an hour.',
    [query(`max by (state) (${selected('payment_transfers_pending')})`, '{{state}}')],
    { width: 6 },
  ),
  graph(
    'Customers',
    'ops',
    'Customers created and changed, and changes of their status, a second.',
    [
      query(`sum(${rateOf('bss_customers_created_total')})`, 'created'),
      query(`sum(${rateOf('bss_customers_updated_total')})`, 'changed'),
      query(`sum(${rateOf('bss_customers_status_changed_total')})`, 'status changed'),
    ],
    { width: 6 },
  ),
  graph(
    'Time to create a customer',
    's',
    'From the request to the answer.',
    [
      query(quantileOf(0.5, 'bss_customers_create_time'), 'p50'),
      query(quantileOf(0.95, 'bss_customers_create_time'), 'p95'),
      query(quantileOf(0.99, 'bss_customers_create_time'), 'p99'),
    ],
    { width: 6 },
  ),
];

const changes: Panel[] = [
  graph(
    'Changes by family',
    'ops',
    'Changes of resources a second, by family.',
    [query(`sum by (type) (${rateOf('bss_events_by_type_total')})`, '{{type}}')],
    { width: 6 },
  ),
  graph(
    'Changes by component',
    'ops',
    'Changes a second that PostgreSQL has committed, Kafka has acknowledged, and Redis has invalidated.',
    // The label component of a series is that of the pod; Prometheus keeps the metric's own under this name.
    [query(`sum by (exported_component) (${rateOf('bss_events_by_component_total')})`, '{{exported_component}}')],
    { width: 6 },
  ),
  graph(
    'Time from a change to its event',
    's',
    'Until Kafka has acknowledged the event.',
    [
      query(quantileOf(0.5, 'bss_event_processing_duration_seconds'), 'p50'),
      query(quantileOf(0.95, 'bss_event_processing_duration_seconds'), 'p95'),
      query(quantileOf(0.99, 'bss_event_processing_duration_seconds'), 'p99'),
    ],
    { width: 6 },
  ),
  graph(
    'Errors',
    'ops',
    'Requests that crm failed to answer and events that it failed to publish, a second, beside all changes.',
    [query(`sum(${rateOf('bss_errors_total')})`, 'errors'), query(`sum(${rateOf('bss_events_total')})`, 'changes')],
    { drill: ['bss-logs', 'bss-traces'], width: 6 },
  ),
];

export const business: Board = {
  uid: 'bss-business',
  title: 'Business Metrics',
  description: 'What the platform does for the business: calculations, events, queries, and what it fails to do.',
  rows: [
    { title: 'The last 24 hours', panels: today },
    { title: 'Customers, orders, invoices and payments', panels: orders },
    { title: 'Changes of them as events', panels: changes },
    { title: 'Events', panels: events },
    { title: 'Customers', panels: customers },
  ],
};

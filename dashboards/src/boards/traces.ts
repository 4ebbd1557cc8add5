import { APIS, otelcol, quantileOf, rateOf, selected } from '../promql.ts';
import { graph, heatmap, query, traceTable, withExemplars, type Board, type Panel } from './board.ts';

/** Spans of the selected platform and services that meet a condition. */
const spans = (condition: string) =>
  `{ resource.k8s.namespace.name = "$namespace" && resource.bss.platform = "$platform" && resource.service.name =~ "$service" && ${condition} }`;

const RESPONSE = 'http_request_duration_seconds';
const OF_SERVICES = `job=~"${APIS}",service=~"$service"`;

const found: Panel[] = [
  traceTable(
    'Which traces failed?',
    'short',
    'The newest traces with a span whose status is error.',
    [query(spans('status = error'), '')],
    {
      height: 10,
    },
  ),
  traceTable(
    'Which traces are slow?',
    'short',
    'The newest traces that took longer than 500 ms, the target of p95.',
    [query(spans('trace:duration > 500ms'), '')],
    { height: 10 },
  ),
  traceTable(
    'Which database calls are slow?',
    'short',
    'The newest traces with a database call that took longer than 100 ms.',
    [query(spans('kind = client && span.db.system.name != nil && duration > 100ms'), '')],
    { next: 'bss-database' },
  ),
  traceTable(
    'Which messages failed?',
    'short',
    'The newest traces in which a consumer failed.',
    [query(spans('kind = consumer && status = error'), '')],
    { next: 'bss-kafka' },
  ),
];

const requests: Panel[] = [
  graph(
    'Response time',
    's',
    'p95 by service. Each point is a request: it leads to its trace. Warning 500 ms, critical 1 s.',
    [withExemplars(query(quantileOf(0.95, RESPONSE, 'service', OF_SERVICES), '{{service}}'))],
    { limits: { warning: 0.5, critical: 1 }, drill: ['bss-logs'], width: 12 },
  ),
  heatmap(
    'How are response times spread?',
    's',
    'Requests in each range of response times.',
    [query(`sum by (le) (increase(${selected(`${RESPONSE}_bucket`, OF_SERVICES)}[$__rate_interval]))`, '{{le}}')],
    { width: 12 },
  ),
];

const counted = (metric: string, matchers: string) => `rate(${otelcol(selected, metric, '_total', matchers)}[$__rate_interval])`;
const COLLECTOR = 'job="collector"';

const way: Panel[] = [
  graph(
    'Spans received',
    'ops',
    'Spans that the collector accepts and refuses, a second.',
    [
      query(`sum(${counted('receiver_accepted_spans', COLLECTOR)})`, 'accepted'),
      query(`sum(${counted('receiver_refused_spans', COLLECTOR)})`, 'refused'),
    ],
    { next: 'bss-monitoring' },
  ),
  graph('Traces kept', 'ops', 'Traces that tail sampling keeps and drops, a second: errors and slow requests are always kept.', [
    query(`sum by (sampled) (${counted('processor_tail_sampling_global_count_traces_sampled', COLLECTOR)})`, 'sampled: {{sampled}}'),
  ]),
  graph(
    'Spans that services lose',
    'ops',
    'Spans that were recorded but never exported, by service. Target: 0.',
    [query(`sum by (service) (${rateOf('otel_spans_dropped_total')})`, '{{service}}')],
    { limits: { warning: null, critical: 0.001 }, drill: ['bss-logs'] },
  ),
];

export const traces: Board = {
  uid: 'bss-traces',
  title: 'Traces',
  description: 'Failed and slow requests, from the request to the statement that took long.',
  variables: ['service'],
  rows: [
    { title: 'Traces', panels: found },
    { title: 'Requests', panels: requests },
    { title: 'From service to store', panels: way },
  ],
};

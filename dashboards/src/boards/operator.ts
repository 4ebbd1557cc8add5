import { graph, query, stat, type Board } from './board.ts';

/** The operator runs in a namespace of its own: its series carry the platform whose Prometheus scrapes it. */
const own = (metric: string, matchers = '') => `${metric}{platform="$platform"${matchers === '' ? '' : `,${matchers}`}}`;
const rate = (metric: string, matchers = '') => `rate(${own(metric, matchers)}[$__rate_interval])`;
const quantile = (metric: string, by = '') =>
  `histogram_quantile(0.95, sum by (le${by === '' ? '' : `, ${by}`}) (${rate(`${metric}_bucket`)}))`;

export const operator: Board = {
  uid: 'bss-operator',
  title: 'Operator',
  description: 'Passes, work queue, API server and watches of the operator.',
  rows: [
    {
      title: 'State',
      panels: [
        stat('Leaders', 'short', 'Replicas that hold the Lease: 1.', `sum(${own('bss_operator_leader')})`, {
          limits: { warning: 1, critical: null, falling: true },
        }),
        stat('Platforms ready', 'short', 'Whether the platform is Ready.', `sum(${own('bss_platform_ready')})`, {
          limits: { warning: 1, critical: null, falling: true },
        }),
        stat('Keys in the queue', 'short', 'Platforms that wait for a worker.', `sum(${own('bss_operator_queue_depth')})`, {
          limits: { warning: 20, critical: 100 },
        }),
        stat(
          'Silence of the watches',
          's',
          'The longest time since the API server said anything about a kind. Critical above 10 minutes.',
          `max(${own('bss_operator_watch_silence_seconds')})`,
          {
            limits: { warning: 300, critical: 600 },
          },
        ),
      ],
    },
    {
      title: 'Reconciling',
      panels: [
        graph('Passes', 'ops', 'Passes a second, by result.', [
          query(`sum by (result) (${rate('bss_operator_reconcile_total')})`, '{{result}}'),
        ]),
        graph('Time of a pass', 's', 'p95.', [query(quantile('bss_operator_reconcile_duration_seconds'), 'p95')], {
          limits: { warning: 5, critical: 30 },
        }),
        graph(
          'Time in the queue',
          's',
          'p95 of the time from being added to being worked on.',
          [query(quantile('bss_operator_queue_latency_seconds'), 'p95')],
          {
            limits: { warning: 5, critical: 30 },
          },
        ),
        graph('Objects applied', 'ops', 'By what came of it. A settled platform is applied without changes.', [
          query(`sum by (action) (${rate('bss_operator_apply_total')})`, '{{action}}'),
        ]),
        graph('Events', 'ops', 'Events, by what became of them.', [
          query(`sum by (outcome) (${rate('bss_operator_events_total')})`, '{{outcome}}'),
        ]),
        graph('Retries', 'ops', 'Keys added again after a failure.', [
          query(`sum by (name) (${rate('bss_operator_queue_retries_total')})`, '{{name}}'),
        ]),
      ],
    },
    {
      title: 'API server',
      panels: [
        graph('Requests', 'reqps', 'By verb and answer.', [
          query(`sum by (verb, code) (${rate('bss_operator_api_requests_total')})`, '{{verb}} {{code}}'),
        ]),
        graph(
          'Time of a request',
          's',
          'p95 by verb.',
          [query(quantile('bss_operator_api_request_duration_seconds', 'verb'), '{{verb}}')],
          {
            limits: { warning: 1, critical: 5 },
          },
        ),
        graph('Watches that ended', 'short', 'A minute, by reason. Ends by timeout are normal.', [
          query(`60 * sum by (reason) (${rate('bss_operator_watch_restarts_total')})`, '{{reason}}'),
        ]),
      ],
    },
    {
      title: 'Process',
      panels: [
        graph('Heap', 'bytes', 'Heap in use and its limit, by replica.', [
          query(own('nodejs_heap_size_used_bytes', 'job="bss-operator"'), '{{pod}}'),
          query(own('nodejs_heap_size_limit_bytes', 'job="bss-operator"'), '{{pod}} limit'),
        ]),
        graph(
          'Event-loop delay',
          's',
          'p99 by replica.',
          [query(own('nodejs_eventloop_lag_p99_seconds', 'job="bss-operator"'), '{{pod}}')],
          {
            limits: { warning: 0.1, critical: 0.5 },
          },
        ),
        graph('CPU', 'short', 'Cores used, by replica.', [query(rate('process_cpu_seconds_total', 'job="bss-operator"'), '{{pod}}')]),
      ],
    },
  ],
};

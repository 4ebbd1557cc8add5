import { COLLECTORS, otelcol, rateOf, selected } from '../promql.ts';
import { graph, query, stat, type Board, type Panel } from './board.ts';

const counted = (metric: string, matchers: string) => `rate(${otelcol(selected, metric, '_total', matchers)}[$__rate_interval])`;
const IN_COLLECTORS = `job=~"${COLLECTORS}"`;

const prometheus: Panel[] = [
  stat('Series', 'short', 'Series in the head of Prometheus.', `sum(${selected('prometheus_tsdb_head_series')})`),
  stat('Samples', 'ops', 'Samples stored a second.', `sum(${rateOf('prometheus_tsdb_head_samples_appended_total')})`, {
    limits: { warning: 1, critical: null, falling: true },
  }),
  stat(
    'Failed rules',
    'short',
    'Evaluations that failed within the last hour.',
    `sum(increase(${selected('prometheus_rule_evaluation_failures_total')}[1h]))`,
    { limits: { warning: null, critical: 1 } },
  ),
  stat(
    'Storage',
    'bytes',
    'Blocks, write-ahead log and head of Prometheus on disk.',
    `sum(${selected('prometheus_tsdb_storage_blocks_bytes')} + ${selected('prometheus_tsdb_wal_storage_size_bytes')} + ${selected('prometheus_tsdb_head_chunks_storage_size_bytes')})`,
    { next: 'bss-system' },
  ),
  stat(
    'Alerts sent',
    'short',
    'Notifications of the last hour.',
    `round(sum(increase(${selected('alertmanager_notifications_total')}[1h])))`,
  ),
  stat(
    'Failed notifications',
    'short',
    'Notifications of the last hour that no receiver took.',
    `sum(increase(${selected('alertmanager_notifications_failed_total')}[1h]))`,
    { limits: { warning: null, critical: 1 } },
  ),
  graph('Samples by job', 'short', 'Samples of one scrape, by job: what costs most.', [
    query(`topk(10, sum by (job) (${selected('scrape_samples_post_metric_relabeling')}))`, '{{job}}'),
  ]),
  graph(
    'Time of the rules',
    's',
    'Time of the last evaluation of each group. Above its interval, evaluations are missed.',
    [query(`topk(5, ${selected('prometheus_rule_group_last_duration_seconds')})`, '{{rule_group}}')],
    { limits: { warning: 1, critical: 5 } },
  ),
  graph('Alerts', 'short', 'Alerts in Alertmanager, by state.', [
    query(`sum by (state) (${selected('alertmanager_alerts')})`, '{{state}}'),
  ]),
];

/** Requests to a store that fail, and the p99 of those that do not. */
function requestsOf(store: string, metric: string): Panel[] {
  const count = `${metric}_request_duration_seconds_count`;
  const buckets = `${metric}_request_duration_seconds_bucket`;
  return [
    graph(
      `${store} errors`,
      'percentunit',
      'Share of the requests that failed with 5xx. Warning 1 %, critical 5 %.',
      [
        query(
          `(sum(${rateOf(count, 'status_code=~"5..",route!="ready"')}) or vector(0)) / (sum(${rateOf(count, 'route!="ready"')}) > 0)`,
          'failed',
        ),
      ],
      { limits: { warning: 0.01, critical: 0.05 }, width: 12 },
    ),
    graph(
      `${store} response time`,
      's',
      'p99 of a request, by route: the five slowest.',
      [query(`topk(5, histogram_quantile(0.99, sum by (le, service, route) (${rateOf(buckets)})))`, '{{route}}')],
      { width: 12 },
    ),
  ];
}

const loki: Panel[] = [
  graph(
    'Lines into Loki',
    'ops',
    'Lines that Loki takes and discards, a second.',
    [
      query(`sum(${rateOf('loki_distributor_lines_received_total')})`, 'taken'),
      query(`sum by (reason) (${rateOf('loki_discarded_samples_total')})`, 'discarded: {{reason}}'),
    ],
    { next: 'bss-logs' },
  ),
  graph('Bytes into Loki', 'Bps', 'Bytes of log lines, a second.', [
    query(`sum(${rateOf('loki_distributor_bytes_received_total')})`, 'taken'),
  ]),
  graph(
    'Streams',
    'short',
    'Streams that are open: every combination of labels is one. Many streams are slow.',
    [query(`sum(${selected('loki_ingester_memory_streams')})`, 'streams')],
    { limits: { warning: 1000, critical: 5000 } },
  ),
  ...requestsOf('Loki', 'loki'),
];

const tempo: Panel[] = [
  graph(
    'Spans into Tempo',
    'ops',
    'Spans that Tempo takes and discards, a second.',
    [
      query(`sum(${rateOf('tempo_distributor_spans_received_total')})`, 'taken'),
      query(`sum by (reason) (${rateOf('tempo_discarded_spans_total')})`, 'discarded: {{reason}}'),
    ],
    { next: 'bss-traces' },
  ),
  graph('Bytes into Tempo', 'Bps', 'Bytes of spans, a second.', [
    query(`sum(${rateOf('tempo_distributor_bytes_received_total')})`, 'taken'),
  ]),
  graph('Spans into Jaeger', 'ops', 'Spans that Jaeger accepts and refuses, a second.', [
    query(`sum(${counted('receiver_accepted_spans', 'job="jaeger"')})`, 'accepted'),
    query(`sum(${counted('receiver_refused_spans', 'job="jaeger"')})`, 'refused'),
  ]),
  ...requestsOf('Tempo', 'tempo'),
];

const collectors: Panel[] = [
  graph(
    'Accepted',
    'ops',
    'Spans and log records that the collectors accept, a second.',
    [
      query(`sum by (job) (${counted('receiver_accepted_spans', IN_COLLECTORS)})`, '{{job}} spans'),
      query(`sum by (job) (${counted('receiver_accepted_log_records', IN_COLLECTORS)})`, '{{job}} log records'),
    ],
    { width: 6 },
  ),
  graph(
    'Sent',
    'ops',
    'Spans and log records that each exporter delivers, a second.',
    [
      query(`sum by (job, exporter) (${counted('exporter_sent_spans', IN_COLLECTORS)})`, '{{job}} {{exporter}} spans'),
      query(`sum by (job, exporter) (${counted('exporter_sent_log_records', IN_COLLECTORS)})`, '{{job}} {{exporter}} log records'),
    ],
    { width: 6 },
  ),
  graph(
    'Lost',
    'ops',
    'Spans and log records that an exporter gives up, a second. Target: 0.',
    [
      query(`sum by (job, exporter) (${counted('exporter_send_failed_spans', IN_COLLECTORS)})`, '{{job}} {{exporter}} spans'),
      query(`sum by (job, exporter) (${counted('exporter_send_failed_log_records', IN_COLLECTORS)})`, '{{job}} {{exporter}} log records'),
    ],
    { limits: { warning: null, critical: 0.001 }, width: 6 },
  ),
  graph(
    'Queues',
    'percentunit',
    'Share of the sending queue in use, by exporter. Warning 50 %, critical 80 %.',
    [
      query(
        `max by (job, exporter) (${selected('otelcol_exporter_queue_size')} / ${selected('otelcol_exporter_queue_capacity')})`,
        '{{job}} {{exporter}}',
      ),
    ],
    { limits: { warning: 0.5, critical: 0.8 }, max: 1, width: 6 },
  ),
];

const STACK = 'job=~"prometheus|alertmanager|pushgateway|grafana|loki|tempo|node-exporter|.*-exporter"';

const cost: Panel[] = [
  graph('Memory of the stack', 'bytes', 'Resident memory of everything that monitors, by job.', [
    query(`sum by (job) (${selected('process_resident_memory_bytes', STACK)})`, '{{job}}'),
    query(`sum by (job) (${otelcol(selected, 'process_memory_rss', '_bytes', IN_COLLECTORS)})`, '{{job}}'),
  ]),
  graph('CPU of the stack', 'short', 'Cores used by everything that monitors, by job.', [
    query(`sum by (job) (${rateOf('process_cpu_seconds_total', STACK)})`, '{{job}}'),
    query(`sum by (job) (${counted('process_cpu_seconds', IN_COLLECTORS)})`, '{{job}}'),
  ]),
  graph('Series by job', 'short', 'New series of one scrape, by job. A value that stays high means labels without bound.', [
    query(`topk(10, sum by (job) (${selected('scrape_series_added')}))`, '{{job}}'),
  ]),
];

export const monitoring: Board = {
  uid: 'bss-monitoring',
  title: 'Monitoring Stack',
  description: 'Whether metrics, logs and traces arrive, what is lost on the way, and what the stack costs.',
  rows: [
    { title: 'Prometheus and Alertmanager', panels: prometheus },
    { title: 'Collectors', panels: collectors },
    { title: 'Loki', panels: loki },
    { title: 'Tempo and Jaeger', panels: tempo },
    { title: 'Cost', panels: cost },
  ],
};

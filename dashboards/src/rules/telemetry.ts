/** Logs and traces on their way: Collectors, Loki, Tempo and Jaeger. */
import { COLLECTORS, otelcol, PLATFORM, series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

const BY_COLLECTOR = `${PLATFORM}, job, pod`;
const counted = (metric: string, matchers = `job=~"${COLLECTORS}"`) => otelcol(series, metric, '_total', matchers);

/** The sum over several metrics. Rates lose their metrics' names: the label `metric` tells them apart. */
function summed(metrics: readonly string[], of: (series: string) => string): string {
  return metrics.map((metric) => `label_replace(${of(counted(metric))}, "metric", "${metric}", "", "")`).join(' or ');
}

const REFUSED = ['receiver_refused_spans', 'receiver_failed_spans', 'receiver_refused_log_records', 'receiver_failed_log_records'];
const LOST = [
  'exporter_send_failed_spans',
  'exporter_enqueue_failed_spans',
  'exporter_send_failed_log_records',
  'exporter_enqueue_failed_log_records',
];

function collectors({ timing }: RuleOptions): Alert[] {
  const [rate, event] = [timing.range('rate'), timing.range('event')];
  return [
    {
      alert: 'CollectorRefusesData',
      expr: `sum by (${BY_COLLECTOR}, receiver) (${summed(REFUSED, (metric) => `rate(${metric}[${rate}])`)}) > 0`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: '{{ $labels.job }} of platform {{ $labels.platform }} refuses logs or spans',
      description:
        '{{ $labels.pod }} refuses {{ $value | printf "%.1f" }} spans or log records a second on receiver {{ $labels.receiver }}: ' +
        'it is out of memory, or its exporters do not keep up.',
    },
    {
      alert: 'CollectorExportFailing',
      expr: `sum by (${BY_COLLECTOR}, exporter) (${summed(LOST, (metric) => `increase(${metric}[${event}])`)}) > 0`,
      severity: 'warning',
      team: 'sre',
      summary: '{{ $labels.job }} of platform {{ $labels.platform }} loses logs or spans',
      description: '{{ $labels.pod }} gave up {{ $value | printf "%.0f" }} spans or log records of exporter {{ $labels.exporter }}.',
    },
    {
      alert: 'CollectorQueueFull',
      expr:
        `max by (${BY_COLLECTOR}, exporter) (${series('otelcol_exporter_queue_size')}` +
        ` / ${series('otelcol_exporter_queue_capacity')}) > 0.8`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: '{{ $labels.job }} of platform {{ $labels.platform }} has a full queue',
      description:
        'The queue of exporter {{ $labels.exporter }} in {{ $labels.pod }} is {{ $value | humanizePercentage }} full, above 80 %. ' +
        'When it is full, data is dropped.',
    },
  ];
}

/** Share of requests that a store answers with 5xx, by route. While it starts, it answers its readiness probe with 503. */
function requestErrors(alert: string, store: string, metric: string, { timing }: RuleOptions): Alert {
  const requests = (matchers: string) =>
    `sum by (${PLATFORM}, job, route) (rate(${series(`${metric}_request_duration_seconds_count`, `${matchers}route!="ready"`)}[${timing.range('rate')}]))`;
  return {
    alert,
    expr: `${requests('status_code=~"5..",')} / (${requests('')} > 0) > 0.05`,
    for: timing.for('warning'),
    severity: 'warning',
    team: 'sre',
    summary: `${store} of platform {{ $labels.platform }} answers with errors`,
    description: '{{ $value | humanizePercentage }} of the requests to route {{ $labels.route }} failed with 5xx, above 5 %.',
  };
}

function discards(alert: string, store: string, metric: string, what: string, { timing }: RuleOptions): Alert {
  return {
    alert,
    expr: `sum by (${PLATFORM}, job, reason) (increase(${series(metric)}[${timing.range('event')}])) > 0`,
    severity: 'warning',
    team: 'sre',
    summary: `${store} of platform {{ $labels.platform }} discards ${what}`,
    description: `{{ $value | printf "%.0f" }} ${what} were discarded. Reason: {{ $labels.reason }}.`,
  };
}

function jaeger({ timing }: RuleOptions): Alert {
  const spans = (metric: string, job: string) =>
    `sum by (${PLATFORM}) (rate(${counted(metric, `job="${job}"`)}[${timing.range('rate')}])) > 0`;
  return {
    alert: 'JaegerNotIngesting',
    // A Jaeger that never accepted a span has no series of accepted spans.
    expr:
      `(${spans('exporter_sent_spans', 'collector')} and on (${PLATFORM}) ${series('up', 'job="jaeger"')} == 1)` +
      ` unless on (${PLATFORM}) ${spans('receiver_accepted_spans', 'jaeger')}`,
    for: timing.for('warning'),
    severity: 'warning',
    team: 'sre',
    summary: 'Jaeger of platform {{ $labels.platform }} accepts no spans',
    description: 'The collector sends {{ $value | printf "%.1f" }} spans a second, and Jaeger, which is up, accepts none.',
  };
}

export function telemetryGroups(options: RuleOptions): Group[] {
  return [
    {
      name: 'bss-telemetry-alerts',
      rules: [
        ...collectors(options),
        discards('LokiDiscardsLogs', 'Loki', 'loki_discarded_samples_total', 'log lines', options),
        requestErrors('LokiRequestErrors', 'Loki', 'loki', options),
        discards('TempoDiscardsSpans', 'Tempo', 'tempo_discarded_spans_total', 'spans', options),
        requestErrors('TempoRequestErrors', 'Tempo', 'tempo', options),
        jaeger(options),
      ],
    },
  ];
}

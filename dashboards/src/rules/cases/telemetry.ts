import { counter, DEMO, demo, gauge, type AlertCase } from './case.ts';

const AGENT = 'job="log-agent",service="log-agent",pod="demo-log-agent-1"';
const COLLECTOR = 'job="collector",service="collector",pod="demo-collector-1"';
const IN_AGENT = { ...DEMO, job: 'log-agent', pod: 'demo-log-agent-1' };
const IN_COLLECTOR = { ...DEMO, job: 'collector', pod: 'demo-collector-1' };

const collectors: AlertCase[] = [
  {
    alert: 'CollectorRefusesData',
    series: {
      [demo('otelcol_receiver_refused_spans_total', `${COLLECTOR},receiver="otlp",transport="http"`)]: counter([30, 2], [60, 0]),
      [demo('otelcol_receiver_failed_spans_total', `${COLLECTOR},receiver="otlp",transport="http"`)]: counter([30, 0.5], [60, 0]),
      [demo('otelcol_receiver_accepted_spans_total', `${COLLECTOR},receiver="otlp",transport="http"`)]: counter([60, 100]),
    },
    fires: 5.25,
    resolved: 36,
    labels: { ...IN_COLLECTOR, receiver: 'otlp' },
    description:
      'demo-collector-1 refuses 2.5 spans or log records a second on receiver otlp: it is out of memory, or its exporters do not keep up.',
  },
  {
    alert: 'CollectorExportFailing',
    // Without a suffix, as a reader with without_type_suffix names it.
    series: {
      [demo('otelcol_exporter_send_failed_log_records', `${AGENT},exporter="otlphttp/loki"`)]: gauge([20, 0], [60, 8]),
      [demo('otelcol_exporter_enqueue_failed_log_records', `${AGENT},exporter="otlphttp/loki"`)]: gauge([20, 0], [60, 4]),
    },
    fires: 20,
    resolved: 31,
    labels: { ...IN_AGENT, exporter: 'otlphttp/loki' },
    description: 'demo-log-agent-1 gave up 12 spans or log records of exporter otlphttp/loki.',
  },
  {
    alert: 'CollectorQueueFull',
    series: {
      [demo('otelcol_exporter_queue_size', `${COLLECTOR},exporter="otlphttp/tempo",data_type="traces"`)]: gauge([5, 0], [30, 900], [60, 0]),
      [demo('otelcol_exporter_queue_capacity', `${COLLECTOR},exporter="otlphttp/tempo",data_type="traces"`)]: gauge([60, 1000]),
    },
    fires: 10,
    resolved: 30,
    labels: { ...IN_COLLECTOR, exporter: 'otlphttp/tempo' },
    description: 'The queue of exporter otlphttp/tempo in demo-collector-1 is 90% full, above 80 %. When it is full, data is dropped.',
  },
];

/** 10 requests a second, of which a fifth fail for half an hour; the readiness probe fails too, which is no failed request. */
function requests(store: string, path: string): Record<string, string> {
  const at = (code: string, route = path) =>
    demo(
      `${store}_request_duration_seconds_count`,
      `job="${store}",pod="demo-${store}-0",method="POST",route="${route}",status_code="${code}"`,
    );
  return {
    [at('204')]: counter([30, 8], [60, 10]),
    [at('503')]: counter([30, 2], [60, 0]),
    [at('503', 'ready')]: counter([60, 1]),
  };
}

const stores: AlertCase[] = [
  {
    alert: 'LokiDiscardsLogs',
    series: {
      [demo('loki_discarded_samples_total', 'job="loki",pod="demo-loki-0",reason="rate_limited",tenant="fake"')]: gauge([20, 0], [60, 40]),
    },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, job: 'loki', reason: 'rate_limited' },
    description: '40 log lines were discarded. Reason: rate_limited.',
  },
  {
    alert: 'LokiRequestErrors',
    series: requests('loki', 'otlp_v1_logs'),
    fires: 5.25,
    resolved: 36,
    labels: { ...DEMO, job: 'loki', route: 'otlp_v1_logs' },
    description: '20% of the requests to route otlp_v1_logs failed with 5xx, above 5 %.',
  },
  {
    alert: 'TempoDiscardsSpans',
    series: {
      [demo('tempo_discarded_spans_total', 'job="tempo",pod="demo-tempo-0",reason="trace_too_large",tenant="single-tenant"')]: gauge(
        [20, 0],
        [60, 7],
      ),
    },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, job: 'tempo', reason: 'trace_too_large' },
    description: '7 spans were discarded. Reason: trace_too_large.',
  },
  {
    alert: 'TempoRequestErrors',
    series: requests('tempo', 'api_search'),
    fires: 5.25,
    resolved: 36,
    labels: { ...DEMO, job: 'tempo', route: 'api_search' },
    description: '20% of the requests to route api_search failed with 5xx, above 5 %.',
  },
  {
    alert: 'JaegerNotIngesting',
    series: {
      [demo('up', 'job="jaeger",pod="demo-jaeger-1"')]: gauge([60, 1]),
      [demo('otelcol_exporter_sent_spans_total', `${COLLECTOR},exporter="otlphttp/tempo"`)]: counter([60, 50]),
      // It accepts spans again after half an hour.
      [demo('otelcol_receiver_accepted_spans', 'job="jaeger",pod="demo-jaeger-1",receiver="otlp"')]: counter([30, 0], [60, 50]),
    },
    fires: 5.25,
    resolved: 30.5,
    labels: DEMO,
    description: 'The collector sends 50.0 spans a second, and Jaeger, which is up, accepts none.',
  },
];

export const alerts: AlertCase[] = [...collectors, ...stores];

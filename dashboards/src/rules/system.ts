/** General health: targets, errors, latency, the runtime of Node. */
import { APIS, NODE_JOBS, PLATFORM, series, TIMED_REQUESTS } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

const BY_SERVICE = `${PLATFORM}, service`;

/** Share of answers with 5xx, by service: what alerts and dashboards read. */
export const ERROR_RATIO = 'service:http_requests:error_ratio';
/** Quantiles of the time to answer, in seconds, by service. */
export const LATENCY = {
  p50: 'service:http_request_duration_seconds:p50',
  p95: 'service:http_request_duration_seconds:p95',
  p99: 'service:http_request_duration_seconds:p99',
};
export const REQUEST_RATE = 'service:http_requests:rate';
/** Share of the heap limit that is in use, by pod. */
export const HEAP_RATIO = 'pod:nodejs_heap:used_ratio';
/** Cores used, by pod. */
export const CPU_CORES = 'pod:process_cpu:cores';

function recordings({ timing }: RuleOptions): Group {
  const rate = timing.range('rate');
  const requests = series('http_requests_total', `job=~"${APIS}"`);
  const failed = series('http_requests_total', `job=~"${APIS}",status=~"5.."`);
  const buckets = series('http_request_duration_seconds_bucket', TIMED_REQUESTS);
  const quantile = (q: number) => `histogram_quantile(${q}, sum by (${BY_SERVICE}, le) (rate(${buckets}[${rate}])))`;
  const node = `job=~"${NODE_JOBS}"`;
  return {
    name: 'bss-service-records',
    rules: [
      { record: REQUEST_RATE, expr: `sum by (${BY_SERVICE}) (rate(${requests}[${rate}]))` },
      {
        // A service without a failure has no series of 5xx: it counts as 0.
        record: ERROR_RATIO,
        expr:
          `(sum by (${BY_SERVICE}) (rate(${failed}[${rate}])) or 0 * sum by (${BY_SERVICE}) (rate(${requests}[${rate}])))` +
          ` / (sum by (${BY_SERVICE}) (rate(${requests}[${rate}])) > 0)`,
      },
      { record: LATENCY.p50, expr: quantile(0.5) },
      { record: LATENCY.p95, expr: quantile(0.95) },
      { record: LATENCY.p99, expr: quantile(0.99) },
      { record: HEAP_RATIO, expr: `${series('nodejs_heap_size_used_bytes', node)} / ${series('nodejs_heap_size_limit_bytes', node)}` },
      { record: CPU_CORES, expr: `rate(${series('process_cpu_seconds_total', node)}[${rate}])` },
    ],
  };
}

function targets({ timing, targets: jobs }: RuleOptions): Alert[] {
  return [
    {
      alert: 'ServiceDown',
      expr: `${series('up')} == 0`,
      for: timing.for('down'),
      severity: 'critical',
      team: 'sre',
      summary: '{{ $labels.service }} of platform {{ $labels.platform }} does not answer',
      description: 'Prometheus cannot scrape {{ $labels.pod }} ({{ $labels.instance }}): the process is down or does not answer.',
    },
    {
      // A pod that is gone has no target, and so no `up` that could be 0.
      alert: 'TargetMissing',
      expr: jobs.map((job) => `absent(${series('up', `job="${job}"`)})`).join('\nor\n'),
      for: timing.for('down'),
      severity: 'critical',
      team: 'sre',
      summary: 'No pod of {{ $labels.job }} is running',
      description: 'Prometheus finds no target of {{ $labels.job }}: its pods are not scheduled, not started, or scaled to zero.',
    },
  ];
}

/** A pair of alerts on one quantity: critical above one limit, warning above a lower one. */
function levels(
  name: string,
  limits: { warning: number; critical: number },
  durations: { warning: string; critical: string },
  rule: (limit: number) => Omit<Alert, 'alert' | 'for' | 'severity'>,
): Alert[] {
  return (['warning', 'critical'] as const).map((severity) => ({
    alert: `${name}${severity === 'warning' ? 'Warning' : 'Critical'}`,
    for: durations[severity],
    severity,
    labels: { family: name },
    ...rule(limits[severity]),
  }));
}

function answers({ timing }: RuleOptions): Alert[] {
  const durations = { warning: timing.for('warning'), critical: timing.for('critical') };
  const latency = (quantile: 'p95' | 'p99') => (limit: number) => ({
    expr: `${LATENCY[quantile]} > ${limit}`,
    team: 'sre' as const,
    summary: `{{ $labels.service }} of platform {{ $labels.platform }} answers slowly (${quantile})`,
    description: `The ${quantile} of the time to answer is {{ $value | humanizeDuration }}, above ${limit * 1000} ms.`,
  });
  return [
    ...levels('BssErrorRate', { warning: 0.01, critical: 0.05 }, durations, (limit) => ({
      expr: `${ERROR_RATIO} > ${limit}`,
      team: 'sre',
      summary: '{{ $labels.service }} of platform {{ $labels.platform }} answers with errors',
      description: `{{ $value | humanizePercentage }} of the requests failed with 5xx, above ${limit * 100} %.`,
    })),
    ...levels('BssLatencyP95', { warning: 0.5, critical: 1 }, durations, latency('p95')),
    ...levels('BssLatencyP99', { warning: 1, critical: 2 }, durations, latency('p99')),
  ];
}

function runtime({ timing }: RuleOptions): Alert[] {
  const slow = { warning: timing.for('resources'), critical: timing.for('resources') };
  return [
    ...levels('RuntimeHeap', { warning: 0.7, critical: 0.85 }, slow, (limit) => ({
      expr: `${HEAP_RATIO} > ${limit}`,
      team: 'sre',
      summary: '{{ $labels.pod }} runs out of heap',
      description: `{{ $value | humanizePercentage }} of the heap limit is in use, above ${limit * 100} %. At 100 % the process ends.`,
    })),
    ...levels('Cpu', { warning: 0.7, critical: 0.85 }, slow, (limit) => ({
      expr: `${CPU_CORES} > ${limit}`,
      team: 'sre',
      summary: '{{ $labels.pod }} is short of CPU',
      description: `It uses {{ $value | printf "%.2f" }} cores, above ${limit}: Node runs JavaScript on one core at most.`,
    })),
    {
      alert: 'EventLoopBlocked',
      expr: `${series('nodejs_eventloop_lag_p99_seconds', `job=~"${NODE_JOBS}"`)} > 0.5`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: 'The event loop of {{ $labels.pod }} is blocked',
      description:
        'The p99 of the event-loop delay is {{ $value | humanizeDuration }}, above 500 ms: requests and heartbeats wait that long.',
    },
    {
      alert: 'RestartLoop',
      expr: `changes(${series('process_start_time_seconds')}[${timing.range('event')}]) > 2`,
      severity: 'warning',
      team: 'sre',
      summary: '{{ $labels.service }} in {{ $labels.pod }} restarts again and again',
      description: 'It restarted {{ $value }} times within the last few minutes.',
    },
    {
      alert: 'SpansDropped',
      expr: `increase(${series('otel_spans_dropped_total')}[${timing.range('event')}]) > 0`,
      severity: 'warning',
      team: 'sre',
      summary: '{{ $labels.pod }} loses spans',
      description: '{{ $value | printf "%.0f" }} spans were recorded but never exported: the collector is away or too slow.',
    },
  ];
}

export function systemGroups(options: RuleOptions): Group[] {
  return [recordings(options), { name: 'bss-system-alerts', rules: [...targets(options), ...answers(options), ...runtime(options)] }];
}

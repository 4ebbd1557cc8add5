import { ALL_TARGETS } from '../index.ts';
import { CPU_CORES, ERROR_RATIO, HEAP_RATIO, LATENCY, REQUEST_RATE } from '../system.ts';
import { counter, DEMO, demo, gauge, type AlertCase, type RecordCase } from './case.ts';

const GATEWAY = 'job="gateway",service="gateway",pod="demo-gateway-1"';
const ROUTE = `${GATEWAY},method="GET",route="/accounts/{id}"`;
const SEED = `${GATEWAY},method="POST",route="/debug/seed"`;
const POD = { ...DEMO, job: 'gateway', service: 'gateway', pod: 'demo-gateway-1' };
const SERVICE = { ...DEMO, service: 'gateway' };

/** 10 requests a second, of which `share` fail with 503 for half an hour. */
function requests(share: number): Record<string, string> {
  return {
    [demo('http_requests_total', `${ROUTE},status="200"`)]: counter([30, 10 * (1 - share)], [60, 10]),
    [demo('http_requests_total', `${ROUTE},status="503"`)]: counter([30, 10 * share], [60, 0]),
  };
}

const BOUNDS = [0.1, 0.5, 1, 2.5];

/**
 * 10 requests a second, all of which take between two bounds for half an hour, and less than 100 ms after it. All the time, one request a second seeds
 * events for longer, and does not count.
 */
function durations(above: number): Record<string, string> {
  const buckets = [...BOUNDS.map((bound) => [String(bound), bound > above] as const), ['+Inf', true] as const];
  const bucketOf = (route: string, le: string): string => demo('http_request_duration_seconds_bucket', `${route},status="200",le="${le}"`);
  return Object.fromEntries(
    buckets.flatMap(([le, within]) => [
      [bucketOf(ROUTE, le), counter([30, within ? 10 : 0], [60, 10])],
      [bucketOf(SEED, le), counter([60, le === '+Inf' ? 1 : 0])],
    ]),
  );
}

const healthy = Object.fromEntries(ALL_TARGETS.map((job) => [demo('up', `job="${job}",service="${job}"`), gauge([60, 1])]));

export const alerts: AlertCase[] = [
  {
    alert: 'ServiceDown',
    series: { [demo('up', `${GATEWAY},instance="10.0.0.1:9464"`)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: { ...POD, instance: '10.0.0.1:9464' },
    description: 'Prometheus cannot scrape demo-gateway-1 (10.0.0.1:9464): the process is down or does not answer.',
  },
  {
    alert: 'TargetMissing',
    series: { ...healthy, [demo('up', 'job="gateway",service="gateway"')]: gauge([5, 1], [30, null], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: { job: 'gateway' },
    description: 'Prometheus finds no target of gateway: its pods are not scheduled, not started, or scaled to zero.',
  },
  {
    alert: 'BssErrorRateWarning',
    series: requests(0.02),
    fires: 5.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssErrorRate' },
    description: '2% of the requests failed with 5xx, above 1 %.',
  },
  {
    alert: 'BssErrorRateCritical',
    series: requests(0.2),
    fires: 2.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssErrorRate' },
    description: '20% of the requests failed with 5xx, above 5 %.',
  },
  {
    alert: 'BssLatencyP95Warning',
    series: durations(0.5),
    fires: 5.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssLatencyP95' },
    description: 'The p95 of the time to answer is 975ms, above 500 ms.',
  },
  {
    alert: 'BssLatencyP95Critical',
    series: durations(1),
    fires: 2.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssLatencyP95' },
    description: 'The p95 of the time to answer is 2.425s, above 1000 ms.',
  },
  {
    alert: 'BssLatencyP99Warning',
    series: durations(1),
    fires: 5.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssLatencyP99' },
    description: 'The p99 of the time to answer is 2.485s, above 1000 ms.',
  },
  {
    alert: 'BssLatencyP99Critical',
    series: durations(1),
    fires: 2.25,
    resolved: 36,
    labels: { ...SERVICE, family: 'BssLatencyP99' },
    description: 'The p99 of the time to answer is 2.485s, above 2000 ms.',
  },
  ...(['Warning', 'Critical'] as const).flatMap((level): AlertCase[] => {
    const share = level === 'Warning' ? 0.8 : 0.9;
    return [
      {
        alert: `RuntimeHeap${level}`,
        series: {
          [demo('nodejs_heap_size_used_bytes', GATEWAY)]: gauge([5, 100], [40, share * 1000], [60, 100]),
          [demo('nodejs_heap_size_limit_bytes', GATEWAY)]: gauge([60, 1000]),
        },
        fires: 15,
        resolved: 40,
        labels: { ...POD, family: 'RuntimeHeap' },
        description: `${share * 100}% of the heap limit is in use, above ${level === 'Warning' ? 70 : 85} %. At 100 % the process ends.`,
      },
      {
        alert: `Cpu${level}`,
        series: { [demo('process_cpu_seconds_total', GATEWAY)]: counter([5, 0.1], [40, share], [60, 0.1]) },
        // The rate is above the limit once most of its window is.
        fires: level === 'Warning' ? 19.25 : 19.5,
        resolved: 46,
        labels: { ...POD, family: 'Cpu' },
        description: `It uses ${share.toFixed(2)} cores, above ${level === 'Warning' ? 0.7 : 0.85}: Node runs JavaScript on one core at most.`,
      },
    ];
  }),
  {
    alert: 'EventLoopBlocked',
    series: { [demo('nodejs_eventloop_lag_p99_seconds', GATEWAY)]: gauge([5, 0.01], [30, 0.75], [60, 0.01]) },
    fires: 10,
    resolved: 30,
    labels: POD,
    description: 'The p99 of the event-loop delay is 750ms, above 500 ms: requests and heartbeats wait that long.',
  },
  {
    alert: 'RestartLoop',
    series: { [demo('process_start_time_seconds', GATEWAY)]: gauge([5, 0], [6, 300], [7, 360], [60, 420]) },
    fires: 7,
    resolved: 16,
    labels: POD,
    description: 'It restarted 3 times within the last few minutes.',
  },
  {
    alert: 'SpansDropped',
    series: { [demo('otel_spans_dropped_total', GATEWAY)]: gauge([5, 0], [60, 12]) },
    fires: 5,
    resolved: 16,
    labels: POD,
    description: '12 spans were recorded but never exported: the collector is away or too slow.',
  },
];

const IN_SERVICE = '{namespace="bss",platform="demo",service="gateway"}';
const IN_POD = '{namespace="bss",platform="demo",job="gateway",service="gateway",pod="demo-gateway-1"}';

export const records: RecordCase[] = [
  { record: REQUEST_RATE, series: requests(0.2), at: 10, values: { [IN_SERVICE]: 10 } },
  { record: ERROR_RATIO, series: requests(0.2), at: 10, values: { [IN_SERVICE]: 0.2 } },
  {
    record: ERROR_RATIO,
    series: { [demo('http_requests_total', `${ROUTE},status="200"`)]: counter([60, 1]) },
    at: 10,
    values: { [IN_SERVICE]: 0 },
  },
  { record: LATENCY.p50, series: durations(0.1), at: 10, values: { [IN_SERVICE]: 0.3 } },
  { record: LATENCY.p95, series: durations(0.1), at: 10, values: { [IN_SERVICE]: 0.48 } },
  { record: LATENCY.p99, series: durations(0.1), at: 10, values: { [IN_SERVICE]: 0.496 } },
  {
    record: HEAP_RATIO,
    series: {
      [demo('nodejs_heap_size_used_bytes', GATEWAY)]: gauge([60, 300]),
      [demo('nodejs_heap_size_limit_bytes', GATEWAY)]: gauge([60, 1000]),
    },
    at: 1,
    values: { [IN_POD]: 0.3 },
  },
  { record: CPU_CORES, series: { [demo('process_cpu_seconds_total', GATEWAY)]: counter([60, 0.5]) }, at: 10, values: { [IN_POD]: 0.5 } },
];

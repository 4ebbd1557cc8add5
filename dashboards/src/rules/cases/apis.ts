/** Cases of the objectives of the APIs behind the gateway. */
import { duration, SLO_WINDOWS } from '../durations.ts';
import { counterEvery, demo, DEMO, type AlertCase, type RecordCase } from './case.ts';

const HOUR = 60;
const DAY = 24 * HOUR;

const at = (route: string) => `job="gateway",service="gateway",pod="demo-gateway-1",route="/api/v1/${route}"`;
const OF_API = { ...DEMO, sla: 'true' };

/** 10 requests a second on two routes of the orders, of which `share` fail up to a minute. The ledger's own route does not count. */
function failing(interval: number, share: number, until: number, end: number): Record<string, string> {
  return {
    [demo('http_requests_total', `${at('orders')},status="201"`)]: counterEvery(interval, [until, 5 * (1 - share)], [end, 5]),
    [demo('http_requests_total', `${at('orders')},status="503"`)]: counterEvery(interval, [until, 5 * share], [end, 0]),
    [demo('http_requests_total', `${at('orders/{id}')},status="200"`)]: counterEvery(interval, [until, 5 * (1 - share)], [end, 5]),
    [demo('http_requests_total', `${at('orders/{id}')},status="503"`)]: counterEvery(interval, [until, 5 * share], [end, 0]),
    [demo('http_requests_total', `${at('transfers')},status="503"`)]: counterEvery(interval, [end, 10]),
  };
}

/** How many of 10 requests a second of a route take at most one and two seconds: values in promtool's notation. */
function times(route: string, interval: number, end: number, within: { second: string; twoSeconds: string }): Record<string, string> {
  return {
    [demo('http_request_duration_seconds_bucket', `${at(route)},le="1.0"`)]: within.second,
    [demo('http_request_duration_seconds_bucket', `${at(route)},le="2.0"`)]: within.twoSeconds,
    [demo('http_request_duration_seconds_count', at(route))]: counterEvery(interval, [end, 10]),
  };
}

/** Of the requests of one API, `share` take longer than its limit up to a minute. Those of customers take longer than one second anyway. */
function slow(api: 'payments' | 'customers', interval: number, share: number, until: number, end: number): Record<string, string> {
  const [all, none] = [counterEvery(interval, [end, 10]), counterEvery(interval, [end, 0])];
  const inTime = counterEvery(interval, [until, 10 * (1 - share)], [end, 10]);
  return {
    ...times('payments/{id}/process', interval, end, { second: api === 'payments' ? inTime : all, twoSeconds: all }),
    ...times('customers/{id}', interval, end, { second: none, twoSeconds: api === 'customers' ? inTime : all }),
  };
}

interface Burn {
  window: string;
  interval: number;
  /** Minutes. */
  until: number;
  end: number;
  fires: number;
  resolved: number;
  gone: string;
}

const FAST: readonly Burn[] = [
  // The short window of 5 minutes ends it.
  { window: '1h', interval: 15, until: 30, end: 60, fires: 2.25, resolved: 36, gone: '50h' },
  { window: '6h', interval: 60, until: 2 * HOUR, end: 4 * HOUR, fires: 16, resolved: 3 * HOUR, gone: '5d' },
];
const SLOW: readonly Burn[] = [
  { window: '1d', interval: 300, until: 6 * HOUR, end: 12 * HOUR, fires: 65, resolved: 9 * HOUR, gone: '10d' },
  { window: '3d', interval: 900, until: DAY, end: 3 * DAY, fires: 195, resolved: DAY + 7 * HOUR, gone: '30d' },
];
/** Shares a little above what each window permits of errors and of slow requests. */
const ERRORS: Readonly<Record<string, number>> = { '1h': 0.02, '6h': 0.01, '1d': 0.005, '3d': 0.002 };
const DELAYS: Readonly<Record<string, number>> = { '1h': 0.8, '6h': 0.4, '1d': 0.2, '3d': 0.1 };

function errorCase(alert: string, { window, interval, until, end, gone, ...minutes }: Burn): AlertCase {
  const share = ERRORS[window] ?? 0;
  return {
    alert,
    series: failing(interval, share, until, end),
    interval,
    ...minutes,
    labels: { ...OF_API, api: 'orders', family: 'ApiErrorBudgetBurn', window },
    description: `${share * 100}% of the requests failed with 5xx over ${window}: the budget of 0.1 % is gone in ${gone} or less at this rate.`,
  };
}

const delayCase =
  (api: 'payments' | 'customers', limit: string) =>
  (alert: string, { window, interval, until, end, gone, ...minutes }: Burn): AlertCase => {
    const share = DELAYS[window] ?? 0;
    return {
      alert,
      series: slow(api, interval, share, until, end),
      interval,
      ...minutes,
      labels: { ...OF_API, api, family: 'ApiLatencyBudgetBurn', window },
      description: `${share * 100}% of the requests took longer than ${limit} over ${window}: the budget of 5 % is gone in ${gone} or less at this rate.`,
    };
  };

export const alerts: AlertCase[] = [
  ...FAST.map((burn) => errorCase('ApiErrorBudgetBurnFast', burn)),
  ...SLOW.map((burn) => errorCase('ApiErrorBudgetBurnSlow', burn)),
  ...FAST.map((burn) => delayCase('payments', '1 s')('ApiLatencyBudgetBurnFast', burn)),
  ...SLOW.map((burn) => delayCase('customers', '2 s')('ApiLatencyBudgetBurnSlow', burn)),
];

const labels = (api: string) => `{api="${api}",namespace="bss",platform="demo"}`;

/** A quarter misses the objective throughout: every window says so. */
export const records: RecordCase[] = SLO_WINDOWS.flatMap((window): RecordCase[] => [
  {
    record: `api:slo_errors:ratio_rate${duration(window)}`,
    series: failing(60, 0.25, 2 * HOUR, 2 * HOUR),
    interval: 60,
    at: HOUR,
    values: { [labels('orders')]: 0.25 },
  },
  {
    record: `api:slo_slow:ratio_rate${duration(window)}`,
    series: slow('payments', 60, 0.25, 2 * HOUR, 2 * HOUR),
    interval: 60,
    at: HOUR,
    values: { [labels('customers')]: 0, [labels('payments')]: 0.25 },
  },
]);

/** Service level objectives of the services and of the APIs behind the gateway, and alerts on how fast their error budgets burn. */
import { APIS, PLATFORM, series, TIMED_REQUESTS } from '../promql.ts';
import { BURN_RATES, duration, SLO_WINDOWS, type BurnRate } from './durations.ts';
import type { Alert, Group, Recording, RuleOptions } from './types.ts';

const BY_SERVICE = `${PLATFORM}, service`;

export interface Objective {
  /** Label whose values have a budget each, and first part of the recorded metric's name. */
  readonly by: 'service' | 'api';
  /** Middle part of the recorded metric's name. */
  readonly metric: string;
  /** What burns its budget, as the title of a notification names it; a template. */
  readonly subject: string;
  /** First part of the alerts' names. */
  readonly alert: string;
  /** Share of requests that may miss the objective over 30 days. */
  readonly budget: number;
  readonly what: string;
  /** Share of requests that miss it, over a range. */
  readonly ratio: (range: string) => string;
}

const requests = (range: string) => `sum by (${BY_SERVICE}) (rate(${series('http_requests_total', `job=~"${APIS}"`)}[${range}]))`;
const failed = (range: string) =>
  `sum by (${BY_SERVICE}) (rate(${series('http_requests_total', `job=~"${APIS}",status=~"5.."`)}[${range}]))`;
/** Prometheus 3 stores the bound 1 of a classic histogram as 1.0; Prometheus 2 as it is exposed. */
const histogram = (suffix: string, range: string) =>
  `sum by (${BY_SERVICE}) (rate(${series(`http_request_duration_seconds_${suffix}`, `${TIMED_REQUESTS}${suffix === 'bucket' ? ',le=~"1|1[.]0"' : ''}`)}[${range}]))`;

const OF_SERVICES = { by: 'service', subject: '{{ $labels.service }}' } as const;

/** 99.9 % of the requests are answered without a 5xx, 99 % of them within a second. */
export const OBJECTIVES: readonly [errors: Objective, delays: Objective] = [
  {
    ...OF_SERVICES,
    metric: 'slo_errors',
    alert: 'SlaErrorBudgetBurn',
    budget: 0.001,
    what: 'failed with 5xx',
    ratio: (range) => `(${failed(range)} or 0 * ${requests(range)}) / (${requests(range)} > 0)`,
  },
  {
    ...OF_SERVICES,
    metric: 'slo_slow',
    alert: 'SlaLatencyBudgetBurn',
    budget: 0.01,
    what: 'took longer than 1 s',
    ratio: (range) => `1 - ${histogram('bucket', range)} / (${histogram('count', range)} > 0)`,
  },
];

/** Seconds within which 95 % of the requests of an API are answered. */
const LATENCY_LIMITS: Readonly<Record<string, number>> = { customers: 2, invoices: 2, orders: 2, payments: 1 };

const routesOf = (apis: readonly string[]) => `job="gateway",route=~"/api/v1/(${apis.join('|')})(/.*)?"`;
const ALL_APIS = Object.keys(LATENCY_LIMITS);
/** Sums rates of requests by the API that their route belongs to. */
const byApi = (rates: string) => `sum by (${PLATFORM}, api) (label_replace(${rates}, "api", "$1", "route", "/api/v1/([a-z]+).*"))`;

const apiRequests = (range: string, status = '') => byApi(`rate(${series('http_requests_total', routesOf(ALL_APIS) + status)}[${range}])`);

/** Requests of every API that were answered within its limit. */
function apiInTime(range: string): string {
  const limits = Object.groupBy(Object.entries(LATENCY_LIMITS), ([, limit]) => limit);
  const rates = Object.entries(limits).map(([limit, apis = []]) => {
    const bucket = `${routesOf(apis.map(([api]) => api))},le=~"${limit}|${limit}[.]0"`;
    return `rate(${series('http_request_duration_seconds_bucket', bucket)}[${range}])`;
  });
  return byApi(`(${rates.join(' or ')})`);
}

const apiMeasured = (range: string) => byApi(`rate(${series('http_request_duration_seconds_count', routesOf(ALL_APIS))}[${range}])`);

const OF_APIS = { by: 'api', subject: 'The API of {{ $labels.api }}' } as const;

/** Of the requests of each API at the gateway, 99.9 % are answered without a 5xx, and 95 % within the limit of the API. */
export const API_OBJECTIVES: readonly [errors: Objective, delays: Objective] = [
  {
    ...OF_APIS,
    metric: 'slo_errors',
    alert: 'ApiErrorBudgetBurn',
    budget: 0.001,
    what: 'failed with 5xx',
    ratio: (range) => `(${apiRequests(range, ',status=~"5.."')} or 0 * ${apiRequests(range)}) / (${apiRequests(range)} > 0)`,
  },
  {
    ...OF_APIS,
    metric: 'slo_slow',
    alert: 'ApiLatencyBudgetBurn',
    budget: 0.05,
    what: `took longer than {{ if eq $labels.api "payments" }}${LATENCY_LIMITS['payments']} s{{ else }}2 s{{ end }}`,
    ratio: (range) => `1 - ${apiInTime(range)} / (${apiMeasured(range)} > 0)`,
  },
];

/** Name of a recorded share. The window in it is that of the table, also where durations are divided. */
export function sloRecord(objective: Objective, window: number): string {
  return `${objective.by}:${objective.metric}:ratio_rate${duration(window)}`;
}

function alertsOf(objective: Objective, severity: 'critical' | 'warning', { timing }: RuleOptions): Alert[] {
  const burns = (rate: BurnRate, window: number) =>
    `${sloRecord(objective, window)} > ${Number((rate.factor * objective.budget).toPrecision(6))}`;
  return BURN_RATES.filter((rate) => rate.severity === severity).map((rate) => ({
    alert: `${objective.alert}${severity === 'critical' ? 'Fast' : 'Slow'}`,
    expr: `${burns(rate, rate.long)} and ${burns(rate, rate.short)}`,
    for: timing.hold(rate),
    severity,
    team: 'sre',
    labels: { family: objective.alert, sla: 'true', window: duration(rate.long) },
    summary: `${objective.subject} of platform {{ $labels.platform }} burns its error budget`,
    description:
      `{{ $value | humanizePercentage }} of the requests ${objective.what} over ${timing.window(rate.long)}: ` +
      `the budget of ${Number((objective.budget * 100).toPrecision(6))} % is gone in ${duration((30 * 86_400) / rate.factor)} or less at this rate.`,
  }));
}

export function sloGroups(options: RuleOptions): Group[] {
  const objectives = [...OBJECTIVES, ...API_OBJECTIVES];
  const records = objectives.flatMap((objective) =>
    SLO_WINDOWS.map((window): Recording => ({
      record: sloRecord(objective, window),
      expr: objective.ratio(options.timing.window(window)),
    })),
  );
  const alerts = objectives.flatMap((objective) => [
    ...alertsOf(objective, 'critical', options),
    ...alertsOf(objective, 'warning', options),
  ]);
  return [
    { name: 'bss-slo-records', rules: records },
    { name: 'bss-slo-alerts', rules: alerts },
  ];
}

/** Service level objectives of the HTTP APIs, and alerts on how fast their error budgets burn. */
import { APIS, PLATFORM, series } from '../promql.ts';
import { BURN_RATES, duration, SLO_WINDOWS, type BurnRate } from './durations.ts';
import type { Alert, Group, Recording, RuleOptions } from './types.ts';

const BY_SERVICE = `${PLATFORM}, service`;

interface Objective {
  /** Middle part of the recorded metric's name. */
  readonly metric: string;
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
  `sum by (${BY_SERVICE}) (rate(${series(`http_request_duration_seconds_${suffix}`, `job=~"${APIS}"${suffix === 'bucket' ? ',le=~"1|1[.]0"' : ''}`)}[${range}]))`;

/** 99.9 % of the requests are answered without a 5xx, 99 % of them within a second. */
export const OBJECTIVES: readonly Objective[] = [
  {
    metric: 'slo_errors',
    alert: 'SlaErrorBudgetBurn',
    budget: 0.001,
    what: 'failed with 5xx',
    ratio: (range) => `(${failed(range)} or 0 * ${requests(range)}) / (${requests(range)} > 0)`,
  },
  {
    metric: 'slo_slow',
    alert: 'SlaLatencyBudgetBurn',
    budget: 0.01,
    what: 'took longer than 1 s',
    ratio: (range) => `1 - ${histogram('bucket', range)} / (${histogram('count', range)} > 0)`,
  },
];

/** Name of a recorded share. The window in it is that of the table, also where durations are divided. */
export function sloRecord(objective: Objective, window: number): string {
  return `service:${objective.metric}:ratio_rate${duration(window)}`;
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
    summary: '{{ $labels.service }} of platform {{ $labels.platform }} burns its error budget',
    description:
      `{{ $value | humanizePercentage }} of the requests ${objective.what} over ${timing.window(rate.long)}: ` +
      `the budget of ${Number((objective.budget * 100).toPrecision(6))} % is gone in ${duration((30 * 86_400) / rate.factor)} or less at this rate.`,
  }));
}

export function sloGroups(options: RuleOptions): Group[] {
  const records = OBJECTIVES.flatMap((objective) =>
    SLO_WINDOWS.map((window): Recording => ({
      record: sloRecord(objective, window),
      expr: objective.ratio(options.timing.window(window)),
    })),
  );
  const alerts = OBJECTIVES.flatMap((objective) => [
    ...alertsOf(objective, 'critical', options),
    ...alertsOf(objective, 'warning', options),
  ]);
  return [
    { name: 'bss-slo-records', rules: records },
    { name: 'bss-slo-alerts', rules: alerts },
  ];
}

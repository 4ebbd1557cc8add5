/** The targets of every scenario, from the performance targets of the platform. Pure: k6 and the tests read it. */

/** A threshold of k6 and what it stands for. */
export interface Target {
  /** Name of a metric, with the tags of a part of it in braces: `response_time{scenario:after}`. */
  readonly metric: string;
  /** Threshold expression of k6. Times are milliseconds, rates are between 0 and 1. */
  readonly condition: string;
  readonly meaning: string;
}

export type ScenarioName = 'smoke' | 'seed' | 'reads' | 'flows' | 'spike';

/** 100 million events a day are 1,157.4 events a second. */
const EVENTS_PER_SECOND = 1158;

const SENT: Target = { metric: 'throughput', condition: 'count>0', meaning: 'requests were sent' };

/** @param events how many events `seed` sends; the other scenarios ignore it */
export function targetsOf(scenario: ScenarioName, events: number): readonly Target[] {
  const targets: Record<ScenarioName, readonly Target[]> = {
    smoke: [{ metric: 'checks', condition: 'rate==1', meaning: 'every operation answers as the OpenAPI document describes' }, SENT],
    seed: [
      { metric: 'events_applied', condition: `count==${events}`, meaning: 'every event is applied exactly once' },
      { metric: 'events_per_second', condition: `value>=${EVENTS_PER_SECOND}`, meaning: '100 million events a day' },
      { metric: 'checks', condition: 'rate==1', meaning: 'the ledger is consistent' },
      { metric: 'error_rate', condition: 'rate<0.01', meaning: 'errors below 1 %' },
    ],
    reads: [
      SENT,
      { metric: 'response_time', condition: 'p(95)<500', meaning: '95 % of the requests within 500 ms' },
      { metric: 'response_time', condition: 'p(99)<1000', meaning: '99 % of the requests within 1 s' },
      { metric: 'error_rate', condition: 'rate<0.01', meaning: 'errors below 1 %' },
    ],
    flows: [
      SENT,
      { metric: 'payments_done', condition: 'count>0', meaning: 'payments are in the ledger' },
      { metric: 'response_time', condition: 'p(95)<200', meaning: '95 % of the requests within 200 ms' },
      { metric: 'response_time', condition: 'p(99)<1000', meaning: '99 % of the requests within 1 s' },
      { metric: 'error_rate', condition: 'rate<0.01', meaning: 'errors below 1 %' },
    ],
    spike: [
      SENT,
      { metric: 'response_time{scenario:before}', condition: 'p(95)<200', meaning: '200 ms under normal load' },
      { metric: 'response_time{scenario:spike}', condition: 'p(95)<2000', meaning: '2 s during the spike' },
      { metric: 'response_time{scenario:spike}', condition: 'p(99)<5000', meaning: '5 s during the spike' },
      { metric: 'response_time{scenario:after}', condition: 'p(95)<200', meaning: '200 ms again after the spike' },
      { metric: 'error_rate', condition: 'rate<0.01', meaning: 'errors below 1 %' },
    ],
  };
  return targets[scenario];
}

/** The targets as the option `thresholds` of k6. */
export function thresholdsOf(targets: readonly Target[]): Record<string, string[]> {
  const thresholds: Record<string, string[]> = {};
  for (const { metric, condition } of targets) thresholds[metric] = [...(thresholds[metric] ?? []), condition];
  return thresholds;
}

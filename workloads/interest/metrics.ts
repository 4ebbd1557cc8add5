import type { Metrics } from '../shared/kernel/metrics.ts';

/** The metrics of the interest consumer, beside those of every consumer. Units are in the names. */
export function interestMetrics(metrics: Metrics) {
  return {
    calculations: metrics.counter(
      'interest_calculation_total',
      'Interest calculations by outcome',
      ['status'],
      [{ status: 'success' }, { status: 'failure' }],
    ),
    latency: metrics.plainHistogram(
      'interest_calculation_latency_seconds',
      'Time of the arithmetic of one calculation',
      [1e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3],
    ),
  };
}

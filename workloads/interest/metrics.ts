import type { Metrics } from '../shared/kernel/metrics.ts';
import { rejectionCodes } from './rejection.ts';

/** The metrics of the interest consumer. Units are in the names. */
export function interestMetrics(metrics: Metrics) {
  return {
    calculations: metrics.counter(
      'interest_calculation_total',
      'Interest calculations by outcome',
      ['status'],
      [{ status: 'success' }, { status: 'failure' }],
    ),
    latency: metrics.histogram(
      'interest_calculation_latency_seconds',
      'Time of the arithmetic of one calculation',
      [1e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3],
    ),
    batchSize: metrics.histogram('interest_batch_size', 'Records per database transaction', [1, 10, 50, 100, 250, 500, 1000, 2500, 5000]),
    batchSeconds: metrics.histogram(
      'interest_batch_duration_seconds',
      'Time to apply one batch',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    ),
    dbCalls: metrics.histogram('interest_batch_db_calls', 'Database statements per batch', [2, 3, 4, 8, 16, 32, 64]),
    fallbacks: metrics.counter('interest_batch_fallback_total', 'Batches halved because the database refused them', [], [{}]),
    duplicates: metrics.counter('interest_duplicates_total', 'Events that had been applied before and were skipped', [], [{}]),
    deadLetters: metrics.counter(
      'interest_dead_letters_total',
      'Records sent to the dead-letter topic',
      ['reason'],
      rejectionCodes.map((reason) => ({ reason })),
    ),
  };
}

export type InterestMetrics = ReturnType<typeof interestMetrics>;

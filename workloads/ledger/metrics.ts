import { ERROR_TYPES } from '../shared/contracts/ledger.ts';
import type { ErrorType } from '../shared/contracts/ledger.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import type { Operation, Outcome } from './operations.ts';

const SIZE_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500];
/** Seconds. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

export interface LedgerMetrics {
  /** Counts what a database call brought. */
  batch(operations: readonly Operation[], outcomes: readonly Outcome[], seconds: number): void;
  /** Counts a request that was rejected before a database call. */
  rejected(errorType: ErrorType): void;
  /** Counts holds that ended by their time. */
  expired(count: number): void;
}

export function ledgerMetrics(metrics: Metrics): LedgerMetrics {
  const created = metrics.counter('ledger_entries_created_total', 'Journal entries created', [], [{}]);
  const errors = metrics.counter(
    'ledger_entry_validation_errors_total',
    'Transactions, holds, settlements and reversals that were rejected, by error type',
    ['error_type'],
    ERROR_TYPES.map((type) => ({ error_type: type })),
  );
  const expired = metrics.counter('ledger_holds_expired_total', 'Holds that ended by their time', [], [{}]);
  const sizes = metrics.histogram('ledger_batch_size', 'Operations of one database call', SIZE_BUCKETS);
  const duration = metrics.histogram('ledger_batch_duration_seconds', 'Time of one database call with operations', DURATION_BUCKETS);
  return {
    batch: (operations, outcomes, seconds) => {
      sizes.observe({}, operations.length);
      duration.observe({}, seconds);
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.errorType !== undefined) errors.inc({ error_type: outcome.errorType });
        else if (!outcome.replayed && (operations[index]?.lines.length ?? 0) > 0) created.inc();
      }
    },
    rejected: (errorType) => errors.inc({ error_type: errorType }),
    expired: (count) => expired.inc(count),
  };
}

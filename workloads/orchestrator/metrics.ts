import { TRANSFER_REJECTIONS } from '../shared/contracts/transfers.ts';
import { LATENCY_BUCKETS } from '../shared/kernel/metrics.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';

/** Why a transfer was not completed, apart from a rejection. Such a transfer is resumed. */
const FAILURES = ['ledger_unavailable', 'database_unavailable', 'deadline_exceeded', 'internal'] as const;
const ERROR_TYPES: ReadonlySet<string> = new Set([...TRANSFER_REJECTIONS, ...FAILURES]);

export type TransferMetrics = ReturnType<typeof transferMetrics>;

export function transferMetrics(metrics: Metrics) {
  const failed = metrics.counter(
    'transfers_failed_total',
    'Transfers that the ledger rejected, and attempts that did not complete a transfer',
    ['error_type'],
    [...ERROR_TYPES].map((type) => ({ error_type: type })),
  );
  return {
    initiated: metrics.counter('transfers_initiated_total', 'Transfers initiated', [], [{}]),
    completed: metrics.counter('transfers_completed_total', 'Transfers completed', [], [{}]),
    latency: metrics.histogram('transfer_latency_seconds', 'Time from the initiation of a transfer to its completion', LATENCY_BUCKETS),
    hits: metrics.counter('idempotency_hits_total', 'Requests for a transfer that an earlier request had initiated', [], [{}]),
    resumed: metrics.counter('transfers_resumed_total', 'Transfers that were resumed after their process had given them up', [], [{}]),
    /** An unknown type counts as `internal`: another service does not make up series. */
    failed: (errorType: string): void => failed.inc({ error_type: ERROR_TYPES.has(errorType) ? errorType : 'internal' }),
  };
}

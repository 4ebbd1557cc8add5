import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { LATENCY_BUCKETS } from '../shared/kernel/metrics.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';

/** The metrics of the read model, beside those of every consumer. Units are in the names. */
export function readModelMetrics(metrics: Metrics) {
  const processed = metrics.counter('events_processed_total', 'Entries of the ledger that were projected', [], [{}]);
  const latency = metrics.plainHistogram(
    'projection_latency_seconds',
    'Time from the posting in the ledger until the projection was committed',
    LATENCY_BUCKETS,
  );
  return {
    balanceQueries: metrics.counter('balance_queries_total', 'Balance queries answered', [], [{}]),
    statementQueries: metrics.counter('statement_queries_total', 'Statement queries answered', [], [{}]),
    notYetProjected: metrics.counter('read_model_waits_expired_total', 'Queries whose posting was not projected in time', [], [{}]),
    lag: metrics.gauge('consumer_lag', 'Records of the partition that are not projected; every replica reports all partitions', [
      'topic',
      'partition',
    ]),
    generation: metrics.gauge('read_model_generation', 'Number of the generation that serves'),
    /** Counts entries whose projection has just been committed. */
    projected(entries: readonly LedgerEntry[]): void {
      processed.inc(entries.length);
      const now = Date.now();
      for (const { postedAt } of entries) latency.observe(Math.max(0, now - Date.parse(postedAt)) / 1000);
    },
  };
}

export type ReadModelMetrics = ReturnType<typeof readModelMetrics>;

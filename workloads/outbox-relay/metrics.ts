import { LATENCY_BUCKETS } from '../shared/kernel/metrics.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import type { Backlog } from './store.ts';

/** The metrics of the relay. Units are in the names. */
export function relayMetrics(metrics: Metrics, backlog: () => Backlog) {
  metrics.gauge('outbox_pending', 'Rows of the outbox that wait to be published', [], (gauge) => gauge.set(backlog().rows));
  metrics.gauge('outbox_oldest_unsent_age_seconds', 'Age of the oldest row of the outbox; 0 when it is empty', [], (gauge) =>
    gauge.set(backlog().oldestSeconds),
  );
  return {
    latency: metrics.histogram<never>(
      'outbox_relay_latency_seconds',
      'Time from the insertion of an outbox row until Kafka has acknowledged its entries',
      LATENCY_BUCKETS,
    ),
    published: metrics.counter('outbox_events_published_total', 'Entries that Kafka has acknowledged to the relay', [], [{}]),
  };
}

export type RelayMetrics = ReturnType<typeof relayMetrics>;

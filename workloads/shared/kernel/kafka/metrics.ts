import type { Counter, Metrics } from '../metrics.ts';

const counters = new WeakMap<Metrics, Counter<'direction' | 'topic'>>();

/** Records produced and consumed by this process, one counter for all clients in it. */
export function messageCounter(metrics: Metrics): Counter<'direction' | 'topic'> {
  let counter = counters.get(metrics);
  if (!counter) {
    counter = metrics.counter('kafka_client_messages_total', 'Kafka records produced and consumed', ['direction', 'topic']);
    counters.set(metrics, counter);
  }
  return counter;
}

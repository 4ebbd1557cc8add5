import { FAMILIES } from '../shared/contracts/crm/resource.ts';
import { LATENCY_BUCKETS, WORK_BUCKETS } from '../shared/kernel/metrics.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import type { Change } from './records.ts';

/** Seconds over which the current rate is an average. */
const WINDOW = 10;
const COMPONENTS = ['Kafka', 'Redis', 'PostgreSQL'] as const;
type Component = (typeof COMPONENTS)[number];

/** Counts per second over the last seconds. */
export class CurrentRate {
  readonly #counts = Array.from({ length: WINDOW }, () => 0);
  #second = 0;

  /** @param at seconds of any clock */
  add(count: number, at: number): void {
    this.#advance(at);
    const place = this.#second % WINDOW;
    this.#counts[place] = (this.#counts[place] ?? 0) + count;
  }

  rate(at: number): number {
    this.#advance(at);
    return this.#counts.reduce((sum, count) => sum + count, 0) / WINDOW;
  }

  #advance(at: number): void {
    const second = Math.floor(at);
    for (let next = Math.max(this.#second + 1, second - WINDOW + 1); next <= second; next += 1) this.#counts[next % WINDOW] = 0;
    this.#second = Math.max(this.#second, second);
  }
}

export type CrmMetrics = ReturnType<typeof crmMetrics>;

export function crmMetrics(metrics: Metrics) {
  const events = metrics.counter('bss_events_total', 'Changes of resources', [], [{}]);
  const byType = metrics.counter(
    'bss_events_by_type_total',
    'Changes of resources, by family',
    ['type'],
    [...FAMILIES, 'addresses'].map((type) => ({ type })),
  );
  const byComponent = metrics.counter(
    'bss_events_by_component_total',
    'Changes that a component has taken: committed by PostgreSQL, acknowledged by Kafka, invalidated in Redis',
    ['component'],
    COMPONENTS.map((component) => ({ component })),
  );
  const count = (name: string, help: string) => metrics.counter(name, help, [], [{}]);
  const made: Record<string, { inc(): void }> = {
    'orders created': count('bss_orders_total', 'Orders created'),
    'invoices created': count('bss_invoices_total', 'Invoices created'),
    'payments created': count('bss_payments_total', 'Payments created'),
    'customers created': count('bss_customers_created_total', 'Customers created'),
    'customers updated': count('bss_customers_updated_total', 'Changes of customers, apart from their status'),
    'customers statusChanged': count('bss_customers_status_changed_total', 'Changes of the status of a customer'),
  };
  const errors = count('bss_errors_total', 'Requests that the service failed to answer, and events that it failed to publish');
  const createTime = metrics.histogram('bss_customers_create_time', 'Seconds to create a customer', LATENCY_BUCKETS);
  const processing = metrics.plainHistogram(
    'bss_event_processing_duration_seconds',
    'Time from a change until Kafka has acknowledged its event',
    WORK_BUCKETS,
  );
  const requests = metrics.histogram('bss_request_duration_seconds', 'Time to answer a request, by API', LATENCY_BUCKETS, [
    'api',
    'method',
  ]);
  const rate = new CurrentRate();
  const now = (): number => performance.now() / 1000;
  metrics.gauge('bss_current_event_rate', 'Changes of resources per second, over the last 10 s', [], (gauge) =>
    gauge.set(rate.rate(now())),
  );
  return {
    /** Changes that a transaction has committed. @param seconds how long it took */
    committed: (changes: readonly Change[], seconds: number): void => {
      for (const { family, action } of changes) {
        events.inc();
        byType.inc({ type: family.name });
        byComponent.inc({ component: 'PostgreSQL' });
        made[`${family.name} ${action}`]?.inc();
        if (family.name === 'customers' && action === 'created') createTime.observe({}, seconds);
      }
      rate.add(changes.length, now());
    },
    /** Events that a component has taken. */
    taken: (component: Component, number: number): void => byComponent.inc({ component }, number),
    /** @param seconds since the change */
    published: (seconds: number): void => processing.observe(seconds),
    failed: (): void => errors.inc(),
    /** @param api the first part of the path after /api/v1/ */
    answered: (api: string, method: string, status: number, seconds: number): void => {
      requests.observe({ api, method }, seconds);
      if (status >= 500) errors.inc();
    },
  };
}

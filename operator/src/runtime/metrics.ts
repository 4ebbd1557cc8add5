/** The operator's metrics. No other module imports prom-client, so that it can be replaced here. */
import { getHeapStatistics } from 'node:v8';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export type { Counter, Gauge, Histogram };

/** Seconds: from a cached response to a pass that waits for slow servers. */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** A registry that creates metrics on first use: requesting a name again returns the same metric. */
export class Metrics {
  readonly #registry = new Registry();

  /** @param options.processMetrics also report memory, CPU, event loop and garbage collection of this process */
  constructor({ processMetrics = false }: { processMetrics?: boolean } = {}) {
    if (!processMetrics) return;
    collectDefaultMetrics({ register: this.#registry });
    // The default metrics have the size of the heap, not its limit: only against that does the size mean anything.
    this.gauge('nodejs_heap_size_limit_bytes', 'Size at which the heap is full and the process ends.').set(
      getHeapStatistics().heap_size_limit,
    );
  }

  counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Counter<L> {
    return this.#existing(name, Counter<L>) ?? new Counter({ name, help, labelNames: labels, registers: [this.#registry] });
  }

  /** @param collect sets the value at the time of a scrape */
  gauge<L extends string = never>(name: string, help: string, labels: readonly L[] = [], collect?: (gauge: Gauge<L>) => void): Gauge<L> {
    const existing = this.#existing(name, Gauge<L>);
    if (existing) return existing;
    const gauge: Gauge<L> = new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [this.#registry],
      ...(collect ? { collect: () => collect(gauge) } : {}),
    });
    return gauge;
  }

  /** @param buckets upper bounds, ascending */
  histogram<L extends string = never>(
    name: string,
    help: string,
    labels: readonly L[] = [],
    buckets: number[] = DURATION_BUCKETS,
  ): Histogram<L> {
    return this.#existing(name, Histogram<L>) ?? new Histogram({ name, help, labelNames: labels, buckets, registers: [this.#registry] });
  }

  /** All metrics in the text exposition format, with its content type. */
  async render(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #existing<M extends object>(name: string, type: new (...args: never[]) => M): M | undefined {
    const metric: unknown = this.#registry.getSingleMetric(name);
    if (metric === undefined || metric instanceof type) return metric;
    throw new Error(`the metric ${name} is already registered with another type`);
  }
}

import { getHeapStatistics } from 'node:v8';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export type { Counter, Gauge, Histogram } from 'prom-client';

type Labels<T extends string> = readonly T[];

/**
 * The metrics of one process. This is the only module that knows the client library; everything else gets counters, gauges and
 * histograms from here. A metric with fixed label values is created with all of its series at 0, so that rates exist from the first scrape.
 */
export class Metrics {
  readonly #registry = new Registry();

  /** @param labels put on every series, such as service and platform */
  constructor(labels: Record<string, string>) {
    this.#registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.#registry });
    // The default metrics have the size of the heap, not its limit: only against that does the size mean anything.
    this.gauge('nodejs_heap_size_limit_bytes', 'Size at which the heap is full and the process ends').set(
      getHeapStatistics().heap_size_limit,
    );
  }

  /** A counter; `series` lists label sets that start at 0. */
  counter<T extends string>(name: string, help: string, labelNames: Labels<T> = [], series: Record<T, string>[] = []): Counter<T> {
    const counter = new Counter<T>({ name, help, labelNames, registers: [this.#registry] });
    for (const labels of series) counter.inc(labels, 0);
    return counter;
  }

  /** A gauge; `collect` is called at each scrape to set it. */
  gauge<T extends string>(name: string, help: string, labelNames: Labels<T> = [], collect?: (gauge: Gauge<T>) => void): Gauge<T> {
    const gauge: Gauge<T> = new Gauge<T>({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      ...(collect ? { collect: () => collect(gauge) } : {}),
    });
    return gauge;
  }

  /** A histogram; buckets in the metric's unit. */
  histogram<T extends string>(name: string, help: string, buckets: number[], labelNames: Labels<T> = []): Histogram<T> {
    return new Histogram<T>({ name, help, buckets, labelNames, registers: [this.#registry] });
  }

  /** The text exposition and its content type. */
  async expose(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }
}

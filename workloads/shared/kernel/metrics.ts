import { getHeapStatistics } from 'node:v8';
import { trace, TraceFlags } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { collectDefaultMetrics, Counter, Gauge, Histogram as ClientHistogram, Registry } from 'prom-client';
import type { MetricObjectWithValues, MetricValue, RegistryContentType } from 'prom-client';
import { OPEN_METRICS_TYPE, openMetricsText, prefersOpenMetrics } from './open-metrics.ts';
import type { Exemplar } from './open-metrics.ts';

export type { Counter, Gauge } from 'prom-client';

type Labels<T extends string> = readonly T[];

/** Bounds in seconds for what a person or a caller waits for. Every latency target of the platform is one of them: 0.2, 0.5, 1, 2 and 5 s. */
export const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10];

/** As {@link LATENCY_BUCKETS}, for work that may take longer than a request. */
export const WORK_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

/** A histogram whose buckets keep the ids of the last sampled span as exemplar. */
export class Histogram<T extends string = string> {
  readonly #histogram: ClientHistogram<T>;

  constructor(histogram: ClientHistogram<T>) {
    this.#histogram = histogram;
  }

  /** @param span whose measurement it is; the active one by default */
  observe(labels: Record<T, string>, value: number, span: Span | undefined = trace.getActiveSpan()): void {
    // The client's types know neither the label set of one metric nor that it may be empty.
    this.#histogram.observe({ labels, value, exemplarLabels: exemplarLabels(span) } as never);
  }
}

/** The ids of a span that is exported; none for any other, because nobody could follow the link. */
function exemplarLabels(span: Span | undefined): Record<string, string> {
  const context = span?.spanContext();
  if (!context || (context.traceFlags & TraceFlags.SAMPLED) === 0) return {};
  return { trace_id: context.traceId, span_id: context.spanId };
}

/**
 * The metrics of one process. This is the only module that knows the client library; everything else gets counters, gauges and
 * histograms from here. A metric with fixed label values is created with all of its series at 0, so that rates exist from the first scrape.
 */
export class Metrics {
  readonly #registry: Registry<RegistryContentType> = new Registry();

  /** @param labels put on every series, such as service and platform */
  constructor(labels: Record<string, string>) {
    this.#registry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: this.#registry });
    // The default metrics have the size of the heap, not its limit: only against that does the size mean anything.
    this.gauge('nodejs_heap_size_limit_bytes', 'Size at which the heap is full and the process ends').set(
      getHeapStatistics().heap_size_limit,
    );
  }

  /** A counter; `series` lists label sets that start at 0. @throws Error when the name does not end in `_total`, as OpenMetrics requires */
  counter<T extends string>(name: string, help: string, labelNames: Labels<T> = [], series: Record<T, string>[] = []): Counter<T> {
    if (!name.endsWith('_total')) throw new Error(`the name of the counter ${name} must end in _total`);
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

  /** A histogram with exemplars; buckets in the metric's unit. */
  histogram<T extends string>(name: string, help: string, buckets: number[], labelNames: Labels<T> = []): Histogram<T> {
    const registers = [this.#registry];
    // The client makes exemplars only in a registry of this type, whose classic exposition would lack the suffix of counters.
    this.#registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    try {
      return new Histogram(new ClientHistogram<T>({ name, help, buckets, labelNames, registers, enableExemplars: true }));
    } finally {
      this.#registry.setContentType(Registry.PROMETHEUS_CONTENT_TYPE);
    }
  }

  /** As {@link histogram}, without labels and exemplars: for what happens thousands of times in one span. */
  plainHistogram(name: string, help: string, buckets: number[]): { observe(value: number): void } {
    return new ClientHistogram({ name, help, buckets, registers: [this.#registry] });
  }

  /**
   * The exposition and its content type.
   * @param accept the scraper's Accept header: OpenMetrics, which has exemplars, where it is preferred, else the classic text format
   */
  async expose(accept?: string): Promise<{ contentType: string; body: string }> {
    if (!prefersOpenMetrics(accept)) return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
    // The client's own OpenMetrics renames the counters for good, also for the scrapers that ask for the classic format.
    const metrics: MetricObjectWithValues<ClientValue>[] = await this.#registry.getMetricsAsJSON();
    const families = metrics.map(({ name, help, type, values }) => ({ name, help, type: String(type), samples: values }));
    return { contentType: OPEN_METRICS_TYPE, body: openMetricsText(families) };
  }
}

type ClientValue = MetricValue<string> & { metricName?: string; exemplar?: Exemplar | null };

import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Attributes, Context, Link, Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { ExportResultCode, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import type { Metrics } from './metrics.ts';

export { SpanKind } from '@opentelemetry/api';
export type { Context, Span } from '@opentelemetry/api';

const TRACER = 'bss-platform';
const MAX_QUEUED_SPANS = 8192;

export interface TelemetryOptions {
  serviceName: string;
  version: string;
  /** Further resource attributes, such as k8s.namespace.name. */
  resource: Attributes;
  /** Share of new traces to record, 0 to 1; a parent's decision wins. */
  ratio: number;
  /** Base address of an OTLP/HTTP receiver; without one, contexts still propagate and nothing is exported. */
  endpoint?: string | undefined;
  /** Replaces the OTLP exporter. */
  exporter?: SpanExporter;
}

/**
 * Passes spans to a batch processor and counts lost spans: those that found the queue full, and those whose export failed.
 * The SDK drops both without a metric.
 */
class CountingSpans implements SpanProcessor {
  readonly #batch: BatchSpanProcessor;
  readonly #dropped: (spans: number) => void;
  #waiting = 0;

  constructor(exporter: SpanExporter, dropped: (spans: number) => void) {
    this.#dropped = dropped;
    this.#batch = new BatchSpanProcessor(this.#watched(exporter), { maxQueueSize: MAX_QUEUED_SPANS, scheduledDelayMillis: 1000 });
  }

  #watched(exporter: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => {
        this.#waiting -= spans.length;
        exporter.export(spans, (result) => {
          if (result.code !== ExportResultCode.SUCCESS) this.#dropped(spans.length);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
      forceFlush: async () => exporter.forceFlush?.(),
    };
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & 1) === 0) return;
    if (this.#waiting >= MAX_QUEUED_SPANS) return this.#dropped(1);
    this.#waiting += 1;
    this.#batch.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batch.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batch.shutdown();
  }
}

/**
 * Registers tracer, W3C propagation and async context for the process.
 * @returns a function that exports what is queued and stops
 */
export function startTelemetry(options: TelemetryOptions, metrics: Metrics): () => Promise<void> {
  const lost = metrics.counter('otel_spans_dropped_total', 'Spans that were recorded but never exported', [], [{}]);
  const url = options.endpoint && `${options.endpoint.replace(/\/$/, '')}/v1/traces`;
  const exporter = options.exporter ?? (url ? new OTLPTraceExporter({ url, timeoutMillis: 5000 }) : undefined);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: options.serviceName,
      [ATTR_SERVICE_VERSION]: options.version,
      ...options.resource,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.ratio) }),
    spanProcessors: exporter ? [new CountingSpans(exporter, (spans) => lost.inc(spans))] : [],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return () => provider.shutdown();
}

export interface SpanOptions {
  kind?: SpanKind;
  attributes?: Attributes;
  links?: Link[];
  /** The parent; the active context by default. */
  parent?: Context;
  /** Milliseconds since the epoch; now by default. */
  startTime?: number;
}

/** Starts a span without making it active; the caller ends it. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const { kind = SpanKind.INTERNAL, attributes = {}, links = [], parent = context.active(), startTime = Date.now() } = options;
  return trace.getTracer(TRACER).startSpan(name, { kind, attributes, links, startTime }, parent);
}

/** Runs `work` inside a span: it is active in there, ends with it, and records its failure. */
export async function inSpan<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const span = startSpan(name, options);
  return context.with(trace.setSpan(options.parent ?? context.active(), span), async () => {
    try {
      return await work(span);
    } catch (error) {
      failSpan(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Marks a span as failed. */
export function failSpan(span: Span, error: unknown): void {
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}

/** The active context as `traceparent` (and `tracestate`) headers; empty outside a span. */
export function traceHeaders(): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}

/** The context that `traceparent` and `tracestate` values describe, independent of the active context. */
export function contextFrom(headers: { traceparent?: string | undefined; tracestate?: string | undefined }): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}

/** A link to the span that a `traceparent` value names; undefined when it names none. */
export function linkTo(traceparent: string): Link | undefined {
  const spanContext = trace.getSpanContext(contextFrom({ traceparent }));
  return spanContext && { context: spanContext };
}

/** Runs `work` with the span active. */
export function withSpan<T>(parent: Context, span: Span, work: () => T): T {
  return context.with(trace.setSpan(parent, span), work);
}

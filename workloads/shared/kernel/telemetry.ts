import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import type { Attributes, Context, Link, Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { suppressTracing, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import type { SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import { asError } from './errors.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { redact } from './redact.ts';
import { SpanQueue } from './span-queue.ts';

export { SpanKind } from '@opentelemetry/api';
export type { Context, Span } from '@opentelemetry/api';

const TRACER = 'bss-platform';
/** Time limit of one export with its retries. */
const EXPORT_LIMIT_MS = 5_000;
/** Longest text of an attribute: a hostile address must not fill the queue. */
const MAX_ATTRIBUTE_LENGTH = 1_024;
const LOSS_REPORT_MS = 10_000;

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
 * Registers tracer, W3C propagation and async context for the process.
 * @returns a function that exports what is queued and stops
 */
export function startTelemetry(options: TelemetryOptions, metrics: Metrics, log?: Logger): () => Promise<void> {
  const url = options.endpoint && `${options.endpoint.replace(/\/$/, '')}/v1/traces`;
  const exporter = options.exporter ?? (url ? new OTLPTraceExporter({ url, timeoutMillis: EXPORT_LIMIT_MS }) : undefined);
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      [ATTR_SERVICE_NAME]: options.serviceName,
      [ATTR_SERVICE_VERSION]: options.version,
      ...options.resource,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.ratio) }),
    spanLimits: { attributeValueLengthLimit: MAX_ATTRIBUTE_LENGTH },
    spanProcessors: countedQueue(exporter, metrics, log),
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  return () => provider.shutdown();
}

/** The queue before the exporter, with metrics that account for every sampled span: exported, dropped or waiting. */
function countedQueue(exporter: SpanExporter | undefined, metrics: Metrics, log: Logger | undefined): SpanProcessor[] {
  const exported = metrics.counter('otel_spans_exported_total', 'Spans that the receiver accepted', [], [{}]);
  const lost = metrics.counter('otel_spans_dropped_total', 'Spans that were recorded but never exported', [], [{}]);
  const waiting = metrics.gauge('otel_spans_queued', 'Spans that wait for their export', [], (gauge) => gauge.set(queue?.size ?? 0));
  waiting.set(0);
  const warn = lossReport(log);
  const dropped = (spans: number, reason: string): void => {
    lost.inc(spans);
    warn(spans, reason);
  };
  const queue = exporter && new SpanQueue(exporter, { exported: (spans) => exported.inc(spans), dropped });
  return queue ? [queue] : [];
}

/** One log record at most in ten seconds: a receiver that is down must not cause a record for each span. */
function lossReport(log: Logger | undefined): (spans: number, reason: string) => void {
  let unreported = 0;
  let reportedAt = -Infinity;
  return (spans, reason) => {
    unreported += spans;
    if (performance.now() - reportedAt < LOSS_REPORT_MS) return;
    reportedAt = performance.now();
    log?.warn({ spans: unreported, reason }, 'spans were lost');
    unreported = 0;
  };
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

/** Marks a span as failed, and records the error without its credentials. The caller may set a more exact `error.type` afterwards. */
export function failSpan(span: Span, error: unknown): void {
  const { name, message, stack } = asError(error);
  const text = redact(message);
  span.recordException({ name, message: text, ...(stack === undefined ? {} : { stack: redact(stack) }) });
  span.setStatus({ code: SpanStatusCode.ERROR, message: text });
}

/** The active context as `traceparent` (and `tracestate`) headers; empty outside a span. */
export function traceHeaders(): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}

/** `traceparent` of the active span, or of the given one; undefined when it is not sampled. */
export function sampledTraceparent(span: Span | undefined = trace.getActiveSpan()): string | undefined {
  if (!span || (span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  const carrier: { traceparent?: string } = {};
  propagation.inject(trace.setSpan(ROOT_CONTEXT, span), carrier);
  return carrier.traceparent;
}

/** Runs `work` without spans, for a poll that mostly finds nothing. */
export function untraced<T>(work: () => T): T {
  return context.with(suppressTracing(context.active()), work);
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

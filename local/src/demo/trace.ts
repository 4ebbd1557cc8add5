/** Traces in OTLP JSON, as the HTTP APIs of Tempo and Jaeger return them. Pure. */
import { z } from 'zod';

export interface Span {
  /** 16 hexadecimal digits, as in log lines. */
  readonly id: string;
  /** Absent for the first span of a trace. */
  readonly parent: string | undefined;
  readonly service: string;
  readonly name: string;
  /** Epoch milliseconds, with fractions. */
  readonly startMs: number;
  readonly durationMs: number;
  /** Message of the failure; '' for a failed span without a message, undefined for one that did not fail. */
  readonly error: string | undefined;
}

const attribute = z.object({ key: z.string(), value: z.object({ stringValue: z.string().optional() }).optional() });
const nanoseconds = z.union([z.string(), z.number()]).transform((value) => Number(BigInt(value) / 1000n) / 1000);
const otlpSpan = z.object({
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  status: z.object({ code: z.union([z.string(), z.number()]).optional(), message: z.string().optional() }).optional(),
});
const resourceSpans = z.array(
  z.object({
    resource: z.object({ attributes: z.array(attribute).default([]) }).optional(),
    scopeSpans: z.array(z.object({ spans: z.array(otlpSpan).default([]) })).default([]),
  }),
);
/** Tempo: `batches`, or `trace.resourceSpans` in version 2 of its API. Jaeger: `result.resourceSpans`. */
const body = z.object({
  batches: resourceSpans.optional(),
  trace: z.object({ resourceSpans: resourceSpans.default([]) }).optional(),
  result: z.object({ resourceSpans: resourceSpans.default([]) }).optional(),
});

/**
 * The spans of a trace in order of their start.
 * @param json body of `/api/traces/<id>` of Tempo or `/api/v3/traces/<id>` of Jaeger
 * @throws ZodError when it is not a trace in OTLP JSON
 */
export function spansOf(json: unknown): Span[] {
  const { batches, trace, result } = body.parse(json);
  const resources = batches ?? trace?.resourceSpans ?? result?.resourceSpans ?? [];
  const spans = resources.flatMap(({ resource, scopeSpans }) => {
    const service = resource?.attributes.find(({ key }) => key === 'service.name')?.value?.stringValue ?? 'unknown';
    return scopeSpans.flatMap((scope) => scope.spans.map((span) => spanOf(service, span)));
  });
  return spans.toSorted((a, b) => a.startMs - b.startMs);
}

function spanOf(service: string, span: z.output<typeof otlpSpan>): Span {
  const { spanId, parentSpanId, name, startTimeUnixNano: startMs, endTimeUnixNano: endMs, status } = span;
  const failed = status?.code === 2 || status?.code === 'STATUS_CODE_ERROR';
  const parent = hexadecimal(parentSpanId);
  return {
    id: hexadecimal(spanId),
    parent: /^0*$/.test(parent) ? undefined : parent,
    service,
    name,
    startMs,
    durationMs: endMs - startMs,
    error: failed ? (status?.message ?? '') : undefined,
  };
}

/** Jaeger writes ids in hexadecimal, Tempo in base64. */
function hexadecimal(id = ''): string {
  return /^[0-9a-f]{16}$/i.test(id) ? id.toLowerCase() : Buffer.from(id, 'base64').toString('hex');
}

const NAME_WIDTH = 48;
const ERROR_WIDTH = 100;

/** A line for each span, indented below its parent. A span whose parent is not there is shown at the top. */
export function traceLines(spans: readonly Span[]): string[] {
  const known = new Set(spans.map(({ id }) => id));
  const children = Map.groupBy(spans, ({ parent }) => (parent !== undefined && known.has(parent) ? parent : ''));
  const lines = (parent: string, depth: number): string[] =>
    (children.get(parent) ?? []).flatMap((span) => [spanLine(span, depth), ...lines(span.id, depth + 1)]);
  return lines('', 0);
}

function spanLine({ service, name, durationMs, error }: Span, depth: number): string {
  const label = `${'  '.repeat(depth)}${service}: ${name}`.padEnd(NAME_WIDTH);
  const failure = error === undefined ? '' : `  failed${error === '' ? '' : `: ${shortened(error, ERROR_WIDTH)}`}`;
  return `${label} ${formatMs(durationMs).padStart(9)}${failure}`;
}

function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

export function shortened(text: string, most: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}

import { isSpanContextValid, trace, TraceFlags } from '@opentelemetry/api';
import type { Attributes, Link, Span } from '@opentelemetry/api';
import {
  ATTR_MESSAGING_BATCH_MESSAGE_COUNT,
  ATTR_MESSAGING_CONSUMER_GROUP_NAME,
  ATTR_MESSAGING_DESTINATION_NAME,
  ATTR_MESSAGING_DESTINATION_PARTITION_ID,
  ATTR_MESSAGING_KAFKA_OFFSET,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
  MESSAGING_OPERATION_TYPE_VALUE_PROCESS,
  MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
} from '@opentelemetry/semantic-conventions/incubating';
import { contextFrom, inSpan, linkTo, SpanKind, startSpan, withSpan } from '../telemetry.ts';
import type { Logger } from '../log.ts';
import type { Accepted, Slice } from './slice.ts';
import { sizeOf } from './slice.ts';

/** A batch may mix thousands of traces; the OpenTelemetry limit for links of one span holds for the spans that continue them too. */
const MAX_CONTEXTS = 128;

/** `traceparent` values of a slice with the number of records that carry each. */
export function producerContexts(slice: Slice): Map<string, number> {
  const contexts = new Map<string, number>();
  for (const { entries } of slice) {
    for (const { record } of entries) {
      const { traceparent } = record;
      if (traceparent !== undefined) contexts.set(traceparent, (contexts.get(traceparent) ?? 0) + 1);
    }
  }
  return contexts;
}

/** Ids of the traces that the records of a slice belong to, at most `max`. */
export function tracesOf(slice: Slice, max: number): string[] {
  const ids = [...producerContexts(slice).keys()].map((traceparent) => linkTo(traceparent)?.context.traceId);
  return [...new Set(ids.filter((id) => id !== undefined))].slice(0, max);
}

/** How the messages of a batch are followed one by one. */
export interface Following<E> {
  log: Logger;
  /** Ids of an event: fields of its log record, and after `bss.` attributes of its span. */
  idsOf: (event: E) => Record<string, string>;
}

/**
 * Runs the work of one batch in a span of its own that links to the producers' spans; and once it is done, continues each producer's
 * trace by a span that links back, so that whoever follows an event finds the batch that applied it.
 * @param following each sampled message gets a span of its own, with the ids of its event, and a log record in it; without it there is one span
 *   for each producer's span, for at most 128 of them
 */
export async function inBatchSpan<E, T>(slice: Slice<E>, group: string, work: () => Promise<T>, following?: Following<E>): Promise<T> {
  const contexts = producerContexts(slice);
  const followed = [...contexts].slice(0, MAX_CONTEXTS);
  const topic = slice[0]?.topic ?? '';
  const attributes = {
    [ATTR_MESSAGING_SYSTEM_NAME]: MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
    [ATTR_MESSAGING_OPERATION_NAME]: 'process',
    [ATTR_MESSAGING_OPERATION_TYPE]: MESSAGING_OPERATION_TYPE_VALUE_PROCESS,
    [ATTR_MESSAGING_DESTINATION_NAME]: topic,
    [ATTR_MESSAGING_CONSUMER_GROUP_NAME]: group,
  };
  const batch = {
    ...attributes,
    [ATTR_MESSAGING_OPERATION_NAME]: 'process batch',
    [ATTR_MESSAGING_BATCH_MESSAGE_COUNT]: sizeOf(slice),
    'bss.batch.producer_contexts': contexts.size,
  };
  const links = followed.map(([traceparent]) => linkTo(traceparent)).filter((link): link is Link => link !== undefined);
  const startTime = Date.now();
  return inSpan(`process batch ${topic}`, { kind: SpanKind.CONSUMER, attributes: batch, links }, async (span) => {
    const result = await work();
    const continued: Continued = { topic, attributes, batch: span, startTime };
    if (following) followMessages(slice, continued, following);
    else
      for (const [traceparent, records] of followed)
        startContinuation(traceparent, { [ATTR_MESSAGING_BATCH_MESSAGE_COUNT]: records }, continued).end();
    return result;
  });
}

/** What the spans that continue the traces of producers have in common. */
interface Continued {
  topic: string;
  attributes: Attributes;
  batch: Span;
  /** Milliseconds since the epoch at which the work on the batch began. */
  startTime: number;
}

/** The caller ends the span. */
function startContinuation(traceparent: string, own: Attributes, { topic, attributes, batch, startTime }: Continued): Span {
  return startSpan(`process ${topic}`, {
    kind: SpanKind.CONSUMER,
    attributes: { ...attributes, ...own },
    links: [{ context: batch.spanContext() }],
    parent: contextFrom({ traceparent }),
    startTime,
  });
}

/** The messages of a slice whose request was sampled and that were not rejected, with their `traceparent`. */
export function sampledMessages<E>(slice: Slice<E>): { entry: Accepted<E>; partition: number; traceparent: string }[] {
  return slice.flatMap(({ partition, entries }) =>
    entries.flatMap((entry) => {
      const { traceparent } = entry.record;
      if (traceparent === undefined || entry.event === undefined || entry.rejection !== undefined) return [];
      return isSampled(traceparent) ? [{ entry: { ...entry, event: entry.event }, partition, traceparent }] : [];
    }),
  );
}

function isSampled(traceparent: string): boolean {
  const context = trace.getSpanContext(contextFrom({ traceparent }));
  return context !== undefined && isSpanContextValid(context) && (context.traceFlags & TraceFlags.SAMPLED) !== 0;
}

function followMessages<E>(slice: Slice<E>, continued: Continued, { log, idsOf }: Following<E>): void {
  for (const { entry, partition, traceparent } of sampledMessages(slice)) {
    const ids = idsOf(entry.event);
    const place = {
      [ATTR_MESSAGING_DESTINATION_PARTITION_ID]: String(partition),
      [ATTR_MESSAGING_KAFKA_OFFSET]: Number(entry.record.offset),
    };
    const named = Object.fromEntries(Object.entries(ids).map(([name, id]) => [`bss.${name}`, id]));
    const span = startContinuation(traceparent, { ...place, ...named }, continued);
    const fields = { topic: continued.topic, partition, offset: entry.record.offset.toString(), ...ids };
    withSpan(contextFrom({ traceparent }), span, () => log.info(fields, 'message applied'));
    span.end();
  }
}

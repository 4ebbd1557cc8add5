import type { Link } from '@opentelemetry/api';
import { contextFrom, inSpan, linkTo, SpanKind, startSpan } from '../telemetry.ts';
import type { ConsumedRecord } from '../kafka/batch-consumer.ts';
import type { Slice } from './slice.ts';
import { sizeOf } from './slice.ts';

/** A batch may mix thousands of traces; the OpenTelemetry limit for links of one span holds for the spans that continue them too. */
const MAX_CONTEXTS = 128;

/** `traceparent` values of a slice with the number of records that carry each. */
export function producerContexts(slice: Slice): Map<string, number> {
  const contexts = new Map<string, number>();
  for (const { entries } of slice) {
    for (const { record } of entries) {
      const traceparent = headerText(record, 'traceparent');
      if (traceparent !== undefined) contexts.set(traceparent, (contexts.get(traceparent) ?? 0) + 1);
    }
  }
  return contexts;
}

function headerText({ headers }: ConsumedRecord, name: string): string | undefined {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value)?.toString();
}

/**
 * Runs the work of one batch in a span of its own that links to the producers' spans; and once it is done, continues each producer's
 * trace by a span that links back, so that whoever follows an event finds the batch that applied it.
 */
export async function inBatchSpan<T>(slice: Slice, group: string, work: () => Promise<T>): Promise<T> {
  const contexts = producerContexts(slice);
  const followed = [...contexts].slice(0, MAX_CONTEXTS);
  const topic = slice[0]?.topic ?? '';
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.destination.name': topic,
    'messaging.consumer.group.name': group,
  };
  const batch = { ...attributes, 'messaging.batch.message_count': sizeOf(slice), 'bss.batch.producer_contexts': contexts.size };
  const links = followed.map(([traceparent]) => linkTo(traceparent)).filter((link): link is Link => link !== undefined);
  const startTime = Date.now();
  return inSpan(`process batch ${topic}`, { kind: SpanKind.CONSUMER, attributes: batch, links }, async (span) => {
    const result = await work();
    for (const [traceparent, records] of followed) {
      const continued = { ...attributes, 'messaging.batch.message_count': records };
      const back = [{ context: span.spanContext() }];
      startSpan(`process ${topic}`, {
        kind: SpanKind.CONSUMER,
        attributes: continued,
        links: back,
        parent: contextFrom({ traceparent }),
        startTime,
      }).end();
    }
    return result;
  });
}

import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_MESSAGING_DESTINATION_NAME,
  ATTR_MESSAGING_KAFKA_MESSAGE_KEY,
  ATTR_MESSAGING_MESSAGE_ID,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
  MESSAGING_OPERATION_TYPE_VALUE_SEND,
  MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
} from '@opentelemetry/semantic-conventions/incubating';
import { ledgerEntryEventId, transferIdOf } from '../shared/contracts/ledger-entry.ts';
import { withLimit } from '../shared/kernel/kafka/failures.ts';
import type { KafkaProducer, OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import { contextFrom, failSpan, sampledTraceparent, SpanKind, startSpan } from '../shared/kernel/telemetry.ts';
import type { Span } from '../shared/kernel/telemetry.ts';
import type { EntryMessage } from './messages.ts';

/** Shorter than the time after which the database ends a session that is idle within a transaction (15 s). */
const SEND_LIMIT_MS = 10_000;

/** Sends entries to Kafka. Each entry of a sampled request has a span, whose parent is the request, and which the message names. */
export class Publisher {
  readonly #producer: Pick<KafkaProducer, 'send'>;
  readonly #topic: string;
  readonly #attributes: Attributes;

  constructor(producer: Pick<KafkaProducer, 'send'>, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
    this.#attributes = {
      [ATTR_MESSAGING_SYSTEM_NAME]: MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
      [ATTR_MESSAGING_OPERATION_NAME]: 'send',
      [ATTR_MESSAGING_OPERATION_TYPE]: MESSAGING_OPERATION_TYPE_VALUE_SEND,
      [ATTR_MESSAGING_DESTINATION_NAME]: topic,
    };
  }

  /**
   * Resolves once Kafka has acknowledged all of them.
   * @returns a span of each outbox row that has one
   * @throws when Kafka has not; some of them may have been written, and may still be
   */
  async send(messages: readonly EntryMessage[]): Promise<Map<string, Span>> {
    const spans: [row: string, span: Span][] = [];
    const records = messages.map((message) => this.#record(message, spans));
    try {
      await withLimit(
        this.#producer.send(this.#topic, () => records),
        SEND_LIMIT_MS,
      );
    } catch (error) {
      for (const [, span] of spans) failSpan(span, error);
      throw error;
    } finally {
      for (const [, span] of spans) span.end();
    }
    return new Map(spans);
  }

  #record({ row, key, value, headers, entry, traceparent }: EntryMessage, spans: [row: string, span: Span][]): OutgoingRecord {
    if (traceparent === null) return { key, value, headers };
    const transferId = transferIdOf(entry);
    const attributes = {
      ...this.#attributes,
      [ATTR_MESSAGING_MESSAGE_ID]: ledgerEntryEventId(entry),
      [ATTR_MESSAGING_KAFKA_MESSAGE_KEY]: key,
      ...(transferId === undefined ? {} : { transfer_id: transferId }),
    };
    const span = startSpan(`send ${this.#topic}`, { kind: SpanKind.PRODUCER, attributes, parent: contextFrom({ traceparent }) });
    spans.push([row, span]);
    const own = sampledTraceparent(span);
    return { key, value, headers: own === undefined ? headers : { ...headers, traceparent: own } };
  }
}

import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_MESSAGING_BATCH_MESSAGE_COUNT,
  ATTR_MESSAGING_CLIENT_ID,
  ATTR_MESSAGING_DESTINATION_NAME,
  ATTR_MESSAGING_OPERATION_NAME,
  ATTR_MESSAGING_OPERATION_TYPE,
  ATTR_MESSAGING_SYSTEM_NAME,
  MESSAGING_OPERATION_TYPE_VALUE_SEND,
  MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
} from '@opentelemetry/semantic-conventions/incubating';
import { CompressionTypes, Partitioners } from 'kafkajs';
import type { Message, Producer } from 'kafkajs';
import type { RetryPolicy } from 'cockatiel';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { retryPolicy } from '../retry.ts';
import { inSpan, SpanKind } from '../telemetry.ts';
import { createKafka, METADATA_MAX_AGE_MS } from './client.ts';
import type { KafkaConnection } from './client.ts';
import { isFatal, isTooLarge } from './failures.ts';
import { messageCounter } from './metrics.ts';

/** A record to produce; the key decides the partition. */
export interface OutgoingRecord {
  key: string | Buffer | null;
  value: string | Buffer | null;
  headers: Record<string, string | Buffer>;
}

/** Retries of a batch: the brokers elect a new leader within seconds. */
const ATTEMPTS = 4;
const MAX_DELAY_MS = 3_000;

/** Produces batches that count as written only when every in-sync replica has them (acks=all). */
export class KafkaProducer {
  readonly #producer: Producer;
  readonly #messages: ReturnType<typeof messageCounter>;
  readonly #retry: RetryPolicy;
  readonly #attributes: Attributes;
  #connecting: Promise<void> | undefined;
  #closed = false;

  /** @param options `attempts`: retries of a batch before {@link send} rejects */
  constructor(connection: KafkaConnection, clientId: string, log: Logger, metrics: Metrics, options: { attempts?: number } = {}) {
    this.#producer = createKafka(connection, clientId, log).producer({
      // Java's partitioner: a key lands on the same partition whatever client wrote it.
      createPartitioner: Partitioners.DefaultPartitioner,
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      // The client's own retry leaves out every broker that has answered. When one of these has become the leader of a partition that must be
      // sent again, the client reports the batch as acknowledged without having sent it: kafkajs issue 1303.
      retry: { retries: 0 },
    });
    this.#retry = retryPolicy({
      log,
      what: 'produce a batch',
      retryable: (error) => !isFatal(error) && !isTooLarge(error) && !this.#closed,
      attempts: options.attempts ?? ATTEMPTS,
      maxDelayMs: MAX_DELAY_MS,
    });
    this.#messages = messageCounter(metrics);
    this.#attributes = {
      [ATTR_MESSAGING_SYSTEM_NAME]: MESSAGING_SYSTEM_NAME_VALUE_KAFKA,
      [ATTR_MESSAGING_OPERATION_NAME]: 'send',
      [ATTR_MESSAGING_OPERATION_TYPE]: MESSAGING_OPERATION_TYPE_VALUE_SEND,
      [ATTR_MESSAGING_CLIENT_ID]: clientId,
    };
  }

  /**
   * Sends a batch; resolves when Kafka has acknowledged all of it.
   * `build` runs inside the producer span, so that `traceHeaders()` in it names that span.
   * A batch that was not acknowledged as a whole is sent again as a whole: some of its records may be written twice.
   * @throws when Kafka did not acknowledge after a few attempts; some of the batch may have been written
   */
  async send(topic: string, build: () => OutgoingRecord[]): Promise<number> {
    const attributes = { ...this.#attributes, [ATTR_MESSAGING_DESTINATION_NAME]: topic };
    return inSpan(`send ${topic}`, { kind: SpanKind.PRODUCER, attributes }, async (span) => {
      const messages: Message[] = build();
      span.setAttribute(ATTR_MESSAGING_BATCH_MESSAGE_COUNT, messages.length);
      await this.#retry.execute(async () => {
        await this.#connected();
        await this.#producer.send({ topic, messages, acks: -1, compression: CompressionTypes.None });
      });
      this.#messages.inc({ direction: 'produced', topic }, messages.length);
      return messages.length;
    });
  }

  async #connected(): Promise<void> {
    this.#connecting ??= this.#producer.connect();
    try {
      await this.#connecting;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
  }

  /** Disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#producer.disconnect();
  }
}

import type { EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';
import { FetchedRecord } from './record-decoder.ts';

/** A record as it was consumed. */
export interface ConsumedRecord {
  offset: bigint;
  key: Buffer | null;
  value: Buffer | null;
  headers: IHeaders;
  timestamp: string;
  /** Text of the header of that name: the producer's trace (W3C Trace Context). */
  traceparent: string | undefined;
}

/** Consecutive records of one partition: those from offset `start` (inclusive) to `next` (exclusive). */
export interface PartitionBatch {
  topic: string;
  partition: number;
  start: bigint;
  next: bigint;
  records: ConsumedRecord[];
}

/** The offset at which a partition continues. */
export type Position = Pick<PartitionBatch, 'topic' | 'partition' | 'next'>;

/** By partition, the offset at which it continues. */
export function nextOffsets(positions: Position[]): Map<number, bigint> {
  return new Map(positions.map(({ partition, next }) => [partition, next]));
}

/** @throws Error when the Kafka client does not say where the fetch began */
export function toBatch({ batch }: Pick<EachBatchPayload, 'batch'>): PartitionBatch {
  // `fetchedOffset` is the offset that the fetch asked for; the first record may come later where the log was compacted.
  if (!('fetchedOffset' in batch)) throw new Error('the Kafka client no longer reports the offset at which a fetch began');
  return {
    topic: batch.topic,
    partition: batch.partition,
    start: BigInt(String(batch.fetchedOffset)),
    next: BigInt(batch.lastOffset()) + 1n,
    records: batch.messages.map(toRecord),
  };
}

function toRecord(message: KafkaMessage): ConsumedRecord {
  if (message instanceof FetchedRecord) return new LateRecord(message);
  const { offset, key, value, headers = {}, timestamp } = message;
  return { offset: BigInt(offset), key, value, headers, timestamp, traceparent: textOf(headers['traceparent']) };
}

/** Headers and timestamp are decoded when they are asked for. */
class LateRecord implements ConsumedRecord {
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly traceparent: string | undefined;
  readonly #message: FetchedRecord;

  constructor(message: FetchedRecord) {
    this.offset = BigInt(message.offset);
    this.key = message.key;
    this.value = message.value;
    this.traceparent = message.traceparent;
    this.#message = message;
  }

  get headers(): IHeaders {
    return this.#message.headers;
  }

  get timestamp(): string {
    return this.#message.timestamp;
  }
}

function textOf(header: IHeaders[string]): string | undefined {
  return (Array.isArray(header) ? header[0] : header)?.toString();
}

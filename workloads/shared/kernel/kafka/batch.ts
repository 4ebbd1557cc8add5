import type { EachBatchPayload, IHeaders, KafkaMessage } from 'kafkajs';

/** A record as it was consumed. */
export interface ConsumedRecord {
  offset: bigint;
  key: Buffer | null;
  value: Buffer | null;
  headers: IHeaders;
  timestamp: string;
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

function toRecord({ offset, key, value, headers = {}, timestamp }: KafkaMessage): ConsumedRecord {
  return { offset: BigInt(offset), key, value, headers, timestamp };
}

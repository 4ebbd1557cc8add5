import { randomUUID } from 'node:crypto';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { KafkaAdmin } from './admin.ts';
import { BatchConsumer } from './batch-consumer.ts';
import type { PartitionBatch } from './batch.ts';
import type { KafkaConnection } from './client.ts';

export interface TopicReader {
  connection: KafkaConnection;
  clientId: string;
  topic: string;
  log: Logger;
  metrics: Metrics;
}

const MAX_FETCH_BYTES = 4 * 1024 * 1024;

/**
 * Reads a topic from its first record to the end that it has now, in a group of its own that is deleted afterwards. Records of one partition
 * come in order.
 * @param onBatch returns false to stop reading; what it throws ends the reading
 * @throws Error when Kafka refuses for good
 */
export async function readTopic(reader: TopicReader, onBatch: (batch: PartitionBatch) => Promise<boolean>): Promise<void> {
  const { connection, clientId, topic, log } = reader;
  const admin = new KafkaAdmin(connection, clientId, log);
  const group = `${clientId}-${randomUUID()}`;
  try {
    const extents = (await admin.extents(topic)).filter(({ low, high }) => high > low);
    if (extents.length === 0) return;
    await consume(reader, group, new Map(extents.map(({ partition, low, high }) => [partition, { next: low, end: high }])), onBatch);
    await admin
      .deleteGroup(group)
      .catch((error: unknown) => log.warn({ error, group }, 'the temporary consumer group could not be deleted'));
  } finally {
    await admin.close();
  }
}

type Progress = Map<number, { next: bigint; end: bigint }>;

async function consume(
  { connection, clientId, topic, log, metrics }: TopicReader,
  group: string,
  progress: Progress,
  onBatch: (batch: PartitionBatch) => Promise<boolean>,
): Promise<void> {
  const finished = Promise.withResolvers<void>();
  let stopped = false;
  const consumer = new BatchConsumer(
    {
      connection,
      clientId,
      group,
      topic,
      minBytes: 1,
      maxWaitMs: 100,
      maxBytes: MAX_FETCH_BYTES,
      onAssigned: (partitions) => Promise.resolve(new Map(partitions.map((partition) => [partition, progress.get(partition)?.next ?? 0n]))),
      onBatches: async (batches, lease) => {
        for (const batch of batches) {
          const place = progress.get(batch.partition);
          if (stopped || !place || place.next >= place.end) continue;
          const records = batch.records.filter(({ offset }) => offset >= place.next && offset < place.end);
          if (!(await onBatch({ ...batch, records }))) stopped = true;
          place.next = batch.next;
        }
        lease.done(batches);
        if (stopped || [...progress.values()].every(({ next, end }) => next >= end)) finished.resolve();
      },
      onFatal: finished.reject,
    },
    log,
    metrics,
  );
  consumer.start();
  try {
    await finished.promise;
  } finally {
    await consumer.stop();
  }
}

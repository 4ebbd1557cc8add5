import { randomUUID } from 'node:crypto';
import { KafkaAdmin } from '../kernel/kafka/admin.ts';
import { BatchConsumer } from '../kernel/kafka/consumer.ts';
import type { ConsumedRecord } from '../kernel/kafka/consumer.ts';
import { createLogger } from '../kernel/log.ts';
import { Metrics } from '../kernel/metrics.ts';

/** A record with its headers as text. */
export interface ReadRecord {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
}

/** Reads a topic of one partition from its first record to its present end. */
export async function readTopic(brokers: string[], topic: string): Promise<ReadRecord[]> {
  const connection = { KAFKA_BROKERS: brokers, KAFKA_SSL: false };
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const admin = new KafkaAdmin(connection, 'reader', log);
  const [extent] = await admin.extents(topic);
  await admin.close();
  const end = extent?.high ?? 0n;
  const records: ConsumedRecord[] = [];
  if (end === 0n) return [];
  await new Promise<void>((resolve, reject) => {
    const consumer = new BatchConsumer(
      {
        connection,
        clientId: 'reader',
        group: `reader-${randomUUID()}`,
        topic,
        minBytes: 1,
        maxWaitMs: 50,
        maxBytes: 4 * 1024 * 1024,
        onAssigned: () => Promise.resolve(new Map()),
        onBatches: async (batches, lease) => {
          for (const batch of batches) records.push(...batch.records);
          lease.done(batches);
          if ((batches.at(-1)?.next ?? 0n) >= end) void consumer.stop().then(resolve, reject);
        },
        onFatal: reject,
      },
      log,
      new Metrics({}),
    );
    consumer.start();
  });
  return records.map(({ key, value, headers }) => ({ key, value, headers: texts(headers) }));
}

function texts(headers: ConsumedRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

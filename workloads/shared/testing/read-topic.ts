import { readTopic as read } from '../kernel/kafka/read-topic.ts';
import type { ConsumedRecord } from '../kernel/kafka/batch.ts';
import { createLogger } from '../kernel/log.ts';
import { Metrics } from '../kernel/metrics.ts';

/** A record with its headers as text. */
export interface ReadRecord {
  key: Buffer | null;
  value: Buffer | null;
  headers: Record<string, string>;
}

/** Reads a topic from its first record to its present end. */
export async function readTopic(brokers: string[], topic: string): Promise<ReadRecord[]> {
  const connection = { KAFKA_BROKERS: brokers, KAFKA_SSL: false };
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const records: ConsumedRecord[] = [];
  await read({ connection, clientId: 'reader', topic, log, metrics: new Metrics({}) }, async (batch) => {
    records.push(...batch.records);
    return true;
  });
  return records.map(({ key, value, headers }) => ({ key, value, headers: texts(headers) }));
}

function texts(headers: ConsumedRecord['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

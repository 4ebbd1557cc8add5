/** The platform's Kafka from outside the cluster, by a forwarded port. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { Kafka, logLevel, type Consumer, type ISocketFactory } from 'kafkajs';
import { checkOnlyWaitingRequests } from '../../../operator/src/autoscale/request-queue.ts';

/**
 * A Kafka client for a forwarded port. The broker advertises an address inside the cluster, so every connection goes to the port instead.
 * @param url of the forward, such as `http://127.0.0.1:40123`
 */
export function kafkaAt(url: string): Kafka {
  checkOnlyWaitingRequests();
  const { hostname, port } = new URL(url);
  const socketFactory: ISocketFactory = ({ onConnect }) => connect({ host: hostname, port: Number(port) }, onConnect);
  return new Kafka({
    clientId: 'demo',
    brokers: [`${hostname}:${port}`],
    socketFactory,
    connectionTimeout: 3000,
    requestTimeout: 5000,
    logLevel: logLevel.NOTHING,
  });
}

/**
 * Reads a topic from its first record to its present end, each partition in its order.
 * @param onValue called with the value of each record
 * @throws Error when the first records are deleted already, or the end is not reached within `limitMs`
 */
export async function readTopic(
  kafka: Kafka,
  topic: string,
  { onValue, limitMs }: { onValue: (value: Buffer) => void; limitMs: number },
): Promise<void> {
  const admin = kafka.admin();
  const groupId = `reader-${randomUUID()}`;
  await admin.connect();
  try {
    const offsets = await admin.fetchTopicOffsets(topic);
    const cut = offsets.find(({ low }) => low !== '0');
    if (cut !== undefined) throw new Error(`the events of ${topic}/${cut.partition} before offset ${cut.low} are deleted already`);
    const left = new Map(offsets.filter(({ high }) => high !== '0').map(({ partition, high }) => [partition, BigInt(high)]));
    if (left.size > 0) await consume(kafka.consumer({ groupId, allowAutoTopicCreation: false }), topic, { left, onValue, limitMs });
  } finally {
    // The brokers would forget the group by themselves, but not for days.
    await admin.deleteGroups([groupId]).catch(() => undefined);
    await admin.disconnect();
  }
}

/** @param left end offset of each partition that is not read to its end */
async function consume(
  consumer: Consumer,
  topic: string,
  { left, onValue, limitMs }: { left: Map<number, bigint>; onValue: (value: Buffer) => void; limitMs: number },
): Promise<void> {
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  // The limit may be reached before anything waits for the end.
  done.catch(() => undefined);
  const timer = setTimeout(() => reject(new Error(`${topic} was not read to its end within ${limitMs / 1000} s`)), limitMs);
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const { partition, messages } = batch;
        const end = left.get(partition);
        if (end === undefined) return;
        for (const { offset, value } of messages) if (value !== null && BigInt(offset) < end) onValue(value);
        if (BigInt(batch.lastOffset()) + 1n >= end) left.delete(partition);
        if (left.size === 0) resolve();
      },
    });
    await done;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
}

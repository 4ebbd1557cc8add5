/**
 * Is anything readable left above a commit? The end of a partition also counts transaction markers and offsets that compaction removed, which
 * no consumer will ever get. Offsets alone cannot tell, so somebody has to read: a short-lived consumer of a group of its own, only asked
 * when a lag has stood still for long.
 */
import { randomUUID } from 'node:crypto';
import type { Consumer, Kafka } from 'kafkajs';

/** A partition and the offset that its group would read next. */
export interface Suspect {
  name: string;
  topic: string;
  partition: number;
  position: number;
}

/** How long a record may take to come; a record that is there comes with the first fetch. */
const LISTEN_MS = 6000;
/** Fetches that must have come back without a record before it is believed that there is none. */
const EMPTY_FETCHES = 4;
const FETCH_WAIT_MS = 500;

/**
 * The names of the suspects in which nothing readable is left. Empty when that could not be found out.
 * @throws when the brokers cannot be reached
 */
export async function findEmpty(kafka: Kafka, suspects: readonly Suspect[]): Promise<Set<string>> {
  const groupId = `bss-operator-probe-${randomUUID()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: FETCH_WAIT_MS, allowAutoTopicCreation: false, retry: { retries: 0 } });
  try {
    await consumer.connect();
    return await listen(consumer, suspects);
  } finally {
    await consumer.disconnect();
    await removeGroup(kafka, groupId);
  }
}

async function listen(consumer: Consumer, suspects: readonly Suspect[]): Promise<Set<string>> {
  const positions = new Map(suspects.map(({ name, position }) => [name, position]));
  const readable = new Set<string>();
  const { promise: enough, resolve: stop } = Promise.withResolvers<void>();
  let emptyFetches = 0;
  consumer.on(consumer.events.FETCH, ({ payload }) => {
    emptyFetches = payload.numberOfBatches === 0 ? emptyFetches + 1 : 0;
    if (emptyFetches >= EMPTY_FETCHES || readable.size === suspects.length) stop();
  });
  await consumer.subscribe({ topics: [...new Set(suspects.map(({ topic }) => topic))] });
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ topic, partition, message }) => {
      const name = `${topic}/${partition}`;
      if (Number(message.offset) >= (positions.get(name) ?? Infinity)) readable.add(name);
    },
  });
  for (const { topic, partition, position } of suspects) consumer.seek({ topic, partition, offset: String(position) });
  emptyFetches = 0;
  const timer = setTimeout(stop, LISTEN_MS);
  await enough;
  clearTimeout(timer);
  if (emptyFetches < EMPTY_FETCHES) return new Set();
  return new Set(suspects.map(({ name }) => name).filter((name) => !readable.has(name)));
}

/** The brokers would forget the group by themselves, but not for days. */
async function removeGroup(kafka: Kafka, groupId: string): Promise<void> {
  const admin = kafka.admin({ retry: { retries: 0 } });
  try {
    await admin.connect();
    await admin.deleteGroups([groupId]);
  } catch {
    // Not allowed, or never made: nothing depends on it.
  } finally {
    await admin.disconnect();
  }
}

/** Batches in every codec that Kafka has, as Java compresses them: a broker compresses again when the topic's codec is another one. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { startServices, type KafkaService } from '../../../../local/src/services/index.ts';
import { readTopic } from '../../testing/read-topic.ts';
import { createTopics } from '../../testing/topics.ts';
import { createLogger } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { KafkaProducer } from './producer.ts';

const LIMIT = { timeout: 120_000 };
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
let services: { kafka: KafkaService; stop(): Promise<void> };
let producer: KafkaProducer;

before(async () => {
  services = await startServices({ kafka: true });
  const connection = { KAFKA_BROKERS: services.kafka.brokers, KAFKA_SSL: false };
  producer = new KafkaProducer(connection, 'test', log, new Metrics({}));
}, LIMIT);
after(async () => {
  await Promise.allSettled([producer?.close()]);
  await services?.stop();
}, LIMIT);

for (const codec of ['gzip', 'snappy', 'lz4', 'zstd']) {
  test(`reads batches compressed with ${codec}`, LIMIT, async () => {
    const topic = `${codec}-${randomUUID().slice(0, 8)}`;
    await createTopics(services.kafka.brokers, [{ topic, partitions: 1, config: { 'compression.type': codec } }]);
    // More than a block of 32 KiB, which is what snappy-java's stream is cut into.
    const values = Array.from({ length: 2_000 }, (_value, index) => `${index} ${randomUUID()} ${'interest '.repeat(5)}`);
    await producer.send(topic, () => values.map((value) => ({ key: 'k', value, headers: {} })));
    const read = await readTopic(services.kafka.brokers, topic);
    assert.deepEqual(
      read.map(({ value }) => String(value)),
      values,
    );
  });
}

/** The exporter while topics are deleted. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Admin } from 'kafkajs';
import { startServices, type ServiceSet } from '../../local/src/services/index.ts';
import { createKafka } from '../shared/kernel/kafka/client.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 120_000 };
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
const topics = [{ topic: 'exporter-deleted' }, { topic: 'exporter-kept' }].map((one) => ({ ...one, numPartitions: 2 }));

let services: Pick<ServiceSet, 'kafka'> & { stop(): Promise<void> };
let admin: Admin;
let exporter: Workload;

before(async () => {
  services = await startServices({ kafka: true });
  const { brokers } = services.kafka;
  admin = createKafka({ KAFKA_BROKERS: brokers, KAFKA_SSL: false }, 'test', log).admin();
  await admin.connect();
  await admin.createTopics({ topics, waitForLeaders: true });
  exporter = await Workload.start('kafka-exporter', { KAFKA_BROKERS: brokers.join(','), PLATFORM: 'test', NAMESPACE: 'test' });
}, LIMIT);
after(async () => {
  await exporter?.stop();
  await admin?.deleteTopics({ topics: ['exporter-kept'] });
  await admin?.disconnect();
  await services?.stop();
}, LIMIT);

const partitions = (topic: string): Promise<number> => exporter.metric('kafka_topic_partitions', `topic="${topic}"`);

test('a topic that is deleted disappears, and the others are read as before', LIMIT, async () => {
  await waitFor('both topics to be read', async () => (await partitions('exporter-deleted')) === 2);
  await admin.deleteTopics({ topics: ['exporter-deleted'] });
  await waitFor('the deleted topic to disappear', async () => (await partitions('exporter-deleted')) === 0);
  assert.equal(await partitions('exporter-kept'), 2);
  const reading = (): Promise<number> => exporter.metric('kafka_exporter_last_reading_timestamp_seconds');
  const seen = await reading();
  await waitFor('another reading', async () => (await reading()) > seen);
});

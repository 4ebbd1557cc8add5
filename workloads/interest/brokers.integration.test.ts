/** Three brokers, of which one is lost and comes back: no event that Kafka acknowledged is lost, and each is applied exactly once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { startKafkaCluster, type KafkaCluster } from '../../local/src/services/kafka-cluster.ts';
import type { Service } from '../../local/src/services/index.ts';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { Traffic } from '../shared/testing/traffic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 400_000 };
/** Not the controller. */
const LOST = 1;

let cluster: KafkaCluster;
let platform: TestPlatform;
let traffic: Traffic;
let consumer: Workload;

before(async () => {
  cluster = await startKafkaCluster();
  platform = await TestPlatform.start(200, { kafka: cluster.kafka });
  traffic = new Traffic(platform);
  consumer = await (await platform.consumer({ INTEREST_BATCH_MAX_RECORDS: '250', INTEREST_FETCH_MIN_BYTES: '1' })).ready();
}, LIMIT);
after(async () => {
  await platform?.stop();
  await cluster?.stop();
}, LIMIT);

/** Partitions of the topic by the node id of their leader. */
async function leaders(): Promise<number[]> {
  const admin = new Kafka({ brokers: cluster.kafka.brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [TOPIC] });
    return topics.flatMap(({ partitions }) => partitions.map(({ leader }) => leader));
  } finally {
    await admin.disconnect();
  }
}

async function applied(): Promise<number> {
  return (await platform.appliedIds()).size;
}

/** Produces while a broker that leads partitions goes away and comes back. */
async function loses(end: (broker: Service) => Promise<void>): Promise<void> {
  const broker = cluster.nodes[LOST];
  assert.ok(broker !== undefined);
  await waitFor('the broker to lead partitions', async () => (await leaders()).includes(LOST));
  traffic.start(500);
  const start = await applied();
  await waitFor('events to be applied', async () => (await applied()) > start + 500);
  await end(broker);
  await waitFor('other brokers to lead its partitions', async () => !(await leaders()).includes(LOST));
  const moved = [traffic.accepted.size, await applied()] as const;
  await waitFor('events to be accepted and applied without it', async () => {
    return traffic.accepted.size > moved[0] + 1_000 && (await applied()) > moved[1] + 500;
  });
  await broker.start();
  const back = traffic.accepted.size;
  await waitFor('events to be accepted after its return', async () => traffic.accepted.size > back + 500);
  await traffic.stop();
  await platform.drained();
}

async function exactlyOnce(): Promise<void> {
  const ids = await platform.appliedIds();
  const missing = [...traffic.accepted].filter((id) => !ids.has(id));
  const unknown = [...ids].filter((id) => !traffic.sent.has(id));
  assert.deepEqual([missing.length, unknown.length], [0, 0], 'accepted events that are not applied, and applied ones that were not sent');
  // A broker that has just returned becomes leader again: until then the topic cannot be read.
  const { wrong } = await waitFor('the topic to be readable', async () => ({ wrong: await wrongBalances(platform) }));
  assert.deepEqual(wrong, [], 'each balance is what the events of the topic lead to');
  assert.equal((await platform.check()).ok, true);
  assert.equal(consumer.exitCode, null, consumer.log.slice(-2000));
}

test('a broker that leads partitions is shut down under load, and returns', LIMIT, async () => {
  await loses((broker) => broker.stop());
  await exactlyOnce();
});

test('a broker that leads partitions is killed under load, and returns', LIMIT, async () => {
  await loses((broker) => broker.kill());
  await exactlyOnce();
});

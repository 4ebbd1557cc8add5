/**
 * Faults between two steps of a batch: dead letter, COMMIT, its answer, Kafka's offset commit; and stores that are behind, away or refuse.
 * Each event is applied exactly once: every balance is what an independent calculation over the topic leads to.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { FaultProxy, KAFKA_OFFSET_COMMIT, POSTGRES_COMMIT } from '../shared/testing/fault-proxy.ts';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { DLQ_TOPIC, GROUP, recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { Traffic } from '../shared/testing/traffic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
/** Small batches: many of them, so that a fault always meets one. */
const SMALL_BATCHES = { INTEREST_BATCH_MAX_RECORDS: '100', INTEREST_FETCH_MIN_BYTES: '1' };

let platform: TestPlatform;
let kafkaProxy: FaultProxy;
let databaseProxy: FaultProxy;
let consumer: Workload;
const members: Workload[] = [];
/** Ids of the events that were produced. */
const produced = new Set<string>();

before(async () => {
  kafkaProxy = await FaultProxy.start();
  platform = await TestPlatform.start(200, { kafkaProxy });
  databaseProxy = await FaultProxy.start(platform.services.pgbouncer);
}, LIMIT);
after(async () => {
  await platform?.stop();
  await Promise.all([kafkaProxy, databaseProxy].map((proxy) => proxy?.stop()));
}, LIMIT);

beforeEach(async () => void (consumer = await (await join()).ready()), LIMIT);
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.stop()));
}, LIMIT);

async function join(): Promise<Workload> {
  const url = `postgresql://interest@${databaseProxy.host}:${databaseProxy.port}/ledger`;
  const member = await platform.consumer({ ...SMALL_BATCHES, DATABASE_URL: url });
  members.push(member);
  return member;
}

async function produce(count: number): Promise<void> {
  const events = Array.from({ length: count }, (_value, index) => platform.event(index));
  await platform.produce(events.map((event) => recordOf(event)));
  for (const { id } of events) produced.add(id);
}

/** Kills the consumer, and starts another one. */
async function crash(): Promise<void> {
  await consumer.end('SIGKILL');
  consumer = await (await join()).ready();
}

async function exactlyOnce(): Promise<void> {
  await platform.drained();
  assert.deepEqual(await platform.appliedIds(), produced);
  assert.deepEqual(await wrongBalances(platform), [], 'each balance is what the events of the topic lead to');
  assert.equal((await platform.check()).ok, true);
  assert.equal(consumer.exitCode, null, consumer.log.slice(-2000));
}

const letters = () => readTopic(platform.services.kafka.brokers, DLQ_TOPIC);
const poison = { key: 'k', value: 'no event', headers: {} };

test('an answer to COMMIT that does not arrive: the batch is not applied again', LIMIT, async () => {
  const dropped = databaseProxy.dropAnswers(POSTGRES_COMMIT, 3);
  await produce(1_000);
  await dropped;
  await exactlyOnce();
  assert.match(consumer.log, /positions in the database moved; following them/);
});

test('a crash after COMMIT and before its answer', LIMIT, async () => {
  const dropped = databaseProxy.dropAnswers(POSTGRES_COMMIT);
  await produce(1_000);
  await dropped;
  await crash();
  await exactlyOnce();
});

test('a crash between the dead letter and the position: a second copy of the letter, and its neighbours once', LIMIT, async () => {
  const held = databaseProxy.hold(POSTGRES_COMMIT);
  await platform.produce([poison]);
  await held;
  await produce(100);
  assert.equal((await letters()).length, 1);
  await crash();
  await exactlyOnce();
  const copies = (await letters()).map(({ headers }) => [headers['dlq_partition'], headers['dlq_offset']]);
  assert.equal(copies.length, 2);
  assert.deepEqual(copies[0], copies[1], 'partition and offset identify a copy');
});

test('a crash between COMMIT and the offset commit to Kafka', LIMIT, async () => {
  const held = kafkaProxy.hold(KAFKA_OFFSET_COMMIT);
  await produce(100);
  await held;
  await crash();
  await exactlyOnce();
});

test('an offset commit that Kafka does not get is repeated without further events and without a rebalance', LIMIT, async () => {
  const cut = kafkaProxy.cutRequests(KAFKA_OFFSET_COMMIT);
  await produce(20);
  await cut;
  await exactlyOnce();
  assert.equal(await consumer.metric('kafka_consumer_group_joins_total'), 1);
});

test('a database that is restored from a backup catches up from Kafka', LIMIT, async () => {
  await produce(500);
  await exactlyOnce();
  await consumer.stop();
  await platform.backUp();
  consumer = await (await join()).ready();
  await produce(500);
  await exactlyOnce();
  await consumer.stop();
  await platform.restore();
  const restored = await platform.appliedIds();
  assert.equal(produced.size - restored.size, 500, 'the database is behind Kafka');
  consumer = await (await join()).ready();
  await exactlyOnce();
});

test('a database that is away during a rebalance: both members wait for it, and continue', LIMIT, async () => {
  const traffic = new Traffic(platform);
  traffic.start(500);
  await platform.services.postgres.kill();
  const second = await join();
  await second.logged(/failed to read the positions; retrying/);
  await consumer.logged(/failed to read the positions; retrying/);
  await traffic.stop();
  await platform.services.postgres.start();
  await second.ready();
  for (const id of traffic.accepted) produced.add(id);
  await exactlyOnce();
  assert.equal((await platform.admin.members([GROUP])).get(GROUP), 2);
});

test(
  'a dead-letter topic that refuses every record: the consumer waits with the reason, and continues once the topic accepts',
  LIMIT,
  async () => {
    const earlier = (await letters()).length;
    await platform.configureTopic(DLQ_TOPIC, { 'max.message.bytes': '100' });
    await platform.produce([poison]);
    await produce(100);
    await consumer.logged(/failed to write dead letters; retrying/);
    assert.match(consumer.log, /larger than the max message size/);
    const [row] = await platform.sql<{ behind: boolean }>(`SELECT sum(next_offset) < $1 AS behind FROM consumer_offset`, [
      (await platform.admin.extents(TOPIC)).reduce((sum, { high }) => sum + high, 0n),
    ]);
    assert.equal(row?.behind, true, 'no position passes the record');
    await platform.configureTopic(DLQ_TOPIC, {});
    await exactlyOnce();
    const [letter, ...others] = (await letters()).slice(earlier);
    assert.deepEqual([letter?.value?.toString(), letter?.headers['dlq_reason'], others.length], [poison.value, 'not_json', 0]);
  },
);

test('partitions that are added under load', LIMIT, async () => {
  const traffic = new Traffic(platform);
  traffic.start(500);
  await platform.addPartitions(16);
  await waitFor('the producer to use the new partitions', async () =>
    (await platform.admin.extents(TOPIC)).slice(12).every(({ high }) => high > 0n),
  );
  await traffic.stop();
  for (const id of traffic.accepted) produced.add(id);
  await platform.drained();
  assert.deepEqual(await platform.appliedIds(), produced);
  // The events of an account go on in another partition: their order, and with it the rounding, is not that of the topic any more.
  assert.equal((await platform.check()).ok, true);
});

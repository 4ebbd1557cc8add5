/** The topic is deleted and recreated under its name, and is longer than the stored positions before the consumer reads it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { Metrics } from '../shared/kernel/metrics.ts';
import { Postgres } from '../shared/kernel/postgres.ts';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { GROUP, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { ProductConfigs } from './product-configs.ts';
import { InterestStore } from './store.ts';

const LIMIT = { timeout: 300_000 };
const PARTITIONS = 12;

let platform: TestPlatform;
let consumer: Workload;
/** Events of the topics that were deleted. */
const earlier: InterestTransaction[] = [];

before(async () => {
  platform = await TestPlatform.start(200);
  consumer = await (await platform.consumer()).ready();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

async function storedPositions(): Promise<Map<number, { next: bigint; topicId: string | null }>> {
  const rows = await platform.sql<{ partition: number; next: string; topic_id: string | null }>(
    'SELECT partition, next_offset::text AS next, topic_id FROM consumer_offset ORDER BY partition',
  );
  return new Map(rows.map(({ partition, next, topic_id: topicId }) => [partition, { next: BigInt(next), topicId }]));
}

/** Recreates the topic and fills each partition beyond its stored position. @returns the events of the new topic */
async function recreate(): Promise<InterestTransaction[]> {
  const positions = await storedPositions();
  await platform.deleteTopic(TOPIC);
  await platform.createTopic(TOPIC, PARTITIONS);
  const events = await platform.produceEvents([...positions.values()].reduce((sum, { next }) => sum + Number(next), 1_000) * 2);
  for (const { partition, high } of await platform.admin.extents(TOPIC))
    assert.ok(high > (positions.get(partition)?.next ?? 0n), `partition ${partition} is longer than the position`);
  return events;
}

async function settled(events: InterestTransaction[], former: string): Promise<void> {
  // Events that are skipped are missing although the positions are at the end: these are no sign that all is applied.
  await waitFor(
    'every event of the new topic to be applied',
    async () => {
      const ids = await platform.appliedIds();
      return events.every(({ id }) => ids.has(id));
    },
    60_000,
  );
  await platform.drained(60_000);
  const ids = await platform.appliedIds();
  assert.equal(ids.size, earlier.length + events.length, 'each event is in the journal once');
  assert.equal((await platform.check()).ok, true);
  const current = await platform.admin.topicId(TOPIC);
  assert.ok(current !== undefined && current !== former);
  for (const stored of (await storedPositions()).values()) assert.equal(stored.topicId, current);
  assert.match(consumer.log, new RegExp(`"stored_topic_id":"${former}","topic_id":"${current}"`));
  assert.equal(await consumer.metric('interest_partitions_recreated_total'), PARTITIONS);
  assert.equal(consumer.exitCode, null, consumer.log.slice(-2000));
}

async function currentId(): Promise<string> {
  const id = await platform.admin.topicId(TOPIC);
  assert.match(id ?? '', /^[A-Za-z0-9_-]{22}$/);
  return id ?? '';
}

test('stores the id of the topic beside positions that have none', LIMIT, async () => {
  earlier.push(...(await platform.produceEvents(300)));
  await platform.drained();
  assert.equal(await consumer.end('SIGTERM'), 0);
  await platform.sql('UPDATE consumer_offset SET topic_id = NULL');
  const former = await storedPositions();
  consumer = await (await platform.consumer()).ready();
  const id = await currentId();
  assert.deepEqual(await storedPositions(), new Map([...former].map(([partition, { next }]) => [partition, { next, topicId: id }])));
  assert.equal(await consumer.metric('interest_partitions_recreated_total'), 0);
});

test('applies every event of a topic that was recreated while no consumer ran', LIMIT, async () => {
  const former = await currentId();
  assert.equal(await consumer.end('SIGTERM'), 0);
  const events = await recreate();
  consumer = await (await platform.consumer()).ready();
  await settled(events, former);
  assert.deepEqual(await wrongBalances(platform, earlier), [], 'each balance is what the events of both topics lead to, in order');
  earlier.push(...events);
});

test('applies every event of a topic that is recreated while the consumer runs', LIMIT, async () => {
  const former = await currentId();
  assert.equal(await consumer.end('SIGTERM'), 0);
  consumer = await (await platform.consumer()).ready();
  consumer.signal('SIGSTOP');
  // Kafka answers the fetch in progress after at most 100 ms; a deletion before would answer it with an error, and the member would rejoin.
  await delay(1_000);
  let events: InterestTransaction[];
  try {
    events = await recreate();
  } finally {
    consumer.signal('SIGCONT');
  }
  // Until the next check it applies the records from its position on. Interest is rounded, so that the balances depend on the order.
  await settled(events, former);
  earlier.push(...events);
});

test('writes nothing for records of a deleted topic that start where the new one does', LIMIT, async () => {
  assert.equal(await consumer.end('SIGTERM'), 0);
  await platform.sql('UPDATE consumer_offset SET next_offset = 0, topic_id = $1', [await currentId()]);
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const { DATABASE_URL: url = '', PGPASSWORD: password = '' } = platform.env('interest');
  const database = new Postgres({ url, password, max: 1, applicationName: 'test' }, log, new Metrics({}));
  try {
    const store = new InterestStore(database, GROUP, TOPIC);
    const rates = await new ProductConfigs(database).lookup();
    const late = { topic: TOPIC, partition: 3, start: 0n, next: 9n, topicId: 'AAAAAAAAAAAAAAAAAAAAAA', entries: [] };
    assert.deepEqual(await store.apply([late], rates, () => undefined), {
      kind: 'moved',
      positions: [{ topic: TOPIC, partition: 3, next: 0n, otherTopic: true }],
    });
    assert.equal((await storedPositions()).get(3)?.next, 0n);
    assert.equal((await store.apply([{ ...late, topicId: await currentId() }], rates, () => undefined)).kind, 'applied');
    assert.equal((await storedPositions()).get(3)?.next, 9n);
  } finally {
    await database.close();
  }
});

/**
 * A platform that is as it should be costs nothing: no write, hardly a pass. `SETTLED_SECONDS` says for how long that is watched; `make settled`
 * takes the five minutes of the goal.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import process from 'node:process';
import { Kafka, logLevel, type Consumer } from 'kafkajs';
import { ENTRY_TOPIC, INTEREST_GROUP, INTEREST_TOPIC, READ_MODEL_GROUP } from '../platform/index.ts';
import { Cluster, LIMIT_MS, until } from './testing/cluster.ts';

const SECONDS = Number(process.env['SETTLED_SECONDS'] ?? 60);
const PASSES_PER_MINUTE = 5;
/** Between two renewals of the Lease, which tell the time. */
const RENEWAL_SECONDS = 2;

let cluster: Cluster;
let members: Consumer[] = [];

before(async () => {
  cluster = await Cluster.start();
});
after(async () => {
  await Promise.all(members.map((member) => member.disconnect()));
  await cluster.stop();
});

/** A real member of a group that the platform's pods would form: without one the group counts as stopped. */
async function joinGroup(groupId: string, topic: string): Promise<Consumer> {
  const kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId });
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve));
  await consumer.connect();
  await consumer.subscribe({ topics: [topic] });
  await consumer.run({ eachMessage: () => Promise.resolve() });
  await joined;
  return consumer;
}

async function renewals(count: number): Promise<void> {
  const end = (await cluster.leaseRenewals()) + count;
  const limit = 2 * RENEWAL_SECONDS * 1000 * count + LIMIT_MS;
  await until(`${count} renewals of the Lease`, limit, async () => (await cluster.leaseRenewals()) >= end);
}

void test('sends no write and runs few passes for a settled platform', async (t) => {
  const platform = await cluster.platform('settled', { redis: {}, prometheus: {}, networkPolicies: {} });
  await platform.ready();
  members = await Promise.all([joinGroup(INTEREST_GROUP, INTEREST_TOPIC), joinGroup(READ_MODEL_GROUP, ENTRY_TOPIC)]);
  await until('the groups to be known', LIMIT_MS, async () => {
    const { consumerGroups, conditions } = await platform.status();
    return (
      consumerGroups?.every(({ lag }) => lag === 0) &&
      conditions?.every(({ type, status }) => type !== 'ScalingLimited' || status === 'False')
    );
  });
  // No Prometheus runs here: what fires stays unknown.
  await until('the alerts to be unknown', LIMIT_MS, async () => (await platform.status()).alerts?.summary === 'unknown');
  // What this caused settles first.
  await renewals(10);
  const [writes, passes] = [(await cluster.writes()).length, await cluster.passes()];
  t.diagnostic(`watched for ${SECONDS} s from now on`);
  await renewals(SECONDS / RENEWAL_SECONDS);
  assert.deepEqual((await cluster.writes()).slice(writes), []);
  const during = (await cluster.passes()) - passes;
  t.diagnostic(`settled for ${SECONDS} s: 0 writes, ${during} passes, ${(await platform.status()).inventory?.length} objects`);
  assert.ok(during <= (PASSES_PER_MINUTE * SECONDS) / 60, `${during} passes`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePlan, planTopics, type ExistingTopic, type TopicPlan, type WantedTopic } from './topic-plan.ts';

const wanted: WantedTopic = { name: 'a', partitions: 12, retention: '7d', cleanupPolicy: 'delete' };
const config = { 'retention.ms': '604800000', 'cleanup.policy': 'delete' };
const there: ExistingTopic = { name: 'a', partitions: 12, overrides: config };
const nothing: TopicPlan = { create: [], extend: [], alter: [], differences: [] };

const rows: { name: string; wanted?: WantedTopic[]; existing: ExistingTopic[]; plan: Partial<TopicPlan>; reason: string }[] = [
  {
    name: 'missing',
    existing: [],
    plan: { create: [{ name: 'a', partitions: 12, replicationFactor: -1, config }] },
    reason: "without a number of copies the cluster's default holds",
  },
  {
    name: 'missing, with copies',
    wanted: [{ ...wanted, replicationFactor: 3 }],
    existing: [],
    plan: { create: [{ name: 'a', partitions: 12, replicationFactor: 3, config }] },
    reason: 'as asked for',
  },
  {
    name: 'larger batches',
    wanted: [{ ...wanted, maxMessageBytes: 2_097_152 }],
    existing: [there],
    plan: { alter: [{ name: 'a', config: { ...config, 'max.message.bytes': '2097152' } }] },
    reason: 'a dead letter is larger than its record',
  },
  { name: 'as wanted', existing: [there], plan: {}, reason: 'nothing to do' },
  {
    name: 'too few partitions',
    existing: [{ ...there, partitions: 6 }],
    plan: { extend: [{ name: 'a', partitions: 12 }] },
    reason: 'they can grow',
  },
  {
    name: 'too many partitions',
    existing: [{ ...there, partitions: 24 }],
    plan: { differences: ['topic a has 24 partitions, and Kafka cannot remove partitions: set partitions to 24 instead of 12'] },
    reason: 'they cannot shrink',
  },
  {
    name: 'other retention',
    existing: [{ ...there, overrides: { ...config, 'retention.ms': '1', 'max.message.bytes': '9' } }],
    plan: { alter: [{ name: 'a', config: { ...config, 'max.message.bytes': '9' } }] },
    reason: 'other overrides of the topic stay',
  },
  {
    name: 'kept forever',
    wanted: [{ ...wanted, retention: 'unlimited' }],
    existing: [there],
    plan: { alter: [{ name: 'a', config: { ...config, 'retention.ms': '-1' } }] },
    reason: 'Kafka writes no limit as -1',
  },
  {
    name: 'a topic of others',
    existing: [there, { name: 'b', partitions: 1, overrides: {} }],
    plan: {},
    reason: 'is none of our business',
  },
];

for (const row of rows) {
  void test(`plans topics: ${row.name}`, () => {
    assert.deepEqual(planTopics(row.wanted ?? [wanted], row.existing), { ...nothing, ...row.plan }, row.reason);
  });
}

void test('describes a plan in one line', () => {
  assert.equal(describePlan(nothing), undefined);
  const plan = planTopics([wanted, { ...wanted, name: 'b' }], [{ ...there, partitions: 1, overrides: {} }]);
  assert.equal(describePlan(plan), 'created b (12 partitions), extended a to 12 partitions, changed the settings of a');
});

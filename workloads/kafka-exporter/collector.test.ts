import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics } from '../shared/kernel/metrics.ts';
import { ClusterGauges, lagOf } from './collector.ts';

const rows: { low: bigint; high: bigint; committed: bigint; want: bigint; reason: string }[] = [
  { low: 0n, high: 10n, committed: 4n, want: 6n, reason: 'end minus committed' },
  { low: 0n, high: 10n, committed: 10n, want: 0n, reason: 'caught up' },
  { low: 7n, high: 10n, committed: 4n, want: 3n, reason: 'records below the log start cannot be consumed any more' },
  { low: 0n, high: 10n, committed: 12n, want: 0n, reason: 'a commit above the end is no negative lag' },
];
for (const { low, high, committed, want, reason } of rows) {
  await test(`lag: ${reason}`, () => assert.equal(lagOf({ partition: 0, low, high }, committed), want));
}

await test('removes the series of deleted topics and groups, and counts a partition without a commit in full', async () => {
  const metrics = new Metrics({});
  const gauges = new ClusterGauges(metrics);
  const extents = [
    { partition: 0, low: 0n, high: 10n },
    { partition: 1, low: 2n, high: 8n },
  ];
  const group = { group: 'g', members: 2, committed: new Map([['t', new Map([[0, 4n]])]]) };
  gauges.set({ brokers: 1, topics: new Map([['t', extents]]), groups: [group] });
  const { body } = await metrics.expose();
  assert.match(body, /kafka_consumergroup_lag\{consumergroup="g",topic="t",partition="0"\} 6/);
  assert.match(body, /kafka_consumergroup_lag\{consumergroup="g",topic="t",partition="1"\} 6/);
  assert.match(body, /kafka_consumergroup_members\{consumergroup="g"\} 2/);
  gauges.set({ brokers: 1, topics: new Map(), groups: [] });
  assert.doesNotMatch((await metrics.expose()).body, /consumergroup="g"/);
});

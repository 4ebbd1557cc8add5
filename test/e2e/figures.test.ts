import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fewestPodSeconds, percentile, podSeconds, rebalancePauses, rebalancesOf, worstDelay, type GroupSample } from './figures.ts';

/** Samples of one partition, one second apart. */
function samplesOf(rows: readonly (readonly [end: number, committed: number, members?: string, stable?: boolean])[]): GroupSample[] {
  return rows.map(([end, committed, members = 'a', stable = true], index) => ({
    at: index * 1000,
    end: [end],
    committed: [committed],
    stable,
    members: members.split(''),
  }));
}

test('the delay of an event counts from the sample before the first that contains it', () => {
  const cases: Record<string, [GroupSample[], number]> = {
    'no samples': [[], 0],
    'never behind': [
      samplesOf([
        [5, 5],
        [9, 9],
      ]),
      0,
    ],
    'seen once': [
      samplesOf([
        [5, 5],
        [9, 5],
        [9, 9],
      ]),
      1,
    ],
    'one waits while others pass': [
      samplesOf([
        [0, 0],
        [4, 0],
        [8, 2],
        [8, 3],
        [8, 8],
      ]),
      3,
    ],
    'the oldest was passed': [
      samplesOf([
        [0, 0],
        [4, 0],
        [8, 4],
        [8, 4],
        [8, 8],
      ]),
      2,
    ],
  };
  for (const [name, [samples, seconds]] of Object.entries(cases)) assert.equal(worstDelay(samples), seconds, name);
});

test('a rebalance is where the group is not stable or has other members', () => {
  assert.deepEqual(
    rebalancesOf(
      samplesOf([
        [1, 1],
        [1, 1],
        [1, 1],
      ]),
    ),
    [],
  );
  assert.deepEqual(
    rebalancesOf(
      samplesOf([
        [1, 1],
        [1, 1, 'a', false],
        [1, 1, 'ab', true],
        [1, 1, 'ab'],
      ]),
    ),
    [{ from: 0, to: 3000 }],
  );
});

test('a pause is the standstill of a partition with work around a rebalance, and no other one', () => {
  const calm = samplesOf([
    [90, 10],
    [90, 10],
    [90, 10],
    [90, 20],
  ]);
  assert.deepEqual(rebalancePauses(calm), []);
  const rebalanced = samplesOf([
    [90, 10],
    [90, 20],
    [90, 20, 'a', false],
    [90, 20, 'ab'],
    [90, 30, 'ab'],
    [90, 40, 'ab'],
    [90, 50, 'ab'],
  ]);
  assert.deepEqual(rebalancePauses(rebalanced), [3], 'the longest that touches it');
  const idle = samplesOf([
    [20, 20],
    [20, 20, 'a', false],
    [20, 20, 'ab'],
    [20, 20, 'ab'],
  ]);
  assert.deepEqual(rebalancePauses(idle), [], 'nothing waits');
});

test('percentiles are values that were seen', () => {
  assert.equal(percentile([], 0.95), 0);
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([3, 1, 2], 0.95), 3);
});

test('pod-seconds are replicas over time, within the bounds asked for', () => {
  const changes = [
    { at: 0, replicas: 1 },
    { at: 10_000, replicas: 4 },
    { at: 20_000, replicas: 1 },
  ];
  assert.equal(podSeconds(changes, 0, 30_000), 60);
  assert.equal(podSeconds(changes, 5000, 15_000), 25);
});

test('the fewest pod-seconds are the work, and one replica where there is none', () => {
  assert.equal(fewestPodSeconds(40_000, 10, 1000, 5), 45);
  assert.equal(fewestPodSeconds(1000, 10, 1000, 5), 15, 'one replica is there all the time');
});

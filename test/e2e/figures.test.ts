import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  commitIntervals,
  fewestPodSeconds,
  keepUpPodSeconds,
  lagIntegral,
  longestGap,
  percentile,
  podSeconds,
  ratePerMember,
  rebalancePauses,
  rebalancesOf,
  surgeAt,
  unavoidableDelay,
  worstDelay,
  type GroupSample,
} from './figures.ts';

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

test('a commit interval is a standstill without a rebalance', () => {
  const samples = samplesOf([
    [90, 10],
    [90, 10],
    [90, 20],
    [90, 30],
    [90, 30, 'a', false],
    [90, 30, 'ab'],
    [90, 40, 'ab'],
    [90, 40, 'ab'],
    [90, 50, 'ab'],
  ]);
  assert.deepEqual(commitIntervals(samples), [2, 1, 2]);
});

test('the rate of a member is the best of all windows, over the most members in it', () => {
  const samples = samplesOf([
    [900, 0],
    [900, 10],
    [900, 20],
    [900, 60, 'ab'],
    [900, 100, 'ab'],
    [900, 100, 'ab'],
  ]);
  assert.equal(ratePerMember(samples, 2), 20, 'two members did 40 a second');
  assert.equal(ratePerMember(samples, 3), 15);
  assert.equal(ratePerMember(samples, 9), 0, 'the samples do not reach');
});

test('a surge begins where more arrives in a second than the rate', () => {
  const samples = samplesOf([
    [0, 0],
    [10, 0],
    [20, 0],
    [60, 0],
    [100, 0],
  ]);
  assert.equal(surgeAt(samples, 10, 0), 2000);
  assert.equal(surgeAt(samples, 5, 0), 0);
  assert.equal(surgeAt(samples, 5, 1500), 2000, 'earlier arrivals do not count');
  assert.equal(surgeAt(samples, 40, 0), undefined);
});

test('the delay that no number of replicas avoids is that of the backlog at their full rate', () => {
  const samples = samplesOf([
    [0, 0],
    [30, 0],
    [60, 0],
    [60, 0],
    [100, 0],
  ]);
  assert.equal(unavoidableDelay(samples, 40), 0);
  assert.equal(unavoidableDelay(samples, 20), 1, '20 events are left after two seconds, none after three, and 20 after four');
  assert.equal(unavoidableDelay([], 0), 0);
});

test('the longest gap is the one that touches the time asked for', () => {
  const samples = [0, 250, 3250, 3500].map((at) => ({ at, end: [], committed: [], stable: true, members: [] }));
  assert.equal(longestGap(samples), 3);
  assert.equal(longestGap(samples, 0, 200), 0.25);
  assert.equal(longestGap(samples, 1000, 2000), 3);
  assert.equal(longestGap([]), 0);
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

test('events that wait count for the time until the next sample', () => {
  const samples = samplesOf([
    [10, 10],
    [110, 10],
    [110, 60],
    [110, 110],
  ]);
  assert.equal(lagIntegral(samples), 100 + 50);
  assert.equal(lagIntegral([]), 0);
});

test('keep-up: the fewest replicas for what arrives in ten seconds, and what the replicas at most leave over is due later', () => {
  /** A sample each second, this many events more in each. */
  const arrivals = (perSecond: readonly number[]): GroupSample[] => {
    let end = 0;
    return samplesOf([[0, 0], ...perSecond.map((count): [number, number] => [(end += count), end])]);
  };
  const tenOf = (count: number): number[] => Array.from({ length: 10 }, () => count);
  const cases: Record<string, [arrivals: number[], most: number, until: number, expected: number]> = {
    'one replica is enough': [tenOf(50), 4, 10, 10],
    'none arrives': [tenOf(0), 4, 10, 10],
    'three are needed': [tenOf(250), 4, 10, 30],
    'three, then one': [[...tenOf(250), ...tenOf(80)], 4, 20, 40],
    'more than the most can do: the rest is due later': [[...tenOf(400), ...tenOf(0)], 2, 20, 20 + 20],
    'the last replica until the end': [tenOf(250), 4, 25, 30 + 15],
  };
  for (const [name, [counts, most, until, expected]] of Object.entries(cases))
    assert.equal(keepUpPodSeconds(arrivals(counts), { rate: 100, most, until: until * 1000 }), expected, name);
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lagOf, markEmpty, stillPartitions, toSample } from './lag.ts';
import type { LagMemory } from './lag.ts';
import type { Observation, PartitionOffsets, Sample } from './types.ts';

type Offsets = [logStart: number | null, end: number | null, committed: number | null];

function observe(at: number, ...offsets: Offsets[]): Observation {
  return {
    at,
    offsets: offsets.map(([logStart, end, committed], partition): PartitionOffsets => ({
      topic: 't',
      partition,
      logStart,
      end,
      committed,
    })),
    group: { state: 'Stable', members: 1 },
    owners: null,
    deployment: { replicas: 1, ready: 1, rollingOut: false },
  };
}

/** Feeds several observations, five seconds apart; the last sample and the memory after it. */
function feed(...observations: Offsets[][]): { sample: Sample; memory: LagMemory | null } {
  let memory: LagMemory | null = null;
  let sample: Sample | undefined;
  for (const [index, offsets] of observations.entries()) ({ memory, sample } = toSample(memory, observe(index * 5000, ...offsets)));
  assert.ok(sample !== undefined);
  return { sample, memory };
}

function lagAfter(...observations: Offsets[][]): number | string {
  const { sample } = feed(...observations);
  return sample.usable ? sample.totalLag : sample.reason;
}

describe('lag', () => {
  const cases: { name: string; given: Offsets[][]; lag: number | string }[] = [
    { name: 'end minus commit', given: [[[0, 100, 60]]], lag: 40 },
    { name: 'from the log start when retention passed the commit', given: [[[80, 100, 60]]], lag: 20 },
    { name: 'from the log start without a commit', given: [[[30, 100, -1]]], lag: 70 },
    { name: 'never below zero', given: [[[100, 100, 100]]], lag: 0 },
    { name: 'whole log when the commit lies beyond the end of a new topic', given: [[[0, 10, 500]]], lag: 10 },
    { name: 'an unreadable end is not zero', given: [[[0, null, 60]]], lag: 'UnreadablePartition' },
    { name: 'an unreadable commit is not zero', given: [[[0, 100, null]]], lag: 'UnreadablePartition' },
    {
      name: 'one unreadable partition of two spoils the sample',
      given: [
        [
          [0, 100, 60],
          [null, 100, 60],
        ],
      ],
      lag: 'UnreadablePartition',
    },
    { name: 'no partitions', given: [[]], lag: 'UnknownTopic' },
    { name: 'an end that went back', given: [[[0, 100, 60]], [[0, 10, 60]]], lag: 'OffsetsJumped' },
    { name: 'a log start that went back', given: [[[50, 100, 60]], [[0, 100, 60]]], lag: 'OffsetsJumped' },
    { name: 'a commit that went back', given: [[[0, 100, 60]], [[0, 100, 20]]], lag: 'OffsetsJumped' },
    {
      name: 'a partition that disappeared',
      given: [
        [
          [0, 1, 1],
          [0, 1, 1],
        ],
        [[0, 1, 1]],
      ],
      lag: 'OffsetsJumped',
    },
    { name: 'after a jump the new offsets count', given: [[[0, 100, 60]], [[0, 10, -1]], [[0, 12, -1]]], lag: 12 },
    {
      name: 'a partition that was added',
      given: [
        [[0, 100, 60]],
        [
          [0, 100, 60],
          [0, 5, -1],
        ],
      ],
      lag: 45,
    },
    { name: 'an unreadable look in between changes nothing', given: [[[0, 100, 60]], [[0, null, 60]], [[0, 110, 60]]], lag: 50 },
  ];
  for (const { name, given, lag } of cases) {
    it(name, () => {
      assert.equal(lagAfter(...given), lag);
    });
  }

  it('counts arrivals and progress since the last readable look', () => {
    const { sample } = feed([[0, 100, 60]], [[0, null, null]], [[0, 150, 90]]);
    assert.ok(sample.usable);
    assert.deepEqual([sample.seconds, sample.arrived, sample.progress], [10, [50], [30]]);
  });

  it('does not take what retention removed for progress', () => {
    const { sample } = feed([[0, 1000, 100]], [[800, 1000, 850]]);
    assert.ok(sample.usable);
    assert.deepEqual(sample.progress, [50]);
  });

  it('suspects a lag that stands still, and drops it once it is proven empty, until something moves', () => {
    const still: Offsets[][] = Array.from({ length: 8 }, () => [[0, 101, 100]]);
    const { memory } = feed(...still);
    assert.ok(memory !== null);
    assert.deepEqual(
      stillPartitions(memory).map(({ name }) => name),
      ['t/0'],
    );
    const proven = markEmpty(memory, new Set(['t/0']));
    const same = toSample(proven, observe(40_000, [0, 101, 100]));
    assert.equal(same.sample.usable && same.sample.totalLag, 0);
    const moved = toSample(same.memory, observe(45_000, [0, 103, 100]));
    assert.equal(moved.sample.usable && moved.sample.totalLag, 3);
  });

  it('does not suspect a lag that moves', () => {
    const moving: Offsets[][] = Array.from({ length: 8 }, (_, index) => [[0, 200, 100 + index]]);
    const { memory } = feed(...moving);
    assert.ok(memory !== null);
    assert.equal(lagOf(memory.partitions[0] ?? assert.fail()), 93);
    assert.deepEqual(stillPartitions(memory), []);
  });
});

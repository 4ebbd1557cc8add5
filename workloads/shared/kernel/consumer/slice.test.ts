import assert from 'node:assert/strict';
import test from 'node:test';
import { consumed } from '../../testing/record.ts';
import type { PartitionBatch } from '../kafka/batch.ts';
import { cut, divide, halve, sizeOf, trim } from './slice.ts';
import type { Slice } from './slice.ts';

function batch(partition: number, start: number, offsets: number[], next = (offsets.at(-1) ?? start) + 1): PartitionBatch {
  const records = offsets.map((offset) => consumed({ offset: BigInt(offset) }));
  return { topic: 't', partition, start: BigInt(start), next: BigInt(next), records };
}

/** "partition:start-next[offsets]" for each range. */
function show(slice: Slice): string[] {
  return slice.map(
    ({ partition, start, next, entries }) => `${partition}:${start}-${next}[${entries.map(({ record }) => record.offset).join(',')}]`,
  );
}

const cuts: Record<string, { batches: PartitionBatch[]; max: number; want: string[][]; reason: string }> = {
  'one batch that fits': { batches: [batch(0, 5, [5, 6, 7])], max: 5, want: [['0:5-8[5,6,7]']], reason: 'nothing to cut' },
  'a batch of exactly the size': { batches: [batch(0, 0, [0, 1])], max: 2, want: [['0:0-2[0,1]']], reason: 'no empty slice follows' },
  'slices fill up across partitions': {
    batches: [batch(0, 0, [0, 1, 2]), batch(1, 9, [9, 10, 11])],
    max: 4,
    want: [['0:0-3[0,1,2]', '1:9-10[9]'], ['1:10-12[10,11]']],
    reason: 'a transaction takes as many records as it may, whatever their partition',
  },
  'a long batch': {
    batches: [batch(3, 0, [0, 1, 2, 3, 4])],
    max: 2,
    want: [['3:0-2[0,1]'], ['3:2-4[2,3]'], ['3:4-5[4]']],
    reason: 'ranges touch: the next of one is the start of the one after',
  },
  'offsets with gaps': {
    batches: [batch(0, 3, [4, 8, 9], 12)],
    max: 2,
    want: [['0:3-9[4,8]'], ['0:9-12[9]']],
    reason: 'where the log was compacted, or holds control records, the positions still cover every offset',
  },
  'a batch without records': { batches: [batch(0, 3, [], 6)], max: 2, want: [['0:3-6[]']], reason: 'the position moves nevertheless' },
};
for (const [name, { batches, max, want, reason }] of Object.entries(cuts)) {
  await test(`cut: ${name}`, () => assert.deepEqual(cut(batches, max).map(show), want, reason));
}

await test('cut covers every offset once, and no slice is too large, for random batches', () => {
  for (let round = 0; round < 300; round++) {
    const batches = Array.from({ length: 1 + (round % 7) }, (_value, partition) => {
      const start = partition * 1000;
      const offsets = Array.from({ length: (round * (partition + 3)) % 23 }, (_entry, index) => start + index * (1 + (round % 2)));
      return batch(partition, start, offsets);
    });
    const max = 1 + (round % 11);
    const slices = cut(batches, max);
    for (const slice of slices) assert.ok(sizeOf(slice) <= max, `round ${round}`);
    for (const { partition, start, next, records } of batches) {
      const ranges = slices.flat().filter((range) => range.partition === partition);
      assert.equal(ranges[0]?.start, start);
      assert.equal(ranges.at(-1)?.next, next);
      for (const [index, range] of ranges.slice(1).entries()) assert.equal(range.start, ranges[index]?.next, `round ${round}`);
      assert.deepEqual(
        ranges.flatMap(({ entries }) => entries.map(({ record }) => record.offset)),
        records.map(({ offset }) => offset),
      );
    }
  }
});

const divisions: Record<string, { batches: PartitionBatch[]; lanes: number; max: number; want: number[][]; reason: string }> = {
  'records of one slice': {
    batches: [batch(0, 0, [0, 1]), batch(1, 0, [0, 1])],
    lanes: 2,
    max: 4,
    want: [[0, 1]],
    reason: 'one transaction costs less than two',
  },
  'more records': {
    batches: [batch(0, 0, [0, 1]), batch(1, 0, [0, 1, 2]), batch(2, 0, [0])],
    lanes: 2,
    max: 4,
    want: [[1], [0, 2]],
    reason: 'lanes have about the same number of records',
  },
  'one lane': { batches: [batch(0, 0, [0, 1]), batch(1, 0, [0])], lanes: 1, max: 1, want: [[0, 1]], reason: 'nothing to divide' },
  'one partition': { batches: [batch(3, 0, [0, 1, 2])], lanes: 2, max: 1, want: [[3]], reason: 'a partition keeps its order' },
  'two batches of a partition': {
    batches: [batch(3, 0, [0, 1]), batch(3, 2, [2]), batch(4, 0, [0])],
    lanes: 2,
    max: 1,
    want: [[3, 3], [4]],
    reason: 'they stay in one lane, in order',
  },
  'no records': { batches: [batch(0, 0, [], 6)], lanes: 2, max: 1, want: [[0]], reason: 'the position moves nevertheless' },
};
for (const [name, { batches, lanes, max, want, reason }] of Object.entries(divisions)) {
  await test(`divide: ${name}`, () =>
    assert.deepEqual(
      divide(batches, lanes, max).map((lane) => lane.map(({ partition }) => partition)),
      want,
      reason,
    ));
}

const halves: Record<string, { batches: PartitionBatch[]; want: [string[], string[]]; reason: string }> = {
  'one range': { batches: [batch(0, 0, [0, 1, 2, 3])], want: [['0:0-2[0,1]'], ['0:2-4[2,3]']], reason: 'in the middle' },
  'an odd number': { batches: [batch(0, 0, [0, 1, 2])], want: [['0:0-1[0]'], ['0:1-3[1,2]']], reason: 'the second half is larger' },
  'two ranges': {
    batches: [batch(0, 0, [0]), batch(1, 0, [0, 1, 2])],
    want: [['0:0-1[0]', '1:0-1[0]'], ['1:1-3[1,2]']],
    reason: 'the cut may lie inside a range',
  },
  'a border between ranges': {
    batches: [batch(0, 0, [0, 1]), batch(1, 5, [5, 6])],
    want: [['0:0-2[0,1]'], ['1:5-7[5,6]']],
    reason: 'or between two',
  },
};
for (const [name, { batches, want, reason }] of Object.entries(halves)) {
  await test(`halve: ${name}`, () => assert.deepEqual(halve(cut(batches, 100)[0] ?? []).map(show), want, reason));
}

await test('halving ends with single entries and loses none', () => {
  const leaves: Slice[] = [];
  const split = (slice: Slice): void => {
    if (sizeOf(slice) <= 1) return void leaves.push(slice);
    for (const half of halve(slice)) {
      assert.ok(sizeOf(half) > 0);
      split(half);
    }
  };
  split(cut([batch(0, 0, [0, 1, 2]), batch(1, 0, []), batch(2, 0, [0, 1, 2, 3, 4, 5, 6])], 100)[0] ?? []);
  assert.equal(leaves.length, 10);
  assert.deepEqual(
    leaves
      .flat()
      .filter(({ partition }) => partition === 1)
      .map(({ next }) => next),
    [1n],
  );
});

const trims: { position: number; want: string[]; reason: string }[] = [
  { position: 5, want: ['0:5-8[5,6,7]'], reason: 'nothing below the position' },
  { position: 6, want: ['0:6-8[6,7]'], reason: 'applied entries are dropped' },
  { position: 8, want: [], reason: 'all of it is applied' },
  { position: 20, want: [], reason: 'and more' },
];
for (const { position, want, reason } of trims) {
  await test(`trim at ${position}`, () => {
    const range = trim({ ...batch(0, 5, [5, 6, 7]), entries: cut([batch(0, 5, [5, 6, 7])], 9)[0]?.[0]?.entries ?? [] }, BigInt(position));
    assert.deepEqual(range ? show([range]) : [], want, reason);
  });
}

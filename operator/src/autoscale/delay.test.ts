import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DelayTracker } from './delay.ts';
import type { LagMemory } from './lag.ts';

function memory(seconds: number, ...partitions: [end: number, position: number][]): LagMemory {
  return {
    at: seconds * 1000,
    partitions: partitions.map(([end, position], partition) => ({
      topic: 't',
      partition,
      name: `t/${partition}`,
      logStart: 0,
      end,
      committed: position,
      position,
      stillSince: 0,
      emptyAbove: false,
    })),
  };
}

/** The delay after the last of several looks. */
function delayAfter(...looks: LagMemory[]): number {
  const tracker = new DelayTracker();
  let delay = 0;
  for (const look of looks) delay = tracker.update(look);
  return delay;
}

describe('delay', () => {
  it('is nothing without lag', () => {
    assert.equal(delayAfter(memory(0, [10, 10]), memory(5, [20, 20])), 0);
  });

  it('is the time since the end passed the position, interpolated between two looks', () => {
    assert.equal(delayAfter(memory(0, [0, 0]), memory(10, [100, 0]), memory(20, [200, 50])), 15);
  });

  it('counts from the first look when the backlog is older', () => {
    assert.equal(delayAfter(memory(0, [500, 100]), memory(30, [500, 200])), 30);
  });

  it('places an arrival after the last look that did not show it', () => {
    assert.equal(delayAfter(memory(0, [10, 10]), memory(5, [10, 10]), memory(60, [10, 10]), memory(65, [20, 10])), 5);
  });

  it('is that of the worst partition', () => {
    assert.equal(delayAfter(memory(0, [0, 0], [0, 0]), memory(10, [10, 10], [10, 0]), memory(30, [20, 20], [20, 0])), 30);
  });

  it('stays right, though coarser, over more looks than it keeps', () => {
    const looks = Array.from({ length: 2000 }, (_, index) => memory(index * 5, [index * 10, 0]));
    assert.equal(delayAfter(...looks), 1999 * 5);
  });

  it('forgets on reset', () => {
    const tracker = new DelayTracker();
    tracker.update(memory(0, [100, 0]));
    tracker.reset();
    assert.equal(tracker.update(memory(50, [10, 0])), 0);
  });
});

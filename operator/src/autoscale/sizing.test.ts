import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { demandOf, evenLayout, hotPartitions, needed, useful, worth } from './sizing.ts';

describe('sizing', () => {
  const counts: [replicas: number, useful: number, worth: number][] = [
    [0, 0, 0],
    [1, 1, 1],
    [3, 3, 3],
    [4, 4, 4],
    [5, 4, 4],
    [6, 6, 6],
    [11, 6, 6],
    [12, 12, 12],
    [40, 12, 12],
  ];
  for (const [replicas, expectedUseful, expectedWorth] of counts) {
    it(`${replicas} replicas on twelve partitions are ${expectedUseful} useful ones and worth ${expectedWorth}`, () => {
      assert.equal(useful(replicas, evenLayout(12)), expectedUseful);
      assert.equal(worth(replicas, evenLayout(12)), expectedWorth);
    });
  }

  it('needs the fewest useful replicas that are worth the load', () => {
    for (let partitions = 1; partitions <= 40; partitions++) {
      const layout = evenLayout(partitions);
      for (let load = 0.25; load <= partitions; load += 0.25) {
        const replicas = needed(load, layout);
        assert.ok(worth(replicas, layout) >= load - 1e-6, `${load} on ${partitions}`);
        assert.ok(worth(replicas - 1, layout) < load, `${load} on ${partitions}: one fewer would do`);
        assert.equal(useful(replicas, layout), replicas);
      }
    }
  });

  it('needs one replica per partition when the load is more than all can carry, and none without load', () => {
    assert.equal(needed(99, evenLayout(12)), 12);
    assert.equal(needed(0, evenLayout(12)), 0);
  });

  it('counts one partition for no more than one replica can do', () => {
    const even = { partitionArrival: [10, 10, 10, 10], lag: [100, 100, 100, 100], rate: 50 };
    assert.equal(demandOf(even, 40, 40), 80);
    const skewed = { partitionArrival: [10, 10, 10, 10], lag: [4000, 0, 0, 0], rate: 50 };
    assert.equal(demandOf(skewed, 40, 400), 80, '30 for the three others and 50 for the one');
  });

  it('calls hot only what stands out and fills a replica', () => {
    assert.deepEqual(hotPartitions([300, 20, 20, 20], 200), [0]);
    assert.deepEqual(hotPartitions([300, 300, 300, 300], 200), [], 'all alike: a matter of more partitions');
    assert.deepEqual(hotPartitions([100, 20, 20, 20], 200), [], 'one replica can do it');
  });
});

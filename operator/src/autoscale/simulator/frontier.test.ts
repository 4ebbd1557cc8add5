import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dominates, frontierOf, lagAt, podsAt } from './frontier.ts';
import { keepUp } from './keep-up.ts';
import { randomLoad } from './random-loads.ts';
import { fixedScaler, run } from './run.ts';
import { CHANGING_TRACES, TRACES } from './traces.ts';

const COSTS = [
  { pods: 100, lag: 1000 },
  { pods: 200, lag: 100 },
  { pods: 150, lag: 2000 },
  { pods: 400, lag: 10 },
  { pods: 500, lag: 10 },
];

describe('frontier', () => {
  it('keeps what no other setting beats in both', () => {
    assert.deepEqual(
      frontierOf(COSTS).map(({ pods }) => pods),
      [100, 200, 400],
    );
  });

  it('is a straight line in logarithms between two settings, and ends at the last one', () => {
    const frontier = frontierOf(COSTS);
    assert.ok(Math.abs(lagAt(frontier, Math.sqrt(100 * 200)) - Math.sqrt(1000 * 100)) < 1e-6);
    assert.ok(Math.abs(podsAt(frontier, Math.sqrt(100 * 10)) - Math.sqrt(200 * 400)) < 1e-6);
    assert.equal(Math.round(lagAt(frontier, 50)), 1000);
    assert.equal(Math.round(lagAt(frontier, 900)), 10);
    assert.equal(Math.round(podsAt(frontier, 1)), 400);
  });

  it('has one cost dominate another only when it is better in one and worse in none', () => {
    assert.equal(dominates({ pods: 1, lag: 1 }, { pods: 1, lag: 1 }), false);
    assert.equal(dominates({ pods: 1, lag: 1 }, { pods: 1, lag: 2 }), true);
    assert.equal(dominates({ pods: 2, lag: 1 }, { pods: 1, lag: 2 }), false);
  });
});

describe('keep-up', () => {
  it('is what arrives, shared out over useful replicas', () => {
    const steady = TRACES.find(({ name }) => name === 'steady') ?? assert.fail();
    assert.ok(Math.abs(keepUp(steady) - 4 * 3600) <= 12);
    const step = TRACES.find(({ name }) => name === 'step') ?? assert.fail();
    assert.ok(Math.abs(keepUp(step) - (600 + 600 * 6)) <= 12);
  });

  it('follows a release, and drains what capacity could not carry', () => {
    const slower = CHANGING_TRACES.find(({ name }) => name === 'slower release') ?? assert.fail();
    assert.ok(Math.abs(keepUp(slower) - (400 * 6 + 1400 * 12)) <= 24);
    const spike = TRACES.find(({ name }) => name === 'spike') ?? assert.fail();
    assert.ok(keepUp(spike) > 1200 + 2 * 20 * 11);
  });
});

describe('random loads', () => {
  it('are the same for the same seed, and can be carried by all replicas', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { trace, group } = randomLoad(seed);
      assert.equal(trace.arrivals(100), randomLoad(seed).trace.arrivals(100));
      const { worstDelay } = run(trace, fixedScaler(trace.maxReplicas), seed, { group, drain: true });
      const rollout = trace.rolloutAt === undefined ? 0 : (group.startup[1] + 6) * trace.maxReplicas;
      assert.ok(worstDelay <= trace.maxDelay + rollout, `seed ${seed}: ${worstDelay} s, ${trace.about}`);
    }
  });
});

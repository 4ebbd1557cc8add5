import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { estimate, initialEstimate, median } from './estimator.ts';
import type { Estimate } from './estimator.ts';
import { sampleOf } from './testing.ts';
import type { SampleOptions } from './testing.ts';

/** Feeds samples five seconds apart. */
function feed(samples: SampleOptions[], from: Estimate = initialEstimate(null)): Estimate {
  return samples.reduce((before, options, index) => estimate(before, sampleOf({ ...options, at: from.at + (index + 1) * 5000 })), from);
}

function times(count: number, options: SampleOptions): SampleOptions[] {
  return Array.from({ length: count }, () => options);
}

const rateOf = ({ learned }: Estimate) => (learned === null ? null : Math.round(learned.ratePerReplica * 1000) / 1000);

describe('estimator', () => {
  it('follows a step within two samples', () => {
    const before = feed(times(20, { arrived: 500 }));
    assert.equal(Math.round(before.arrival), 100);
    assert.equal(Math.round(feed(times(2, { arrived: 8000 }), before).arrival), 1600);
    assert.equal(Math.round(feed(times(2, { arrived: 0 }), before).arrival), 0);
  });

  it('smooths a single odd sample', () => {
    const odd = feed([{ arrived: 1000 }], feed(times(20, { arrived: 500 })));
    assert.ok(odd.arrival > 100 && odd.arrival < 130, `${odd.arrival}`);
  });

  it('sees a steady slope and does not limp behind it', () => {
    const ramp = feed(Array.from({ length: 12 }, (_, index) => ({ arrived: 500 + index * 50 })));
    assert.ok(Math.abs(ramp.slope - 2) < 0.01, `${ramp.slope}`);
    assert.ok(Math.abs(ramp.arrival - 210) < 1, `${ramp.arrival}`);
  });

  it('sees no slope in noise', () => {
    const noise = [3, -5, 4, -2, 6, -4, 1, -3, 5, -6, 2, -1].map((one) => ({ arrived: 500 + one * 20 }));
    assert.equal(feed(noise).slope, 0);
  });

  it('measures the noise of the arrivals', () => {
    const looks = Array.from({ length: 40 }, (_, index) => ({ arrived: index % 2 === 0 ? 450 : 550 }));
    const { scatter } = feed(looks);
    assert.ok(scatter > 0.08 && scatter < 0.15, `${scatter}`);
    assert.ok(feed(times(40, { arrived: 500 })).scatter < 0.01);
  });

  it('takes no backlog that is being worked off for the usual lag', () => {
    const known = initialEstimate({ ratePerReplica: 200, startupSeconds: 5, observations: 50 });
    const usual = (progress: number) => feed(times(5, { arrived: 500, progress, lag: 6000, replicas: 4 }), known).usualSeconds;
    assert.equal(usual(1000), 0);
    assert.equal(Math.round(usual(500)), 60);
  });

  it('learns no rate where something shared is the limit', () => {
    const known = initialEstimate({ ratePerReplica: 200, startupSeconds: 5, observations: 2 });
    const busy = { arrived: 5000, progress: 500, lag: 20_000 };
    const first = estimate(known, sampleOf({ ...busy, at: 5000 }));
    assert.equal(rateOf(estimate(first, sampleOf({ ...busy, at: 10_000 }), true)), 200);
    assert.ok((rateOf(estimate(first, sampleOf({ ...busy, at: 10_000 }))) ?? 0) < 200);
  });

  it('learns the rate of one replica only while there is work for it', () => {
    assert.equal(rateOf(feed(times(5, { arrived: 500, progress: 500, lag: 10 }))), null);
    assert.equal(rateOf(feed(times(5, { arrived: 5000, progress: 1000, lag: 20_000 }))), 200);
  });

  it('learns from the busy members when others are idle', () => {
    const sample = sampleOf({ replicas: 2, partitions: 2 });
    const busy = { ...sample, lag: [9000, 0], totalLag: 9000, arrived: [1500, 100], progress: [1000, 100] };
    const first = estimate(initialEstimate(null), { ...busy, at: 5000, seconds: 0 });
    const second = estimate(first, { ...busy, at: 10_000 });
    assert.equal(rateOf(estimate(second, { ...busy, at: 15_000 })), 200);
  });

  it('does not learn while the group rebalances, rolls out or was away', () => {
    const busy = { arrived: 5000, progress: 300, lag: 20_000 };
    assert.equal(rateOf(feed(times(4, { ...busy, group: { state: 'PreparingRebalance' } }))), null);
    assert.equal(rateOf(feed(times(4, { ...busy, deployment: { rollingOut: true } }))), null);
    assert.equal(rateOf(feed(times(4, { ...busy, seconds: 120 }))), null);
  });

  it('is not moved far by one odd interval', () => {
    const learnt = feed(times(8, { arrived: 5000, progress: 1000, lag: 20_000 }));
    const odd = feed([{ arrived: 5000, progress: 100, lag: 25_000 }], learnt);
    assert.equal(rateOf(odd), 200);
  });

  it('follows a rate that has truly changed', () => {
    const learnt = feed(times(8, { arrived: 5000, progress: 1000, lag: 20_000 }));
    const slower = rateOf(feed(times(12, { arrived: 5000, progress: 500, lag: 40_000 }), learnt)) ?? 0;
    assert.ok(slower < 115, `${slower}`);
  });

  it('raises a learnt rate that unsaturated replicas exceed', () => {
    const low = initialEstimate({ ratePerReplica: 50, startupSeconds: 5, observations: 10 });
    assert.equal(rateOf(feed(times(4, { arrived: 500, progress: 500, lag: 0 }), low)), 100);
  });

  it('takes a lag that idle replicas always show for usual', () => {
    const known = initialEstimate({ ratePerReplica: 200, startupSeconds: 5, observations: 10 });
    const lazy = feed(times(6, { arrived: 500, progress: 500, lag: 400 }), known);
    assert.equal(Math.round(lazy.usualSeconds), 4);
  });

  it('has a median', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
  });
});

/** Properties of every decision, over random policies and loads. The seed of a failing run is in its message and reruns it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from '../decide.ts';
import { validatePolicy, withDefaults } from '../policy.ts';
import type { ScalePolicy } from '../policy.ts';
import { initialState } from '../state.ts';
import { sampleOf } from '../testing.ts';
import type { Decision, Sample } from '../types.ts';
import { ourScaler } from './ours.ts';
import { randomFrom } from './random.ts';
import type { Random } from './random.ts';
import { run } from './run.ts';
import type { Trace } from './traces.ts';

const RUNS = 60;

function between(random: Random, least: number, most: number): number {
  return least + random.uniform() * (most - least);
}

function whole(random: Random, least: number, most: number): number {
  return Math.floor(between(random, least, most + 1));
}

function randomTrace(random: Random): Trace {
  const maxReplicas = whole(random, 1, 20);
  const levels = Array.from({ length: 10 }, () => between(random, 0, 3000));
  const outage = whole(random, 0, 500);
  return {
    name: 'random',
    about: '',
    seconds: 600,
    partitions: whole(random, 1, 30),
    ratePerReplica: between(random, 50, 400),
    minReplicas: random.uniform() < 0.3 ? 0 : whole(random, 1, maxReplicas),
    maxReplicas,
    maxDelay: between(random, 5, 120),
    arrivals: (t) => (levels[Math.floor(t / 60) % 10] ?? 0) * (random.uniform() < 0.01 ? 0 : 1),
    noise: between(random, 0, 0.5),
    brokerDown: (t) => t >= outage && t < outage + 60,
    rolloutAt: whole(random, 0, 600),
    sharedLimit: (t) => (t > 300 ? 1500 : 10_000),
  };
}

describe('invariants of random runs', () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    it(`seed ${seed}`, () => {
      const random = randomFrom(seed);
      const trace = randomTrace(random);
      const policy: Partial<ScalePolicy> = { scaleDownWindowSeconds: between(random, 5, 120), idleSeconds: between(random, 5, 60) };
      let lastUnusable = -Infinity;
      const watch = (sample: Sample, decision: Decision) => {
        const from = sample.deployment?.replicas ?? 0;
        const say = `seed ${seed}, second ${sample.at / 1000}: ${decision.message}`;
        if (!sample.usable) {
          lastUnusable = sample.at;
          assert.equal(decision.replicas, from, `scaled on an unusable sample: ${say}`);
          return;
        }
        assert.ok(Number.isInteger(decision.replicas), say);
        assert.ok(decision.replicas >= trace.minReplicas && decision.replicas <= trace.maxReplicas, `out of bounds: ${say}`);
        assert.ok(decision.replicas >= Math.min(from, 1) || sample.totalLag === 0, `stopped with a lag: ${say}`);
        const { rollingOut, replicas, ready } = sample.deployment;
        if (decision.replicas < from) {
          assert.ok(!rollingOut && ready >= replicas, `down in a rollout: ${say}`);
          assert.ok(sample.at - lastUnusable >= (policy.scaleDownWindowSeconds ?? 0) * 1000, `down before the window is whole: ${say}`);
        }
        assert.ok(decision.message.length > 0 && !decision.message.includes('NaN') && !decision.message.includes('undefined'), say);
      };
      run(trace, ourScaler(trace, seed, { policy, watch }), seed);
    });
  }
});

describe('monotony', () => {
  it('never wants fewer replicas for more lag or more arrivals', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomFrom(seed);
      const policy = withDefaults({ maxReplicas: 40 });
      assert.deepEqual(validatePolicy(policy), []);
      const learned = { ratePerReplica: between(random, 50, 400), startupSeconds: 5, observations: 50 };
      const base = { partitions: whole(random, 1, 40), replicas: whole(random, 1, 5), progress: 1000 };
      const start = decide(initialState(learned), sampleOf({ ...base, at: 5000, arrived: 1000 }), policy).state;
      let before = 0;
      for (let lag = 0; lag < 50_000; lag += 2500) {
        const { decision } = decide(start, sampleOf({ ...base, at: 10_000, arrived: 1000 + lag, lag }), policy);
        assert.ok(decision.replicas >= before, `seed ${seed}, lag ${lag}: ${decision.replicas} after ${before}`);
        before = decision.replicas;
      }
    }
  });
});

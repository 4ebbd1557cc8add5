/** Worlds that change, and consumers that are not the usual ones: each of these loads once led an earlier version of the policy astray. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Decision, Sample } from '../types.ts';
import { ourScaler } from './ours.ts';
import { run, type Scaler } from './run.ts';
import { CHANGING_TRACES, type Trace } from './traces.ts';

const SEEDS = [1, 2, 3, 4, 5];

/** By their own rate two replicas would suffice; whatever their number, they do less than one could. */
const LIMITED: Trace = {
  name: 'limited',
  about: '',
  seconds: 120,
  partitions: 12,
  ratePerReplica: 1000,
  minReplicas: 1,
  maxReplicas: 4,
  maxDelay: 15,
  noise: 0.1,
  arrivals: () => 0,
  sharedLimit: () => 700,
};
const CHANGED_AT = 19;

interface Expectation {
  trace: string;
  reason: string;
  /** Longest wait of an event, seconds. */
  worstDelay: number;
  podSeconds: number;
  /** Learnt rate of one replica at the end, messages per second; null: none may be needed. */
  rate: readonly [least: number, most: number] | null;
}

const EXPECTED: readonly Expectation[] = [
  { trace: 'slower release', reason: 'slower pods are no shared limit', worstDelay: 25, podSeconds: 20_000, rate: [95, 105] },
  { trace: 'much slower release', reason: 'nor when twelve of them only just suffice', worstDelay: 25, podSeconds: 20_000, rate: [57, 63] },
  { trace: 'faster release', reason: 'fewer pods are tried after a release', worstDelay: 20, podSeconds: 15_000, rate: [180, 210] },
  {
    trace: 'commits every 10 s',
    reason: 'a rate is counted over whole commit intervals',
    worstDelay: 40,
    podSeconds: 16_000,
    rate: [170, 230],
  },
  {
    trace: 'commits every 20 s',
    reason: 'a rate is counted over whole commit intervals',
    worstDelay: 40,
    podSeconds: 16_000,
    rate: [170, 230],
  },
  {
    trace: 'commits every 30 s',
    reason: 'a rate is counted over whole commit intervals',
    worstDelay: 40,
    podSeconds: 16_000,
    rate: [170, 230],
  },
  { trace: 'two members a pod', reason: 'the unit is the pod', worstDelay: 12, podSeconds: 3400, rate: [190, 210] },
  { trace: 'three members a pod', reason: 'the unit is the pod', worstDelay: 12, podSeconds: 4600, rate: [190, 210] },
  { trace: 'takeover', reason: 'no pod is taken away before the rate is known', worstDelay: 2, podSeconds: 10_900, rate: null },
  { trace: 'range assignor', reason: 'each topic is dealt out by itself', worstDelay: 12, podSeconds: 8800, rate: [190, 210] },
  { trace: 'noisy sawtooth', reason: 'noise on a ramp is no reason to go down', worstDelay: 10, podSeconds: 15_000, rate: [190, 210] },
];

describe('changing worlds', () => {
  for (const { trace: name, reason, worstDelay, podSeconds, rate } of EXPECTED) {
    it(`${name}: ${reason}`, () => {
      const trace = CHANGING_TRACES.find((one) => one.name === name) ?? assert.fail(`no trace ${name}`);
      for (const seed of SEEDS) {
        let last: Decision | undefined;
        const watch = (_sample: Sample, decision: Decision) => {
          last = decision;
        };
        const result = run(trace, ourScaler(trace, seed, { watch }), seed, { drain: true });
        const figures = `seed ${seed}: ${result.worstDelay} s, ${Math.round(result.podSeconds)} pod-seconds`;
        assert.ok(result.worstDelay <= worstDelay, figures);
        assert.ok(result.podSeconds <= podSeconds, figures);
        const learnt = last?.inputs.ratePerReplica ?? null;
        if (rate !== null) assert.ok(learnt !== null && learnt >= rate[0] && learnt <= rate[1], `seed ${seed}: learnt ${learnt}`);
      }
    });
  }

  it('never calls slower pods a shared limit', () => {
    for (const name of ['slower release', 'much slower release']) {
      const trace = CHANGING_TRACES.find((one) => one.name === name) ?? assert.fail();
      for (const seed of SEEDS) {
        const watch = (_sample: Sample, decision: Decision) => {
          assert.notEqual(decision.reason, 'Ineffective', `${name}, seed ${seed}: ${decision.message}`);
        };
        run(trace, ourScaler(trace, seed, { watch }), seed);
      }
    }
  });

  it('finds a shared limit although somebody has just changed the number of replicas', () => {
    const trace = { ...LIMITED, arrivals: (t: number) => (t > CHANGED_AT ? 1500 : 0) };
    const learned = { ratePerReplica: trace.ratePerReplica, startupSeconds: 3, observations: 20, version: '0' };
    for (const seed of SEEDS) {
      let found = 0;
      const watch = (_sample: Sample, { reason }: Decision) => {
        if (reason === 'Ineffective') found += 1;
      };
      const scaler = ourScaler(trace, seed, { learned, watch });
      const changing: Scaler = {
        step(group) {
          if (group.time === CHANGED_AT) group.scale(2);
          scaler.step(group);
        },
      };
      run(trace, changing, seed);
      assert.ok(found > 0, `seed ${seed}`);
    }
  });

  it('keeps every pod of a takeover', () => {
    const trace = CHANGING_TRACES.find(({ name }) => name === 'takeover') ?? assert.fail();
    for (const seed of SEEDS) assert.equal(run(trace, ourScaler(trace, seed), seed).scaleActions, 0, `seed ${seed}`);
  });
});

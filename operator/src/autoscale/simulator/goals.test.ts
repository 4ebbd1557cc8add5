import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Decision, LearnedRate, Sample } from '../types.ts';
import { kedaScaler } from './keda.ts';
import { ourScaler } from './ours.ts';
import { fixedScaler, run } from './run.ts';
import type { Result } from './run.ts';
import { TRACES } from './traces.ts';
import type { Trace } from './traces.ts';

const KNOWN: LearnedRate = { ratePerReplica: 200, startupSeconds: 5, observations: 50 };
const SEEDS = [1, 2, 3, 4, 5];

function traceNamed(name: string): Trace {
  return TRACES.find((trace) => trace.name === name) ?? assert.fail(`no trace ${name}`);
}

/** One run of ours, with all that was decided. */
function decisionsOf(trace: Trace, seed: number): { result: Result; steps: { second: number; sample: Sample; decision: Decision }[] } {
  const steps: { second: number; sample: Sample; decision: Decision }[] = [];
  const watch = (sample: Sample, decision: Decision) => steps.push({ second: sample.at / 1000, sample, decision });
  return { result: run(trace, ourScaler(trace, seed, { learned: KNOWN, watch }), seed), steps };
}

describe('goals in the simulator', () => {
  for (const seed of SEEDS) {
    it(`asks for replicas within 6 s of a jump (seed ${seed})`, () => {
      const { result } = decisionsOf(traceNamed('step'), seed);
      assert.ok(result.firstScaleUp !== null && result.firstScaleUp - 120 < 6, `${result.firstScaleUp}`);
    });

    it(`acts at most once in an hour of steady load with 20 % noise (seed ${seed})`, () => {
      const { steps } = decisionsOf(traceNamed('steady'), seed);
      // The first minute is the beginning from one replica.
      const actions = steps.filter(({ second, sample, decision }) => second > 60 && decision.replicas !== sample.deployment?.replicas);
      assert.ok(actions.length <= 1, JSON.stringify(actions.map(({ decision }) => decision.message)));
    });

    it(`never lets an event wait longer than maxDelay + 20 s when the replicas suffice (seed ${seed})`, () => {
      for (const name of ['step', 'ramp', 'sawtooth', 'steady', 'deployment', 'never committed', '100 partitions', '1000 partitions']) {
        const { result } = decisionsOf(traceNamed(name), seed);
        assert.ok(result.worstDelay <= 50, `${name}: ${result.worstDelay} s`);
      }
    });

    it(`holds through an outage of the brokers and works within 15 s of their return (seed ${seed})`, () => {
      const { steps } = decisionsOf(traceNamed('broker outage'), seed);
      const during = steps.filter(({ second }) => second >= 300 && second < 420);
      assert.ok(during.length > 10);
      for (const { sample, decision } of during) {
        assert.equal(decision.reason, 'LagUnknown');
        assert.equal(decision.replicas, sample.deployment?.replicas);
      }
      assert.ok(steps.some(({ second, sample }) => second >= 420 && second < 435 && sample.usable));
    });
  }

  it('names a hot partition and a shared limit', () => {
    const reasons = (name: string) => new Set(decisionsOf(traceNamed(name), 1).steps.map(({ decision }) => decision.reason));
    assert.ok(reasons('hot partition').has('HotPartition'));
    assert.ok(reasons('slow database').has('Ineffective'));
    assert.ok(reasons('retention loss').has('NoProgress'));
  });
});

describe('simulator', () => {
  it('gives the same figures for the same seed', () => {
    const trace = traceNamed('deployment');
    assert.deepEqual(run(trace, ourScaler(trace, 3), 7), run(trace, ourScaler(trace, 3), 7));
  });

  it('loses no message: what arrived was processed, is waiting or was taken by retention', () => {
    for (const trace of TRACES.filter(({ seconds, partitions }) => seconds * partitions < 100_000)) {
      let arrived = trace.backlog ?? 0;
      let lag = 0;
      const watch = (point: { arrivals: number; lag: number }) => {
        arrived += point.arrivals;
        ({ lag } = point);
      };
      const { processed, lost } = run(trace, kedaScaler({ threshold: 100, window: 60, reset: 'earliest' }, trace, 3), 1, { watch });
      assert.ok(Math.abs(arrived - processed - lost - lag) < 1, `${trace.name}: ${arrived - processed - lost - lag}`);
    }
  });

  it('needs no scaling where the load is fixed and enough replicas are', () => {
    const steady = traceNamed('steady');
    const result = run(steady, fixedScaler(6), 1);
    assert.equal(result.worstDelay <= 6, true);
    assert.ok(Math.abs(result.podSeconds - 6 * steady.seconds) < 10);
  });
});

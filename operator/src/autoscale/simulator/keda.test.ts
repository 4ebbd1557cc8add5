import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kedaScaler } from './keda.ts';
import type { KedaSettings } from './keda.ts';
import { run } from './run.ts';
import { MEASURED_STEP } from './traces.ts';
import type { Trace } from './traces.ts';

const TRACE: Trace = { ...MEASURED_STEP, seconds: 600 };

/** The replicas after each change. */
function steps(settings: KedaSettings, changes: Partial<Trace> = {}): { time: number; replicas: number }[] {
  const trace = { ...TRACE, ...changes };
  const seen: { time: number; replicas: number }[] = [];
  run(trace, kedaScaler(settings, trace, 0), 1, {
    watch: ({ time, replicas }) => {
      if (replicas !== (seen.at(-1)?.replicas ?? trace.minReplicas)) seen.push({ time, replicas });
    },
  });
  return seen;
}

const counts = (list: { replicas: number }[]) => list.map(({ replicas }) => replicas);

describe('KEDA as documented', () => {
  it('goes 1, 4, 8, 12 without a behavior, one step each 15 s', () => {
    const up = steps({ threshold: 100, window: 300 }).slice(0, 3);
    assert.deepEqual(counts(up), [4, 8, 12]);
    assert.deepEqual(
      up.slice(1).map(({ time }, index) => time - (up[index]?.time ?? 0)),
      [15, 15],
    );
  });

  it('goes 1, 5, 10, 12 with a behavior', () => {
    assert.deepEqual(counts(steps({ threshold: 100, window: 60 }).slice(0, 3)), [5, 10, 12]);
  });

  it('goes down no sooner than the window after the last larger number', () => {
    const list = steps({ threshold: 2000, window: 60 });
    const full = list.find(({ replicas }) => replicas === 12)?.time ?? assert.fail();
    const down = list.find(({ time, replicas }) => time > full && replicas < 12)?.time ?? assert.fail();
    assert.ok(down - full >= 60);
  });

  it('goes no further than there are partitions', () => {
    assert.equal(Math.max(...counts(steps({ threshold: 1, window: 60 }, { partitions: 6 }))), 6);
  });

  it('stops a group 300 s after its last lag and starts it at the next poll', () => {
    const list = steps({ threshold: 100, window: 60 }, { minReplicas: 0, arrivals: (t) => (t < 20 || t > 500 ? 100 : 0) });
    assert.equal(list[0]?.time, 30, 'started at the first poll');
    const stopped = list.find(({ replicas }) => replicas === 0)?.time ?? assert.fail();
    assert.ok(stopped >= 300 && stopped <= 360, `${stopped}`);
    const woken = list.find(({ time, replicas }) => time > stopped && replicas > 0)?.time ?? assert.fail();
    assert.ok(woken - 500 <= 31, `${woken}`);
  });

  it('counts a log from offset 0 for a group without commits', () => {
    const changes = { neverCommitted: true, logStart: 500_000, backlog: 100, arrivals: () => 1, minReplicas: 0 };
    assert.ok(Math.max(...counts(steps({ threshold: 1000, window: 0, reset: 'earliest' }, changes))) > 1, 'the whole log counts as lag');
    assert.equal(Math.max(...counts(steps({ threshold: 1000, window: 0, reset: 'latest' }, changes))), 1);
  });
});

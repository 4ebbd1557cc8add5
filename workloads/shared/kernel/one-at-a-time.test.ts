import assert from 'node:assert/strict';
import test from 'node:test';
import { oneAtATime } from './one-at-a-time.ts';

await test('callers during a run share the next run, and at most one run is active', async () => {
  let active = 0;
  let runs = 0;
  const finish: (() => void)[] = [];
  const limited = oneAtATime(async () => {
    assert.equal((active += 1), 1);
    const run = (runs += 1);
    await new Promise<void>((resolve) => finish.push(resolve));
    active -= 1;
    return run;
  });
  const first = limited();
  const waiting = [limited(), limited(), limited()];
  assert.equal(runs, 1);
  finish[0]?.();
  assert.equal(await first, 1);
  while (finish.length < 2) await new Promise(setImmediate);
  finish[1]?.();
  assert.deepEqual(await Promise.all(waiting), [2, 2, 2]);
});

await test('a run that fails does not block the next one', async () => {
  let fail = true;
  const limited = oneAtATime(() => (fail ? Promise.reject(new Error('broken')) : Promise.resolve('done')));
  await assert.rejects(limited(), /broken/);
  fail = false;
  assert.equal(await limited(), 'done');
});

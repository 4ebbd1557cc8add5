import assert from 'node:assert/strict';
import test from 'node:test';
import { untilHeld } from './attempts.ts';

await test('what can pass is tried again, what cannot is thrown', async () => {
  let tries = 0;
  const flaky = async (): Promise<string> => {
    tries += 1;
    if (tries === 1) throw new Error('passing');
    return 'done';
  };
  assert.equal(
    await untilHeld(
      { held: true },
      flaky,
      () => true,
      () => undefined,
    ),
    'done',
  );
  assert.equal(tries, 2);
  await assert.rejects(
    untilHeld(
      { held: true },
      () => Promise.reject(new Error('for good')),
      () => false,
      () => undefined,
    ),
    /for good/,
  );
});

await test('nothing is tried once the lease has ended, nor again when it ends meanwhile', async () => {
  assert.equal(
    await untilHeld(
      { held: false },
      () => Promise.resolve(1),
      () => true,
      () => undefined,
    ),
    undefined,
  );
  const lease = { held: true };
  const losing = (): Promise<never> => {
    lease.held = false;
    return Promise.reject(new Error('away'));
  };
  assert.equal(
    await untilHeld(
      lease,
      losing,
      () => true,
      () => undefined,
    ),
    undefined,
  );
});

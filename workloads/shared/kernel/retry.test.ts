import assert from 'node:assert/strict';
import test from 'node:test';
import { createLogger } from './log.ts';
import { retryPolicy, whileHeld } from './retry.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
const options = { log, what: 'work', retryable: (error: unknown) => error instanceof Error && error.message === 'passing' };

await test('retries a retryable error, throws others at once', async () => {
  let attempts = 0;
  const flaky = async (): Promise<string> => {
    attempts += 1;
    if (attempts < 3) throw new Error('passing');
    return 'done';
  };
  assert.equal(await retryPolicy({ ...options, maxDelayMs: 5 }).execute(flaky), 'done');
  assert.equal(attempts, 3);
  await assert.rejects(
    retryPolicy(options).execute(() => Promise.reject(new Error('for good'))),
    /for good/,
  );
});

await test('throws the last error after the given number of retries', async () => {
  let attempts = 0;
  const failing = (): Promise<never> => {
    attempts += 1;
    return Promise.reject(new Error('passing'));
  };
  await assert.rejects(retryPolicy({ ...options, attempts: 2, maxDelayMs: 5 }).execute(failing), /passing/);
  assert.equal(attempts, 3);
});

await test('attempts nothing once the lease has ended, and does not retry when it ends meanwhile', async () => {
  let attempts = 0;
  assert.equal(await whileHeld({ held: false }, options, () => Promise.resolve((attempts += 1))), undefined);
  assert.equal(attempts, 0);
  const lease = { held: true };
  const losing = (): Promise<never> => {
    attempts += 1;
    lease.held = false;
    return Promise.reject(new Error('passing'));
  };
  assert.equal(await whileHeld(lease, options, losing), undefined);
  assert.equal(attempts, 1);
});

await test('an error that is not retryable is thrown, even after the lease has ended', async () => {
  const lease = { held: true };
  const defect = (): Promise<never> => {
    lease.held = false;
    return Promise.reject(new Error('for good'));
  };
  await assert.rejects(whileHeld(lease, options, defect), /for good/);
});

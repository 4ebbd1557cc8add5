import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { settleAll } from './settle-all.ts';

void test('returns the results in order', async () => {
  assert.deepEqual(await settleAll([Promise.resolve(1), Promise.resolve(2)]), [1, 2]);
});

void test('rejects with the first error, but only after every promise has settled', async () => {
  const slow = Promise.withResolvers<void>();
  let over = false;
  const all = settleAll([Promise.reject(new Error('first')), slow.promise, Promise.reject(new Error('second'))]);
  const outcome = all.catch((error: Error) => error.message).finally(() => (over = true));
  await new Promise(setImmediate);
  assert.equal(over, false, 'one request is still in flight');
  slow.resolve();
  assert.equal(await outcome, 'first');
});

// The alerts are read between passes, by requests that change nothing and never reject.
void test('no step of a pass waits for several requests in another way', () => {
  const files = globSync('**/*.ts', { cwd: import.meta.dirname, exclude: ['**/*.test.ts', 'testing/**', 'watch/**', 'alerts/**'] });
  assert.ok(files.includes('apply/walk.ts'), files.join(', '));
  const others = files.filter((file) => /\bPromise\.(all|any|race)\(/.test(readFileSync(new URL(file, import.meta.url), 'utf8')));
  assert.deepEqual(others, []);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { remainingMs, withDeadline, withOwnDeadline } from './deadline.ts';

await test('a nested deadline can only be earlier', () => {
  assert.equal(remainingMs(), Infinity);
  withDeadline(1_000, () => {
    withDeadline(5_000, () => assert.ok(remainingMs() <= 1_000));
    withDeadline(100, () => assert.ok(remainingMs() <= 100));
    assert.ok(remainingMs() > 900);
  });
});

await test('work that callers share has a deadline of its own', () => {
  withDeadline(1, () => withOwnDeadline(5_000, () => assert.ok(remainingMs() > 4_000)));
});

await test('the remaining time shrinks across awaits and stops at 0', async () => {
  await withDeadline(20, async () => {
    assert.ok(remainingMs() > 0);
    await delay(30);
    assert.equal(remainingMs(), 0);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../runtime/testing/fake-clock.ts';
import { BURST, DriftGuard, REFILL_MS } from './drift-guard.ts';

void test('allows a burst of corrections, then one per interval', async () => {
  const clock = new FakeClock();
  const guard = new DriftGuard(clock);
  for (let made = 0; made < BURST; made += 1) {
    assert.ok(guard.mayCorrect('Service/a'), `correction ${made}`);
    guard.corrected('Service/a');
  }
  assert.ok(!guard.mayCorrect('Service/a'));
  assert.ok(guard.mayCorrect('Service/b'), 'other objects are not concerned');
  await clock.advance(REFILL_MS);
  assert.ok(guard.mayCorrect('Service/a'));
  guard.corrected('Service/a');
  assert.ok(!guard.mayCorrect('Service/a'));
  await clock.advance(REFILL_MS * BURST * 2);
  for (let made = 0; made < BURST; made += 1) guard.corrected('Service/a');
  assert.ok(!guard.mayCorrect('Service/a'), 'a long rest fills it to the burst and no more');
});

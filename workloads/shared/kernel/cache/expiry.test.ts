import assert from 'node:assert/strict';
import { test } from 'node:test';
import { earlyProbability, isDueEarly, timeToLive } from './expiry.ts';

await test('the time to live is the base within a tenth, and twice as long for a hot key', () => {
  assert.deepEqual([timeToLive(1000, false, 0), timeToLive(1000, false, 0.5), timeToLive(1000, false, 1)], [900, 1000, 1100]);
  assert.equal(timeToLive(1000, true, 0.5), 2000);
});

await test('an entry is due early the more likely, the longer its load takes and the nearer its expiry is', () => {
  const entry = { loadedAt: 0, expiresAt: 1000, loadMs: 100 };
  // At 900 ms, 100 ms before the expiry, XFetch reloads with probability e^-1.
  assert.ok(isDueEarly(entry, 900, Math.exp(-1)));
  assert.ok(!isDueEarly(entry, 900, Math.exp(-0.99)));
  assert.ok(!isDueEarly({ ...entry, loadMs: 10 }, 900, Math.exp(-1)), 'a quick load waits longer');
  assert.ok(isDueEarly(entry, 1000, 1), 'at the expiry it always is');
});

await test('the periodic check expires by the base probability, rising with staleness, and half as often for a hot key', () => {
  const entry = { loadedAt: 0, expiresAt: 1000, loadMs: 1 };
  assert.equal(earlyProbability(entry, 1000, false, 0.1), 0.1);
  assert.equal(earlyProbability(entry, 500, false, 0.1), 0.05);
  assert.equal(earlyProbability(entry, 500, true, 0.1), 0.025);
  assert.equal(earlyProbability(entry, 0, false, 0.1), 0);
  assert.equal(earlyProbability(entry, 5000, false, 0.1), 0.1, 'no more than the base');
});

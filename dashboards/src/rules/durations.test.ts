import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BURN_RATES, duration, SLO_WINDOWS, timing } from './durations.ts';

await test('a duration is written in the largest unit that divides it', () => {
  const written = [1, 59.6, 90, 300, 3600, 5400, 86_400, 259_200].map(duration);
  assert.deepEqual(written, ['1s', '1m', '90s', '5m', '1h', '90m', '1d', '3d']);
});

await test('no duration is shorter than a second', () => {
  assert.equal(duration(0.01), '1s');
});

await test('a divisor shortens every duration, and no range below four scrapes', () => {
  const [real, fast] = [timing(1), timing(10)];
  assert.deepEqual([real.for('down'), fast.for('down')], ['1m', '6s']);
  assert.deepEqual([real.range('rate'), fast.range('rate'), timing(100).range('rate')], ['5m', '30s', '20s']);
  assert.deepEqual([real.seconds('stale'), fast.seconds('stale')], [30, 20]);
  assert.deepEqual([real.window(3600), fast.window(3600)], ['1h', '6m']);
});

await test('each burn rate would spend the share of the budget that the workbook names', () => {
  const spent = BURN_RATES.map(({ factor, long }) => Number(((factor * long) / (30 * 86_400)).toFixed(4)));
  assert.deepEqual(spent, [0.02, 0.05, 0.1, 0.1]);
  assert.deepEqual(SLO_WINDOWS.map(duration), ['5m', '30m', '1h', '2h', '6h', '1d', '3d']);
});

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { Decimal } from 'decimal.js';
import { random, type Random } from '../ledger/testing/random.ts';
import { simpleInterest } from '../shared/kernel/money.ts';
import { countedDays, dayCountOf, DAY_COUNTS, DAYS_PER_YEAR } from './day-count.ts';
import type { DayCount } from './day-count.ts';

const CASES = 20_000;
const DAY_MS = 86_400_000;
const Exact = Decimal.clone({ precision: 80, rounding: Decimal.ROUND_HALF_EVEN });

function between(start: string, end: string): number {
  return (Date.parse(end) - Date.parse(start)) / DAY_MS;
}

const bonds: [start: string, end: string, days: number, reason: string][] = [
  ['2007-01-15', '2007-01-30', 15, 'within a month'],
  ['2007-01-15', '2007-07-15', 180, 'whole months'],
  ['2007-09-30', '2008-09-30', 360, 'a year'],
  ['2007-01-15', '2007-01-31', 16, 'the 31st at the end stays when the start is before the 30th'],
  ['2007-09-30', '2007-10-31', 30, 'the 31st at the end is the 30th when the start is the 30th'],
  ['2007-01-31', '2007-02-28', 28, 'the 31st at the start is the 30th'],
  ['2007-02-28', '2007-03-31', 33, 'the end of February is not extended'],
  ['2008-02-29', '2008-03-31', 32, 'nor is it in a leap year'],
  ['2007-02-26', '2008-02-29', 363, 'into a leap day'],
  ['2008-02-29', '2009-02-28', 359, 'from a leap day'],
  ['2008-02-28', '2008-03-01', 3, 'two actual days over a leap day'],
  ['2007-02-28', '2007-03-01', 3, 'one actual day over the end of February'],
  ['2026-01-30', '2026-01-31', 0, 'the 31st does not accrue'],
  ['2026-12-31', '2027-01-01', 1, 'over the end of a year'],
];
for (const [start, end, days, reason] of bonds) {
  await test(`30/360 counts ${days} days from ${start} to ${end}: ${reason}`, () => {
    assert.equal(countedDays('30/360', between(start, end), end), days);
  });
}

await test('actual days are those of the event, over a fixed year', () => {
  assert.equal(countedDays('ACT/365F', 366, '2028-12-31'), 366);
  assert.equal(countedDays('ACT/360', 31, '2026-01-31'), 31);
  assert.deepEqual(DAYS_PER_YEAR, { 'ACT/365F': 365n, 'ACT/360': 360n, '30/360': 360n });
});

await test('a convention that is not known is an error that names the known ones', () => {
  assert.throws(() => dayCountOf('ACT/ACT'), /"ACT\/ACT" is not a day-count convention; write ACT\/365F, ACT\/360, 30\/360/);
});

/** The numerator by another route: one day after the other, each counted by its date. */
function walked(dayCount: DayCount, days: number, end: string): number {
  if (dayCount !== '30/360') return days;
  const dates = Array.from({ length: days + 1 }, (_value, index) => new Date(Date.parse(end) - (days - index) * DAY_MS));
  const first = dates[0]?.getUTCDate() ?? 0;
  let counted = 0;
  for (const [index, date] of dates.entries()) {
    if (index === 0) continue;
    const previous = dates[index - 1]?.getUTCDate() ?? 0;
    const last = index === days;
    // A month's end fills it up to 30 days. Its 31st counts only where the period ends there, and began before a 30th.
    if (date.getUTCDate() === 1) counted += 31 - Math.min(previous, 30);
    else if (date.getUTCDate() < 31) counted += 1;
    else if (last && first < 30) counted += 1;
  }
  return counted;
}

function randomDate(numbers: Random): string {
  const year = 1999 + numbers.below(110);
  const month = numbers.below(12);
  // Half of the dates are around the end of a month.
  const day = numbers.below(2) === 0 ? 1 + numbers.below(28) : numbers.below(4) - 1;
  return new Date(Date.UTC(year, month + (day > 1 ? 0 : 1), day)).toISOString().slice(0, 10);
}

await test('interest by every convention equals decimal arithmetic at 80 digits for random cases', () => {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  const numbers = random(seed);
  const seen = new Set<string>();
  for (let round = 0; round < CASES; round++) {
    const dayCount = numbers.pick(DAY_COUNTS);
    const size = numbers.pick([0n, 1n, 100n, 1_000_000n, 8_000_000_000_000_000_000n]);
    const balance = (size * BigInt(numbers.below(2 ** 31) - 2 ** 30)) / BigInt(2 ** 30);
    const rate = BigInt(numbers.pick([0, 1, -1, 1_000_000, -1_000_000, numbers.below(2_000_001) - 1_000_000]));
    const [days, end] = [1 + numbers.below(366), randomDate(numbers)];
    const counted = walked(dayCount, days, end);
    const year = dayCount === 'ACT/365F' ? 365 : 360;
    const want = new Exact(String(balance)).mul(String(rate)).div(1_000_000).mul(counted).div(year).toDecimalPlaces(0).toFixed(0);
    const found = simpleInterest(balance, rate, countedDays(dayCount, days, end), DAYS_PER_YEAR[dayCount]);
    assert.equal(found, BigInt(want), `SEED=${seed} ${dayCount} balance ${balance} rate ${rate} days ${days} end ${end}`);
    if (end.endsWith('-02-29')) seen.add('leap day');
    if (end.endsWith('-31')) seen.add('31st');
    if (found < 0n) seen.add('negative');
    if (found === 0n) seen.add('zero');
  }
  assert.deepEqual([...seen].toSorted(), ['31st', 'leap day', 'negative', 'zero']);
});

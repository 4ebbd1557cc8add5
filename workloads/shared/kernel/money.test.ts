import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import { Decimal } from 'decimal.js';
import { divideHalfEven, scaleRate, simpleInterest } from './money.ts';

const halves: { numerator: bigint; denominator: bigint; want: bigint; reason: string }[] = [
  { numerator: 5n, denominator: 2n, want: 2n, reason: '2.5 goes to the even 2' },
  { numerator: 7n, denominator: 2n, want: 4n, reason: '3.5 goes to the even 4' },
  { numerator: -5n, denominator: 2n, want: -2n, reason: 'symmetric around zero' },
  { numerator: -7n, denominator: 2n, want: -4n, reason: 'symmetric around zero' },
  { numerator: 1n, denominator: 2n, want: 0n, reason: 'half goes to zero' },
  { numerator: -1n, denominator: 2n, want: 0n, reason: 'minus half goes to zero' },
  { numerator: 2n, denominator: 3n, want: 1n, reason: 'above the half' },
  { numerator: -2n, denominator: 3n, want: -1n, reason: 'above the half, negative' },
  { numerator: 1n, denominator: 3n, want: 0n, reason: 'below the half' },
  { numerator: 6n, denominator: 3n, want: 2n, reason: 'exact' },
];
for (const { numerator, denominator, want, reason } of halves) {
  await test(`${numerator}/${denominator} rounds to ${want}`, () => assert.equal(divideHalfEven(numerator, denominator), want, reason));
}

await test('a rate becomes millionths, and nothing finer is accepted', () => {
  assert.equal(scaleRate('0.021500'), 21500n);
  assert.equal(scaleRate('-0.000001'), -1n);
  assert.equal(scaleRate('1'), 1_000_000n);
  assert.throws(() => scaleRate('0.0000001'), RangeError);
  assert.throws(() => scaleRate('two'), RangeError);
  assert.throws(() => scaleRate('NaN'), RangeError);
});

await test('interest is exact: it equals decimal arithmetic at 60 digits for random cases', () => {
  const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_EVEN });
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  let state = seed;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  for (let round = 0; round < 20_000; round++) {
    const balance = BigInt(next(2 ** 31) - 2 ** 30) * BigInt(next(2 ** 31)) + BigInt(next(1000));
    const rate = BigInt(next(2_000_001) - 1_000_000);
    const days = 1 + next(366);
    const year = next(2) === 0 ? 365 : 360;
    const want = new Exact(balance.toString()).mul(rate.toString()).div(1_000_000).mul(days).div(year).toDecimalPlaces(0).toFixed(0);
    const found = simpleInterest(balance, rate, days, BigInt(year));
    assert.equal(found, BigInt(want), `SEED=${seed} balance ${balance} rate ${rate} days ${days} of ${year}`);
  }
});

await test('half a cent goes to even: 36500 at 0.05 for 1 day is 5, 3650 x 0.05 x 1 / 365 is 0.5', () => {
  assert.equal(simpleInterest(36_500n, 50_000n, 1, 365n), 5n);
  assert.equal(simpleInterest(3_650n, 50_000n, 1, 365n), 0n);
  assert.equal(simpleInterest(10_950n, 50_000n, 1, 365n), 2n);
});

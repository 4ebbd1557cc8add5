import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { Decimal } from 'decimal.js';
import {
  addDays,
  byMonth,
  daysOf,
  endOfMonth,
  invoiceLines,
  paidState,
  prorated,
  taxOf,
  taxSummary,
  totalsOf,
  without,
} from './billing.ts';
import type { BilledItem, BilledSubscription, Period } from './billing.ts';

const CASES = 2_000;
const MONTH: Period = { start: '2026-01-01', end: '2026-01-31' };

const subscription = (change: Partial<BilledSubscription> = {}): BilledSubscription => ({
  id: 's1',
  product: 'Fibre 500',
  quantity: 1,
  recurringMinor: 3_100n,
  taxBasisPoints: 1_900,
  startDate: '2025-06-01',
  endDate: null,
  invoiced: [],
  ...change,
});
const item = (change: Partial<BilledItem> = {}): BilledItem => ({
  orderId: 'o1',
  orderLine: 1,
  product: 'Router',
  quantity: 2,
  oneTimeMinor: 4_999n,
  taxBasisPoints: 700,
  ...change,
});

/** Rounds half to even with decimals of 60 digits. */
const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_EVEN });
const rounded = (value: Decimal): bigint => BigInt(value.toFixed(0, Decimal.ROUND_HALF_EVEN));

test('months have their own number of days', () => {
  const ends = ['2026-01-01', '2026-02-14', '2024-02-29', '2026-04-30', '2026-12-31'].map(endOfMonth);
  assert.deepEqual(ends, ['2026-01-31', '2026-02-28', '2024-02-29', '2026-04-30', '2026-12-31']);
  assert.deepEqual(byMonth({ start: '2025-12-15', end: '2026-02-03' }), [
    { start: '2025-12-15', end: '2025-12-31' },
    { start: '2026-01-01', end: '2026-01-31' },
    { start: '2026-02-01', end: '2026-02-03' },
  ]);
  assert.equal(addDays('2026-03-29', 1), '2026-03-30', 'summer time has no effect');
});

test('proration agrees with decimal.js, and rounds half to even', () => {
  for (let step = 0; step < CASES; step++) {
    const price = BigInt(randomInt(2 ** 40)) * BigInt(1 + randomInt(1_000));
    const start = addDays('2024-01-01', randomInt(1_500));
    const last = daysOf({ start, end: endOfMonth(start) });
    const period = { start, end: addDays(start, randomInt(last)) };
    const expected = rounded(new Exact(String(price)).mul(daysOf(period)).div(Number(endOfMonth(start).slice(8))));
    assert.equal(prorated(price, period), expected, `${price} for ${JSON.stringify(period)}`);
  }
  // 15 of 30 days of an odd price: exactly a half.
  const half = { start: '2026-04-01', end: '2026-04-15' };
  assert.deepEqual([prorated(5n, half), prorated(7n, half)], [2n, 4n]);
});

test('taxes agree with decimal.js, and round half to even', () => {
  for (let step = 0; step < CASES; step++) {
    const [net, rate] = [BigInt(randomInt(2 ** 40)) * BigInt(1 + randomInt(1_000)), randomInt(10_001)];
    assert.equal(taxOf(net, rate), rounded(new Exact(String(net)).mul(rate).div(10_000)), `${net} at ${rate}`);
  }
  assert.deepEqual([taxOf(50n, 100), taxOf(150n, 100), taxOf(250n, 100)], [0n, 2n, 2n]);
});

test('a whole month costs its price, and a part of it in proportion to the days', () => {
  const [whole] = invoiceLines(MONTH, [subscription({ quantity: 3 })], []);
  assert.deepEqual([whole?.netMinor, whole?.taxMinor, whole?.period], [9_300n, 1_767n, MONTH]);
  const [begun] = invoiceLines(MONTH, [subscription({ startDate: '2026-01-22' })], []);
  assert.deepEqual([begun?.netMinor, begun?.period?.start], [1_000n, '2026-01-22']);
  const [ended] = invoiceLines(MONTH, [subscription({ endDate: '2026-01-03' })], []);
  assert.deepEqual([ended?.netMinor, ended?.period?.end], [300n, '2026-01-03']);
  assert.deepEqual(invoiceLines(MONTH, [subscription({ startDate: '2026-02-01' })], []), [], 'begins later');
  assert.deepEqual(invoiceLines(MONTH, [subscription({ endDate: '2025-12-31' })], []), [], 'has ended before');
});

test('days that another invoice charges are left out', () => {
  const invoiced = [
    { start: '2025-12-20', end: '2026-01-02' },
    { start: '2026-01-10', end: '2026-01-30' },
  ];
  const lines = invoiceLines(MONTH, [subscription({ invoiced })], []);
  const parts = lines.map(({ period, netMinor }) => [period?.start, period?.end, netMinor]);
  assert.deepEqual(parts, [
    ['2026-01-03', '2026-01-09', 700n],
    ['2026-01-31', '2026-01-31', 100n],
  ]);
  assert.deepEqual(without(MONTH, [MONTH]), []);
});

test('any division of a period charges each day once', () => {
  for (let step = 0; step < CASES; step++) {
    const day = () => addDays('2026-01-01', randomInt(90));
    const taken = Array.from({ length: randomInt(5) }, () => {
      const [start, end] = [day(), day()].toSorted() as [string, string];
      return { start, end };
    });
    const whole = { start: '2026-01-01', end: '2026-03-31' };
    const charged = without(whole, taken).flatMap((part) =>
      Array.from({ length: daysOf(part) }, (_value, index) => addDays(part.start, index)),
    );
    const expected = Array.from({ length: 90 }, (_value, index) => addDays(whole.start, index)).filter(
      (date) => !taken.some(({ start, end }) => start <= date && date <= end),
    );
    assert.deepEqual(charged, expected, JSON.stringify(taken));
  }
});

test('one-time prices follow the subscriptions, and free ones make no line', () => {
  const lines = invoiceLines(MONTH, [subscription(), subscription({ recurringMinor: 0n })], [item(), item({ oneTimeMinor: 0n })]);
  assert.deepEqual(
    lines.map(({ description, netMinor, taxMinor, period }) => [description, netMinor, taxMinor, period]),
    [
      ['Fibre 500', 3_100n, 589n, MONTH],
      ['Router', 9_998n, 700n, null],
    ],
  );
  assert.deepEqual(totalsOf(lines), { netMinor: 13_098n, taxMinor: 1_289n, totalMinor: 14_387n });
  assert.deepEqual(taxSummary(lines), [
    { taxBasisPoints: 1_900, netMinor: 3_100n, taxMinor: 589n, totalMinor: 3_689n },
    { taxBasisPoints: 700, netMinor: 9_998n, taxMinor: 700n, totalMinor: 10_698n },
  ]);
});

test('an invoice is settled once its total is paid', () => {
  assert.deepEqual(
    [paidState(100n, 0n), paidState(100n, 99n), paidState(100n, 100n), paidState(100n, 101n)],
    ['sent', 'partiallyPaid', 'settled', 'settled'],
  );
});

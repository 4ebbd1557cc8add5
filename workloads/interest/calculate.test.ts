import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { halve } from '../shared/kernel/consumer/slice.ts';
import type { Slice } from '../shared/kernel/consumer/slice.ts';
import { simpleInterest } from '../shared/kernel/money.ts';
import { consumed } from '../shared/testing/record.ts';
import { calculate, contraAccounts } from './calculate.ts';
import type { AccountState, RateLookup } from './calculate.ts';

const RATE = 21_500n;
const rate: RateLookup = (product, date) =>
  product === 'savings' && date >= '2020-01-01' ? { rate: RATE, dayCount: 'ACT/365F' } : undefined;

let serial = 0;
function event(accountId: string, change: Partial<InterestTransaction> = {}): InterestTransaction {
  serial += 1;
  return { id: `event-${serial}`, accountId, currency: 'EUR', days: 30, valueDate: '2026-01-31', ...change };
}

function sliceOf(events: InterestTransaction[], partition = 0): Slice<InterestTransaction> {
  const entries = events.map((each, index) => ({
    record: consumed({ offset: BigInt(index) }),
    event: each,
  }));
  return [{ topic: 't', partition, start: 0n, next: BigInt(events.length), entries }];
}

function accounts(): Map<string, AccountState> {
  return new Map([
    ['a', { currency: 'EUR', productCode: 'savings', balanceMinor: 1_000_000n }],
    ['b', { currency: 'EUR', productCode: 'savings', balanceMinor: -50_000n }],
    ['shares', { currency: 'EUR', productCode: 'shares', balanceMinor: 1n }],
    ['internal', { currency: 'EUR', productCode: null, balanceMinor: 1n }],
  ]);
}

await test('events of one account compound in order', () => {
  const state = accounts();
  const { entries } = calculate(sliceOf([event('a'), event('a')]), state, new Set(), rate);
  const first = simpleInterest(1_000_000n, RATE, 30, 365n);
  assert.deepEqual(
    entries.map(({ amountMinor }) => amountMinor),
    [first, simpleInterest(1_000_000n + first, RATE, 30, 365n)],
  );
  assert.equal(state.get('a')?.balanceMinor, 1_000_000n + entries.reduce((sum, { amountMinor }) => sum + amountMinor, 0n));
});

await test('an event applied before, or twice in the slice, counts once and changes no balance', () => {
  const [known, twice] = [event('a'), event('a')];
  const result = calculate(sliceOf([known, twice, twice]), accounts(), new Set([known.id]), rate);
  assert.equal(result.duplicates, 2);
  assert.deepEqual(
    result.entries.map((entry) => entry.event.id),
    [twice.id],
  );
  assert.equal(result.entries[0]?.amountMinor, simpleInterest(1_000_000n, RATE, 30, 365n));
});

const rejected: Record<string, { event: InterestTransaction; code: string }> = {
  'a missing account': { event: event('nobody'), code: 'unknown_account' },
  'an internal account': { event: event('internal'), code: 'unknown_account' },
  'another currency': { event: event('a', { currency: 'USD' }), code: 'wrong_currency' },
  'a product without a rate': { event: event('shares'), code: 'no_active_rate' },
  'a date before the first rate': { event: event('a', { valueDate: '2019-12-31' }), code: 'no_active_rate' },
};
for (const [name, { event: bad, code }] of Object.entries(rejected)) {
  await test(`rejected: ${name}; its neighbours are applied`, () => {
    const slice = sliceOf([event('a'), bad, event('b')]);
    const result = calculate(slice, accounts(), new Set(), rate);
    assert.equal(result.rejected, 1);
    assert.equal(result.entries.length, 2);
    assert.equal(slice[0]?.entries[1]?.rejection?.code, code);
  });
}

await test('gives the same result for a slice, its halves, and its single entries', () => {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  let state = seed;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  for (let round = 0; round < 200; round++) {
    const events = Array.from({ length: 2 + next(40) }, () => event(next(2) === 0 ? 'a' : 'b', { days: 1 + next(366) }));
    const whole = accounts();
    const inOne = calculate(sliceOf(events), whole, new Set(), rate).entries;
    const parts = accounts();
    const inHalves = halve(sliceOf(events)).flatMap((half) => calculate(half, parts, new Set(), rate).entries);
    const single = accounts();
    const oneByOne = events.flatMap((each) => calculate(sliceOf([each]), single, new Set(), rate).entries);
    assert.deepEqual(inHalves, inOne, `SEED=${seed}`);
    assert.deepEqual(oneByOne, inOne, `SEED=${seed}`);
    assert.deepEqual(parts, whole, `SEED=${seed}`);
    assert.deepEqual(single, whole, `SEED=${seed}`);
  }
});

await test('the contra account follows from currency and partition', () => {
  assert.equal(contraAccounts(3)('EUR'), 'interest-expense.EUR.3');
  assert.equal(contraAccounts(19)('USD'), 'interest-expense.USD.3');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Oracle, type InterestEvent } from './oracle.ts';

const RATES = [
  { code: 'saver', rate: '0.10', from: '2026-01-01', to: '2026-07-01', dayCount: 'ACT/365F' },
  { code: 'saver', rate: '0.20', from: '2026-07-01', to: '2027-01-01', dayCount: 'ACT/365F' },
  { code: 'saver', rate: '0.36', from: '2027-01-01', to: '2028-01-01', dayCount: 'ACT/360' },
  { code: 'saver', rate: '0.36', from: '2028-01-01', to: null, dayCount: '30/360' },
];

function event(id: string, change: Partial<InterestEvent> = {}): InterestEvent {
  return { id, accountId: 'a', currency: 'EUR', days: 365, valueDate: '2026-01-01', ...change };
}

function balanceAfter(opening: string, events: InterestEvent[]): string {
  const oracle = new Oracle([{ id: 'a', product: 'saver', currency: 'EUR', balance: opening }], RATES);
  for (const one of events) oracle.apply(one);
  return oracle.wrong([{ id: 'a', balance: '-1' }])[0] ?? '';
}

const CASES: { reason: string; opening: string; events: InterestEvent[]; balance: string }[] = [
  { reason: 'a year at ten per cent', opening: '1000', events: [event('1')], balance: '1100' },
  { reason: 'interest on interest, in order', opening: '1000', events: [event('1'), event('2')], balance: '1210' },
  { reason: 'the rate in force on the value date', opening: '1000', events: [event('1', { valueDate: '2026-07-01' })], balance: '1200' },
  { reason: 'an event that comes twice counts once', opening: '1000', events: [event('1'), event('1')], balance: '1100' },
  { reason: 'half to even, down', opening: '5', events: [event('1')], balance: '5' },
  { reason: 'half to even, up', opening: '15', events: [event('1')], balance: '17' },
  { reason: 'a negative balance, half to even', opening: '-15', events: [event('1')], balance: '-17' },
  { reason: 'ACT/360', opening: '1000', events: [event('1', { days: 10, valueDate: '2027-01-31' })], balance: '1010' },
  { reason: '30/360, a leap February', opening: '1000', events: [event('1', { days: 29, valueDate: '2028-03-01' })], balance: '1030' },
  { reason: '30/360, to a 31st', opening: '1000', events: [event('1', { days: 16, valueDate: '2028-01-31' })], balance: '1016' },
  { reason: '30/360, from a 31st', opening: '1000', events: [event('1', { days: 1, valueDate: '2028-02-01' })], balance: '1001' },
  { reason: '30/360, from a 30th to a 31st', opening: '1000', events: [event('1', { days: 1, valueDate: '2028-01-31' })], balance: '1000' },
  { reason: '30/360, a leap year', opening: '1000', events: [event('1', { days: 366, valueDate: '2029-01-01' })], balance: '1360' },
  { reason: 'no rate in force', opening: '1000', events: [event('1', { valueDate: '2025-12-31' })], balance: '1000' },
  { reason: 'another currency', opening: '1000', events: [event('1', { currency: 'CHF' })], balance: '1000' },
  { reason: 'an unknown account', opening: '1000', events: [event('1', { accountId: 'b' })], balance: '1000' },
];

for (const { reason, opening, events, balance } of CASES) {
  void test(reason, () => assert.equal(balanceAfter(opening, events), `a: expected ${balance}, is -1`));
}

void test('names an account whose balance was changed, and one that is not known', () => {
  const oracle = new Oracle([{ id: 'a', product: 'saver', currency: 'EUR', balance: '1000' }], RATES);
  oracle.apply(event('1'));
  assert.deepEqual(oracle.wrong([{ id: 'a', balance: '1100' }]), []);
  assert.deepEqual(oracle.wrong([{ id: 'a', balance: '1101' }]), ['a: expected 1100, is 1101']);
  assert.deepEqual(oracle.wrong([{ id: 'c', balance: '1' }]), ['c: expected undefined, is 1']);
  assert.equal(oracle.applied, 1);
});

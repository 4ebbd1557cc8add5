import assert from 'node:assert/strict';
import test from 'node:test';
import { cloudEventHeaders, interestTransaction } from '../shared/contracts/interest-transaction.ts';
import { randomEvent } from './seed.ts';

const accounts = [
  { id: 'acc-0000001', currency: 'EUR' },
  { id: 'acc-0000002', currency: 'USD' },
];

await test('a random event is a valid one, for one of the accounts, in its currency', () => {
  const now = new Date('2026-03-01T10:00:00Z');
  const seen = new Set<string>();
  for (let round = 0; round < 500; round++) {
    const event = randomEvent(accounts, now);
    assert.deepEqual(interestTransaction.parse(event), event);
    assert.equal(event.currency, accounts.find(({ id }) => id === event.accountId)?.currency);
    assert.equal(event.valueDate, '2026-03-01');
    seen.add(event.accountId);
  }
  assert.equal(seen.size, 2);
});

await test('headers carry the CloudEvents attributes', () => {
  const event = randomEvent(accounts, new Date());
  const headers = cloudEventHeaders(event, '/bss/demo/gateway', '2026-03-01T10:00:00Z');
  assert.equal(headers['ce_id'], event.id);
  assert.equal(headers['ce_subject'], event.accountId);
  assert.equal(headers['ce_type'], 'interest.transaction.v1');
  assert.equal(headers['ce_specversion'], '1.0');
});

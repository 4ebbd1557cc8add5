import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Problem } from '../../shared/kernel/problems.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { postalAddress } from '../invoices.ts';
import { linesToFulfil } from '../orders.ts';
import { keyOf } from './payments.ts';
import { openTransfers } from './transfers.ts';

const entity = (fields: object) => ({ id: 'p1', version: 1, createdAt: '', updatedAt: '', ...fields });
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

test('a refund after a rejected one has another key, and a payment always the same', () => {
  assert.equal(keyOf('payment', entity({ refundsRejected: 2 })), 'payment:p1');
  const keys = [0, 1, 2].map((refundsRejected) => keyOf('refund', entity({ refundsRejected })));
  assert.deepEqual(keys, ['refund:p1', 'refund:p1:2', 'refund:p1:3']);
});

test('payments need both services with their keys, or none of them', () => {
  const key = 'k'.repeat(40);
  const services = {
    ORCHESTRATOR_URL: 'http://orchestrator:8080',
    ORCHESTRATOR_API_KEY: key,
    ACCOUNTS_URL: 'http://accounts:8080',
    ACCOUNTS_API_KEY: key,
  };
  const open = (change: object) => openTransfers({ ...services, ...change }, log, new Metrics({}));
  assert.ok(open({}));
  const none = Object.fromEntries(Object.keys(services).map((name) => [name, undefined]));
  assert.equal(open(none), undefined);
  assert.throws(() => open({ ACCOUNTS_API_KEY: undefined }), /ACCOUNTS_API_KEY missing: payments need all of ORCHESTRATOR_URL/);
});

test('the open lines of an order are fulfilled once, whatever a request repeats', () => {
  const price = { productId: 'p', quantity: 1, oneTimeMinor: '1', recurringMinor: '0', taxBasisPoints: 0, subscriptionId: null };
  const items = [1, 2, 3].map((line) => ({ ...price, line, fulfilledAt: line === 2 ? '2026-01-01T00:00:00Z' : null }));
  const lines = (wanted?: number[]) => linesToFulfil(items, wanted).map(({ line }) => line);
  assert.deepEqual(lines(), [1, 3]);
  assert.deepEqual(lines([3, 3, 1]), [3, 1]);
  for (const wanted of [[2], [1, 4]])
    assert.throws(
      () => lines(wanted),
      (error) => error instanceof Problem && error.code === 'item_not_open',
    );
});

test('an invoice goes to the address for bills, and leaves out what an address does not have', () => {
  const address = { line1: '1 Example Street', line2: null, postcode: '12345', city: 'Sampletown', region: null, country: 'DE' };
  const delivery = entity({ ...address, type: 'delivery', line1: 'Elsewhere 2' });
  assert.deepEqual(postalAddress([delivery, entity({ ...address, type: 'billing' })]), ['1 Example Street', '12345 Sampletown', 'Germany']);
  assert.deepEqual(postalAddress([delivery])[0], 'Elsewhere 2');
  assert.deepEqual(postalAddress([]), []);
});

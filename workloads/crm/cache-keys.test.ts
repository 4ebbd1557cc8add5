import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matcher } from '../shared/kernel/cache/patterns.ts';
import { CACHED, cachedFamily, customerOf, entityKey, invalidationOf, listKey, ownedKey, summaryKey } from './cache-keys.ts';

const change = (table: string, entityId: string | null, customerId: string | null = null) =>
  invalidationOf({ id: '1', table, entityId, customerId, request: null, ageMs: 0 }).names;

const of = (name: string) => cachedFamily(name) ?? assert.fail(name);
/** Names whose invalidation removes an entry. */
const tags = ({ key, family, tags: more = [] }: ReturnType<typeof entityKey>): string[] => [key, family.name, ...more];
const removes = (names: readonly string[], key: ReturnType<typeof entityKey>): boolean => tags(key).some((tag) => names.includes(tag));

await test('a change of a customer removes its entry, its orders, subscriptions and invoices, and every list and summary of customers', () => {
  const names = change('customer', 'c1', 'c1');
  assert.ok(removes(names, entityKey(of('customers'), 'c1')));
  for (const name of ['orders', 'subscriptions', 'invoices']) assert.ok(removes(names, ownedKey(of(name), 'c1', 'q')), name);
  assert.ok(removes(names, listKey(of('customers'), 'q')) && removes(names, summaryKey(of('customers'))));
  assert.ok(!removes(names, entityKey(of('customers'), 'c2')));
  assert.ok(!removes(names, ownedKey(of('orders'), 'c2', 'q')));
  assert.ok(!removes(names, listKey(of('orders'), 'q')));
});

await test('a change of an order removes it, the orders of its customer, and the lists and summaries of orders', () => {
  const names = change('order', 'o1', 'c1');
  assert.ok(removes(names, entityKey(of('orders'), 'o1')) && removes(names, ownedKey(of('orders'), 'c1', 'q')));
  assert.ok(removes(names, listKey(of('orders'), 'q')) && removes(names, summaryKey(of('orders'))));
  assert.ok(!removes(names, entityKey(of('customers'), 'c1')) && !removes(names, ownedKey(of('invoices'), 'c1', 'q')));
});

for (const { name, table } of CACHED)
  await test(`a change of any number of rows of ${table} removes every entry of ${name}`, () => {
    const names = change(table, null);
    for (const key of [entityKey(of(name), 'x'), listKey(of(name), 'q'), summaryKey(of(name)), ownedKey(of(name), 'c1', 'q')])
      assert.ok(removes(names, key), key.key);
  });

await test('keys have the forms that patterns expect, and their customer can be told', () => {
  assert.equal(entityKey(of('customers'), 'c1').key, 'customer:c1');
  assert.ok(matcher('customers:list:*')(listKey(of('customers'), 'q').key));
  assert.ok(matcher('customers:summary:*')(summaryKey(of('customers')).key));
  assert.equal(customerOf(ownedKey(of('orders'), 'c1', 'q').key), 'c1');
  assert.equal(customerOf(entityKey(of('orders'), 'o1').key), undefined);
});

await test('payments, orders and invoices are never shown from an older entry', () => {
  assert.deepEqual(
    CACHED.filter(({ staleIfErrorMs }) => staleIfErrorMs === undefined).map(({ name }) => name),
    ['orders', 'invoices', 'payments'],
  );
});

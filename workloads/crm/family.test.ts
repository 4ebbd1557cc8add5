import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESS, CUSTOMER, PRODUCT, STORED, SUBSCRIPTION } from './families.ts';
import { columnOf, columnsOf, listStatement, purgeStatement, statementsOf } from './family.ts';
import { CurrentRate } from './metrics.ts';
import { changesOf, eventData, hashOf } from './records.ts';

test('a list is a constant statement with parameters, whatever is asked', () => {
  const { text, values } = listStatement(PRODUCT, {
    sort: '-name',
    filters: { category: `x' OR '1'='1` },
    after: { value: 'm', id: 'i' },
    limit: 3,
  });
  assert.match(
    text,
    /WHERE deleted_at IS NULL AND category = \$1 AND \(name, id\) < \(\$2::text, \$3::uuid\)\n ORDER BY name DESC, id DESC LIMIT \$4$/,
  );
  assert.deepEqual(values, [`x' OR '1'='1`, 'm', 'i', 3]);
  assert.throws(() => listStatement(PRODUCT, { sort: 'name;--', filters: {}, after: undefined, limit: 1 }), /has no field/);
  assert.throws(() => listStatement(PRODUCT, { sort: 'name', filters: { name: 'x' }, after: undefined, limit: 1 }), /has no filter/);
});

test('columns have the names of the fields, and minor units are text', () => {
  assert.equal(columnOf('taxBasisPoints'), 'tax_basis_points');
  assert.match(columnsOf(PRODUCT), /recurring_minor::text AS "recurringMinor"/);
  assert.match(columnsOf({ ...PRODUCT, computed: { parts: '(SELECT 1)' } }), /\(SELECT 1\) AS "parts"$/);
  assert.doesNotMatch(statementsOf({ ...PRODUCT, computed: { parts: '(SELECT 1)' } }).update, /parts = /);
});

test('a purge keeps what others refer to', () => {
  const text = purgeStatement({ name: 'products', table: 'product' }, ['"order".product_id']);
  assert.match(text, /NOT EXISTS \(SELECT FROM "order" WHERE "order".product_id = t.id\)/);
  for (const { name, purge } of STORED) assert.match(purge, new RegExp(`'retention', 'removed', '${name}'`));
});

test('audit rows and events have the names of personal fields that change, and no values', () => {
  const former = { name: 'Jane', status: 'initialized', email: 'j@example.com' };
  const changes = changesOf(CUSTOMER, former, { ...former, name: 'June', status: 'active' });
  assert.deepEqual(changes, { name: ['personal'], status: ['initialized', 'active'] });
  for (const family of [CUSTOMER, ADDRESS]) {
    const values = Object.fromEntries(Object.keys(family.fields).map((field) => [field, `secret ${field}`]));
    const entity = { id: 'i', version: 1, createdAt: 'c', updatedAt: 'u', ...values };
    const texts = [changesOf(family, undefined, entity), eventData(family, 'created', entity, [])].map((data) => JSON.stringify(data));
    for (const field of family.personal ?? []) for (const text of texts) assert.ok(!text.includes(`secret ${field}`), field);
    assert.ok(
      texts.every((text) => text.includes('secret ')),
      'and the others are there',
    );
  }
});

test('the hash of a request does not depend on the order of its fields', () => {
  assert.equal(hashOf({ a: 1, b: { c: 2, d: [1, 2] } }), hashOf({ b: { d: [1, 2], c: 2 }, a: 1 }));
  assert.notEqual(hashOf({ a: [1, 2] }), hashOf({ a: [2, 1] }));
});

test('the dates of a subscription follow its states', () => {
  const derived = (next: object, today: string) => SUBSCRIPTION.derive?.({ startDate: null, endDate: null, ...next }, undefined, today);
  assert.deepEqual(derived({ status: 'created' }, '2026-05-01'), { startDate: null, endDate: null });
  assert.deepEqual(derived({ status: 'active' }, '2026-05-01'), { startDate: '2026-05-01', endDate: null });
  assert.deepEqual(derived({ status: 'terminated', startDate: '2026-04-01' }, '2026-05-01'), {
    startDate: '2026-04-01',
    endDate: '2026-05-01',
  });
  assert.deepEqual(
    derived({ status: 'terminated', startDate: '2026-06-01' }, '2026-05-01'),
    { startDate: '2026-06-01', endDate: '2026-06-01' },
    'one that ends before it begins has one day',
  );
  assert.throws(() => derived({ status: 'active', startDate: '2026-04-01', endDate: '2026-03-31' }, '2026-05-01'), /is before startDate/);
});

test('the current rate is an average over ten seconds', () => {
  const rate = new CurrentRate();
  rate.add(30, 100.2);
  rate.add(20, 104);
  assert.equal(rate.rate(104.9), 5);
  assert.equal(rate.rate(110.5), 2);
  assert.equal(rate.rate(1_000), 0);
});

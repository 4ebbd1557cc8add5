/** The routes of the contract: what the service and the gateway rely on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { FAMILIES } from '../shared/contracts/crm/resource.ts';
import { ROUTES } from '../shared/contracts/crm/routes.ts';

const SCOPES = [
  ...FAMILIES.flatMap((family) => [`${family}:read`, `${family}:write`]),
  'customers:erase',
  'payments:refund',
  'cache:read',
  'cache:write',
];

test('each route has a name and an address of its own', () => {
  const names = ROUTES.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)]);
  const addresses = ROUTES.map(({ method, url }) => `${method} ${url}`);
  assert.deepEqual(addresses, [...new Set(addresses)]);
});

for (const { name, method, url, scopes, schema, idempotent } of ROUTES) {
  test(`${name}: scopes, parameters and headers are those of its kind`, () => {
    assert.match(url, /^\/api\/v1\//);
    assert.ok(scopes.length > 0 && scopes.every((scope) => SCOPES.includes(scope)), scopes.join());
    assert.equal(
      scopes.some((scope) => !scope.endsWith(':read')),
      method !== 'GET' || url.endsWith('/export'),
      'a read needs no scope of a write, and a write needs one',
    );
    assert.equal(schema.params !== undefined, url.includes(':id'));
    assert.ok(idempotent, 'the gateway may repeat it');
    const headers = Object.keys((schema.headers as z.ZodObject | undefined)?.shape ?? {});
    if (method === 'PATCH' || method === 'DELETE') assert.deepEqual(headers, ['if-match']);
    // An invalidation creates nothing.
    if (method === 'POST' && schema.body !== undefined && name !== 'invalidateCache') assert.deepEqual(headers, ['idempotency-key']);
  });
}

test('a change has allowed fields alone, and dates that Postgres has', () => {
  const change = ROUTES.find(({ name }) => name === 'changeSubscription')?.schema.body as z.ZodType;
  assert.equal(change.safeParse({ endDate: '0000-01-01' }).success, false);
  assert.equal(change.safeParse({ endDate: '2026-01-31' }).success, true);
  assert.equal(change.safeParse({}).success, false, 'a change must change something');
  assert.equal(change.safeParse({ customerId: crypto.randomUUID() }).success, false, 'only the allowed fields');
});

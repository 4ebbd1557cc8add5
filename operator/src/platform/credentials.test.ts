import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { completeCredentials, rotateCredentials } from './credentials.ts';
import { inputOf } from './golden.ts';
import { secretUses } from './index.ts';

await test('new credentials have every key that pods use, and no two equal values', () => {
  const made = completeCredentials({}, randomBytes);
  const used = secretUses(inputOf({})).find(({ name }) => name === 'demo-credentials');
  assert.deepEqual(
    used?.keys.filter((key) => !made[key]),
    [],
  );
  assert.equal(new Set(Object.values(made)).size, Object.keys(made).length);
  assert.match(made['postgres-password'] ?? '', /^[A-Za-z0-9_-]{32}$/);
  assert.match(made['pgbouncer-userlist'] ?? '', /^"ledger" "[\w-]{32}"\n"interest" "[\w-]{32}"\n"stats" "[\w-]{32}"\n$/);
});

await test('existing values stay, missing ones are added, foreign keys are left alone', () => {
  const existing = { 'ledger-password': 'mine', extra: 'x' };
  const completed = completeCredentials(existing, randomBytes);
  assert.equal(completed['ledger-password'], 'mine');
  assert.equal(completed['extra'], 'x');
  assert.match(completed['pgbouncer-userlist'] ?? '', /"ledger" "mine"/);
  assert.deepEqual(completeCredentials(completed, randomBytes), completed, 'complete ones do not change');
});

await test('rotation changes the named keys and what is derived from them', () => {
  const before = completeCredentials({}, randomBytes);
  const after = rotateCredentials(before, randomBytes, ['redis-password']);
  const changed = Object.keys(before).filter((key) => before[key] !== after[key]);
  assert.deepEqual(changed.toSorted(), ['redis-auth', 'redis-password']);
});

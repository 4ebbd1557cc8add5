import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holdOperation, InvalidOperation, postOperation, reverseOperation, settleOperation, voidOperation } from './operations.ts';
import { accountsOf, outcomeOf, plan } from './plan.ts';

const HOLD = { id: 'b0a1c2d3-0000-7000-8000-000000000001', accountId: 'alice', currency: 'EUR', amountMinor: 80n };
const post = (externalId: string, from: string, to: string, amount: number, currency = 'EUR') =>
  postOperation({
    externalId,
    currency,
    postings: [
      { accountId: from, amountMinor: String(-amount) },
      { accountId: to, amountMinor: String(amount) },
    ],
  });

const invalid: Record<string, { build: () => unknown; errorType: string }> = {
  'postings that do not sum to zero': {
    build: () => postOperation({ externalId: 'x', currency: 'EUR', postings: [{ accountId: 'a', amountMinor: '1' }] }),
    errorType: 'unbalanced',
  },
  'a settlement above its hold': {
    build: () => settleOperation({ externalId: 'x', toAccountId: 'bob', amountMinor: '81' }, HOLD),
    errorType: 'hold_exceeded',
  },
  'a reversal of a reversal': {
    build: () => reverseOperation({ externalId: 'x' }, { id: HOLD.id, kind: 'reversal', currency: 'EUR', lines: [] }),
    errorType: 'not_reversible',
  },
  'a reversal of a transaction without postings': {
    build: () => reverseOperation({ externalId: 'x' }, { id: HOLD.id, kind: 'interest', currency: 'EUR', lines: [] }),
    errorType: 'not_reversible',
  },
};
for (const [name, { build, errorType }] of Object.entries(invalid)) {
  test(`refuses ${name}`, () => {
    assert.throws(build, (error: unknown) => error instanceof InvalidOperation && error.errorType === errorType);
  });
}

test('the hash tells a repetition from another request', () => {
  const [one, again, other] = [post('x', 'a', 'b', 5), post('y', 'a', 'b', 5), post('x', 'a', 'b', 6)];
  assert.equal(one.hash, again.hash, 'the external id is not part of the content');
  assert.notEqual(one.id, again.id);
  assert.notEqual(one.hash, other.hash);
  assert.match(one.hash ?? '', /^[0-9a-f]{32}$/);
});

test('a settlement moves its amount and ends the whole hold', () => {
  const { lines, held, target } = settleOperation({ externalId: 'x', toAccountId: 'bob', amountMinor: '50' }, HOLD);
  assert.deepEqual(lines, [
    { accountId: 'alice', amountMinor: -50n },
    { accountId: 'bob', amountMinor: 50n },
  ]);
  assert.deepEqual({ held, target }, { held: { accountId: 'alice', changeMinor: -80n }, target: HOLD.id });
});

test('a batch becomes columns: accounts once, ascending; lines in order of operation; repeated external ids and targets point to the first', () => {
  const hold = holdOperation({ externalId: 'x', accountId: 'carol', currency: 'EUR', amountMinor: '7' });
  const operations = [post('x', 'bob', 'Alice', 5), hold, post('x', 'bob', 'Alice', 5), voidOperation(HOLD), voidOperation(HOLD)];
  assert.deepEqual(accountsOf(operations), ['Alice', 'alice', 'bob', 'carol'], 'in the order of bytes');
  const [accounts, types, , external, holdKeys, , first, , , targets, groups, heldAccounts, held, , lineOps, lineAccounts, amounts] =
    plan(operations);
  assert.deepEqual(accounts, ['Alice', 'alice', 'bob', 'carol']);
  assert.deepEqual(types, ['post', 'hold', 'post', 'void', 'void']);
  assert.deepEqual(
    [external, holdKeys],
    [
      ['x', null, 'x', null, null],
      [null, 'x', null, null, null],
    ],
  );
  assert.deepEqual(first, [1, 2, 1, 4, 5], 'a hold and a transaction may have the same external id');
  assert.deepEqual(
    [targets, groups],
    [
      [null, null, null, HOLD.id, HOLD.id],
      [1, 2, 3, 4, 4],
    ],
  );
  assert.deepEqual(
    [heldAccounts, held],
    [
      [null, 4, null, 2, 2],
      ['0', '7', '0', '-80', '-80'],
    ],
  );
  assert.deepEqual(
    [lineOps, lineAccounts, amounts],
    [
      [1, 1, 3, 3],
      [3, 1, 3, 1],
      ['-5', '5', '-5', '5'],
    ],
  );
});

test('a row of the result becomes an outcome; a missing row is an error', () => {
  const operation = post('x', 'a', 'b', 5);
  const row = { id: null, replayed: false, error_type: 'insufficient_funds', account_id: 'a' } as const;
  assert.deepEqual(outcomeOf(operation, row), {
    errorType: 'insufficient_funds',
    detail: 'Account a has not enough available funds.',
  });
  assert.throws(() => outcomeOf(operation, undefined), /no result/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InterestEntry } from './calculate.ts';
import { numberPostings, type AccountEnd } from './numbering.ts';

const entry = (accountId: string, amountMinor: bigint): InterestEntry => ({
  event: { id: '01890a5d-ac96-774b-bcce-b302099a8057', accountId, currency: 'EUR', days: 1, valueDate: '2026-01-31' },
  contraId: 'contra',
  amountMinor,
});

test('postings continue the sequence and the balance of both accounts, and interest of zero takes no place', () => {
  const ends = new Map<string, AccountEnd>([
    ['a', { postings: 4, balanceMinor: 100n }],
    ['contra', { postings: 9, balanceMinor: -50n }],
  ]);
  const numbered = numberPostings([entry('a', 3n), entry('a', 0n), entry('b', -2n), entry('a', 5n)], ends);
  assert.deepEqual(numbered, [
    { seq: 5, balanceMinor: 103n, contraSeq: 10, contraBalanceMinor: -53n },
    { seq: 0, balanceMinor: 0n, contraSeq: 0, contraBalanceMinor: 0n },
    { seq: 1, balanceMinor: -2n, contraSeq: 11, contraBalanceMinor: -51n },
    { seq: 6, balanceMinor: 108n, contraSeq: 12, contraBalanceMinor: -56n },
  ]);
  assert.deepEqual(ends.get('contra'), { postings: 12, balanceMinor: -56n });
});

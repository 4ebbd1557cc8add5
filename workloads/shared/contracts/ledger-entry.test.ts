import assert from 'node:assert/strict';
import test from 'node:test';
import { LEDGER_ENTRY_TYPE, ledgerEntry, ledgerEntryHeaders, transferIdOf } from './ledger-entry.ts';
import type { LedgerEntry } from './ledger-entry.ts';

const ENTRY: LedgerEntry = {
  entryId: '01890a5d-ac96-774b-bcce-b302099a8057',
  line: 1,
  kind: 'transfer',
  externalId: 'transfer:01890a5d-ac96-774b-bcce-b302099a8058',
  accountId: 'acc-0000042',
  currency: 'EUR',
  amountMinor: '-1250',
  sequence: 17,
  balanceAfterMinor: '-8000000000000000000',
  valueDate: '2026-11-26',
  postedAt: '2026-11-26T20:00:00.123Z',
};

test('an entry survives JSON, and fields that a later version adds are ignored', () => {
  assert.deepEqual(ledgerEntry.parse(JSON.parse(JSON.stringify({ ...ENTRY, later: true }))), ENTRY);
  assert.deepEqual(ledgerEntry.parse({ ...ENTRY, kind: 'interest', externalId: null }), { ...ENTRY, kind: 'interest', externalId: null });
});

const invalid: Record<string, { change: object; path: string; reason: string }> = {
  'amount 0': { change: { amountMinor: '0' }, path: 'amountMinor', reason: 'the ledger has no such posting' },
  'amount as number': { change: { amountMinor: 1250 }, path: 'amountMinor', reason: 'JSON numbers lose digits' },
  'amount with leading zero': { change: { amountMinor: '01' }, path: 'amountMinor', reason: 'one text for one amount' },
  'negative zero': { change: { balanceAfterMinor: '-0' }, path: 'balanceAfterMinor', reason: 'one text for one amount' },
  'sequence 0': { change: { sequence: 0 }, path: 'sequence', reason: 'sequences begin at 1' },
  'unsafe sequence': { change: { sequence: 2 ** 53 }, path: 'sequence', reason: 'it would not be exact' },
  'line 0': { change: { line: 0 }, path: 'line', reason: 'lines begin at 1' },
  'unknown kind': { change: { kind: 'fee' }, path: 'kind', reason: 'the ledger has no such kind' },
  'no external id': { change: { externalId: undefined }, path: 'externalId', reason: 'null says that there is none' },
  'time without zone': { change: { postedAt: '2026-11-26T20:00:00.123' }, path: 'postedAt', reason: 'it would be local time' },
  'account with slash': { change: { accountId: 'a/b' }, path: 'accountId', reason: 'the ledger has no such id' },
};

for (const [name, { change, path, reason }] of Object.entries(invalid)) {
  test(`refuses an entry: ${name}`, () => {
    const result = ledgerEntry.safeParse({ ...ENTRY, ...change });
    assert.deepEqual(
      result.error?.issues.map((issue) => issue.path.join('.')),
      [path],
      reason,
    );
  });
}

test('the headers are CloudEvents attributes, and the id is the same for every delivery', () => {
  assert.deepEqual(ledgerEntryHeaders(ENTRY, '/bss/demo/outbox-relay'), {
    ce_specversion: '1.0',
    ce_type: LEDGER_ENTRY_TYPE,
    ce_source: '/bss/demo/outbox-relay',
    ce_id: `${ENTRY.entryId}/1`,
    ce_time: ENTRY.postedAt,
    ce_subject: ENTRY.accountId,
    'content-type': 'application/json',
  });
});

test('entries of transfers have the id of the transfer', () => {
  assert.equal(transferIdOf(ENTRY), '01890a5d-ac96-774b-bcce-b302099a8058');
  for (const externalId of [null, 'order-4711', 'transfers:1']) assert.equal(transferIdOf({ externalId }), undefined, String(externalId));
});

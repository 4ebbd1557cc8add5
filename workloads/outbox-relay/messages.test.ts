import assert from 'node:assert/strict';
import test from 'node:test';
import { ledgerEntry } from '../shared/contracts/ledger-entry.ts';
import { batchesOf, messageOf, publishedRows } from './messages.ts';
import type { EntryMessage, Posting } from './messages.ts';

const SOURCE = '/bss/demo/ledger';

function posting(change: Partial<Posting> = {}): Posting {
  return {
    row: '7',
    traceparent: null,
    entryId: '01890a5d-ac96-774b-bcce-b302099a8057',
    line: 2,
    kind: 'transfer',
    externalId: 'order-4711',
    accountId: 'alice',
    currency: 'EUR',
    amountMinor: '-1250',
    sequence: 17,
    balanceAfterMinor: '98750',
    valueDate: '2026-11-26',
    postedAt: '2026-11-26T20:00:00.123Z',
    ...change,
  };
}

test('a message has the account as key, the contract as value, and nothing of the outbox', () => {
  const { row, traceparent, ...entry } = posting({ traceparent: '00-1-2-01' });
  const message = messageOf(posting({ traceparent }), SOURCE);
  assert.deepEqual([message.row, message.key, message.traceparent], [row, 'alice', traceparent]);
  assert.deepEqual(JSON.parse(message.value), entry);
  assert.deepEqual(ledgerEntry.parse(JSON.parse(message.value)), entry);
  assert.equal(message.headers['ce_id'], `${entry.entryId}/2`);
  assert.equal(message.headers['ce_source'], SOURCE);
});

test('the largest entry that the ledger can have is far below the limit of a Kafka batch', () => {
  const largest = posting({
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    line: 32_767,
    kind: 'settlement',
    externalId: 'x'.repeat(128),
    accountId: 'a'.repeat(64),
    amountMinor: '-999999999999999999',
    sequence: Number.MAX_SAFE_INTEGER,
    balanceAfterMinor: '-8000000000000000000',
  });
  // The longest name of a platform has 63 characters at most.
  const { bytes } = messageOf(largest, `/bss/${'p'.repeat(63)}/ledger`);
  assert.ok(bytes < 1_500, String(bytes));
});

const message = (row: string, bytes: number): EntryMessage => ({ ...messageOf(posting({ row }), SOURCE), bytes });

test('batches keep the order and the limit, and a message above the limit is alone', () => {
  const messages = [4, 4, 2, 11, 1, 9, 1].map((bytes, index) => message(String(index), bytes));
  const batches = batchesOf(messages, 10);
  assert.deepEqual(
    batches.map((batch) => batch.map(({ bytes }) => bytes)),
    [[4, 4, 2], [11], [1, 9], [1]],
  );
  assert.deepEqual(batches.flat(), messages);
  assert.deepEqual(batchesOf([], 10), []);
});

const rows = ['1', '2', '3', '4'].map((seq) => ({ seq }));
const sent: Record<string, { rowsOfMessages: string[]; sent: number; published: string[]; reason: string }> = {
  'nothing sent': { rowsOfMessages: ['1', '2'], sent: 0, published: [], reason: 'the first row is not published' },
  'a part of a row': { rowsOfMessages: ['1', '2', '2', '3'], sent: 2, published: ['1'], reason: 'a message of row 2 is missing' },
  'a whole row': { rowsOfMessages: ['1', '2', '2', '3'], sent: 3, published: ['1', '2'], reason: 'row 3 follows' },
  'rows without messages before': {
    rowsOfMessages: ['3', '3'],
    sent: 0,
    published: ['1', '2'],
    reason: 'they name internal accounts only',
  },
  everything: { rowsOfMessages: ['1', '3'], sent: 2, published: ['1', '2', '3', '4'], reason: 'row 4 has no messages' },
  'no messages at all': { rowsOfMessages: [], sent: 0, published: ['1', '2', '3', '4'], reason: 'there is nothing to send' },
};

for (const [name, { rowsOfMessages, sent: count, published, reason }] of Object.entries(sent)) {
  test(`published rows: ${name}`, () => {
    const messages = rowsOfMessages.map((row) => message(row, 1));
    assert.deepEqual(
      publishedRows(rows, messages, count).map(({ seq }) => seq),
      published,
      reason,
    );
  });
}

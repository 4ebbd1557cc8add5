import assert from 'node:assert/strict';
import test from 'node:test';
import { interestTransaction, readInterestTransaction } from './interest-transaction.ts';

const event = { id: '01890a5d-ac96-774b-bcce-b302099a8057', accountId: 'acc-0000001', currency: 'EUR', days: 30, valueDate: '2026-01-31' };

/** Values of each field that are valid, nearly valid, or of another type. */
const values: Record<keyof typeof event, unknown[]> = {
  id: [
    event.id.toUpperCase(),
    event.id.slice(1),
    `${event.id}\n`,
    `{${event.id}}`,
    event.id.replaceAll('-', ''),
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '00000000-0000-0000-0000-000000000000',
    7,
    null,
    undefined,
  ],
  accountId: ['a', 'A.b_c-9', 'x'.repeat(64), 'x'.repeat(65), '', 'a,b', 'ä', 'a\n', 'null', 1, ['a'], undefined],
  currency: ['USD', 'usd', 'EURO', 'EU', 'EUR\n', '', 978, undefined],
  days: [1, 366, 0, 367, -1, 1.5, '30', Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, null, undefined],
  valueDate: ['2026-1-31', '2026-01-31T00:00:00Z', '2026-01-31\n', '26-01-31', '', '0000-01-01', '9999-12-31', 20260131, undefined],
};

function* dates(): Generator<string> {
  const pad = (part: number): string => String(part).padStart(2, '0');
  for (const year of [1900, 2000, 2023, 2024])
    for (let month = 0; month <= 13; month++) for (let day = 0; day <= 32; day++) yield `${year}-${pad(month)}-${pad(day)}`;
}

function* candidates(): Generator {
  yield* [undefined, null, 'text', 7, [], [event], {}, event, { ...event, note: 'unknown fields are ignored' }];
  for (const [field, list] of Object.entries(values)) for (const value of list) yield { ...event, [field]: value };
  for (const valueDate of dates()) yield { ...event, valueDate };
}

test('the fast reader returns nothing but what the schema returns', () => {
  for (const candidate of candidates()) {
    const read = readInterestTransaction(candidate);
    if (read !== undefined) assert.deepEqual(read, interestTransaction.safeParse(candidate).data, JSON.stringify(candidate));
  }
});

test('the fast reader leaves only ids with capitals and 29 February to the schema', () => {
  for (const candidate of candidates()) {
    const parsed = interestTransaction.safeParse(candidate);
    if (!parsed.success || readInterestTransaction(candidate) !== undefined) continue;
    const { id, valueDate } = candidate as typeof event;
    assert.ok(id !== parsed.data.id || valueDate.endsWith('-02-29'), JSON.stringify(candidate));
  }
});

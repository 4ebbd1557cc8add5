import assert from 'node:assert/strict';
import test from 'node:test';
import { interestTransaction, readInterestTransaction } from '../../contracts/interest-transaction.ts';
import { consumed } from '../../testing/record.ts';
import type { ConsumedRecord } from '../kafka/batch.ts';
import { jsonDecoder } from './decode.ts';
import type { REJECTIONS } from './rejections.ts';

const decode = jsonDecoder(interestTransaction, ({ accountId }) => accountId);
const fast = jsonDecoder(interestTransaction, ({ accountId }) => accountId, readInterestTransaction);

const event = { id: '01890a5d-ac96-774b-bcce-b302099a8057', accountId: 'acc-0000001', currency: 'EUR', days: 30, valueDate: '2026-01-31' };

function record(value: string | Buffer | null, key: string | null = event.accountId): ConsumedRecord {
  return consumed({ key: key === null ? null : Buffer.from(key), value: value === null ? null : Buffer.from(value) });
}

await test('reads an event and ignores unknown fields', () => {
  for (const read of [decode, fast]) assert.deepEqual(read(record(JSON.stringify({ ...event, note: 'x' }))).event, event);
});

await test('an id in capitals is the same id', () => {
  for (const read of [decode, fast])
    assert.equal(read(record(JSON.stringify({ ...event, id: event.id.toUpperCase() }))).event?.id, event.id);
});

const bad: Record<string, { record: ConsumedRecord; code: keyof typeof REJECTIONS; detail: RegExp }> = {
  'no value': { record: record(null), code: 'empty', detail: /no value/ },
  'empty value': { record: record(''), code: 'empty', detail: /no value/ },
  'not JSON': { record: record('{"id":'), code: 'not_json', detail: /JSON/ },
  'not UTF-8': { record: record(Buffer.from([0x7b, 0xff, 0x7d])), code: 'not_json', detail: /valid/ },
  'a number': { record: record('17'), code: 'not_an_event', detail: /object/ },
  'no account': {
    record: record(JSON.stringify({ ...event, accountId: undefined })),
    code: 'not_an_event',
    detail: /accountId: must be a string/,
  },
  'an account id with a comma': {
    record: record(JSON.stringify({ ...event, accountId: 'a,b' }), 'a,b'),
    code: 'not_an_event',
    detail: /accountId: must be 1 to 64/,
  },
  'id is no UUID': { record: record(JSON.stringify({ ...event, id: '1' })), code: 'not_an_event', detail: /id: must be a UUID/ },
  'currency in small letters': {
    record: record(JSON.stringify({ ...event, currency: 'eur' })),
    code: 'not_an_event',
    detail: /currency: must be an ISO 4217/,
  },
  'zero days': { record: record(JSON.stringify({ ...event, days: 0 })), code: 'not_an_event', detail: /days: must be at least 1/ },
  'half a day': { record: record(JSON.stringify({ ...event, days: 1.5 })), code: 'not_an_event', detail: /days: must be a whole number/ },
  'days as text': {
    record: record(JSON.stringify({ ...event, days: '30' })),
    code: 'not_an_event',
    detail: /days: must be a whole number/,
  },
  'no such date': {
    record: record(JSON.stringify({ ...event, valueDate: '2026-02-30' })),
    code: 'not_an_event',
    detail: /valueDate: must be a date/,
  },
  'another key': {
    record: record(JSON.stringify(event), 'acc-0000002'),
    code: 'key_mismatch',
    detail: /record key "acc-0000002", key of the event "acc-0000001"/,
  },
  'no key': { record: record(JSON.stringify(event), null), code: 'key_mismatch', detail: /record key null/ },
};
for (const [name, { record: input, code, detail }] of Object.entries(bad)) {
  await test(`rejected: ${name}`, () => {
    const entry = decode(input);
    assert.equal(entry.event, undefined);
    assert.equal(entry.rejection?.code, code);
    assert.match(entry.rejection?.detail ?? '', detail);
    assert.deepEqual(fast(input), entry, 'with a fast reader, the schema explains the rejection');
  });
}

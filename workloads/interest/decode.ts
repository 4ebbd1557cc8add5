import { setImmediate } from 'node:timers/promises';
import { interestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { ConsumedRecord } from '../shared/kernel/kafka/consumer.ts';
import { asError } from '../shared/kernel/postgres.ts';
import type { Rejection, RejectionCode } from './rejection.ts';
import type { Entry, Slice } from './slice.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Records decoded between two looks at the event loop, so that the database's answers to the slice before are not kept waiting. */
const RECORDS_AT_ONCE = 200;

/** Decodes all entries of a slice, in place, a few at a time. */
export async function decodeSlice(slice: Slice): Promise<void> {
  const entries = slice.flatMap((range) => range.entries);
  for (let index = 0; index < entries.length; index += RECORDS_AT_ONCE) {
    for (const entry of entries.slice(index, index + RECORDS_AT_ONCE)) Object.assign(entry, decode(entry.record));
    await setImmediate();
  }
}

/** Reads a record as an event, or says why it is none. Never throws. */
export function decode(record: ConsumedRecord): Entry {
  if (record.value === null || record.value.length === 0) return rejected(record, 'empty', 'no value');
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(record.value));
  } catch (error) {
    return rejected(record, 'not_json', asError(error).message);
  }
  const result = interestTransaction.safeParse(value);
  if (!result.success) {
    const detail = result.error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');
    return rejected(record, 'not_an_event', detail);
  }
  const key = record.key?.toString() ?? null;
  if (key !== result.data.accountId)
    return rejected(record, 'key_mismatch', `key ${JSON.stringify(key)}, account ${result.data.accountId}`);
  return { record, event: result.data };
}

function rejected(record: ConsumedRecord, code: RejectionCode, detail: string): Entry {
  const rejection: Rejection = { code, detail };
  return { record, rejection };
}

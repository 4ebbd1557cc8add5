import { interestTransaction } from '../src/events/interest-transaction.ts';
import type { ConsumedRecord } from '../src/kernel/kafka/consumer.ts';
import { asError } from '../src/kernel/postgres.ts';
import type { Rejection, RejectionCode } from './rejection.ts';
import type { Entry } from './slice.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

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

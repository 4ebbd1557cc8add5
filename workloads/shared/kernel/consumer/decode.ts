import { setImmediate } from 'node:timers/promises';
import type { z } from 'zod';
import { asError } from '../errors.ts';
import type { ConsumedRecord } from '../kafka/batch.ts';
import type { REJECTIONS } from './rejections.ts';
import type { Entry, Slice } from './slice.ts';

/** Reads a record as an event, or says why it is not one. Never throws. */
export type Decode<E> = (record: ConsumedRecord) => Entry<E>;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Records decoded before the event loop gets a turn, so that the database's answers to the previous slice do not wait. */
const RECORDS_PER_TURN = 200;

/** Decodes all entries of a slice, in place. */
export async function decodeSlice<E>(slice: Slice<E>, decode: Decode<E>): Promise<void> {
  const entries = slice.flatMap((range) => range.entries);
  for (let index = 0; index < entries.length; index += RECORDS_PER_TURN) {
    for (const entry of entries.slice(index, index + RECORDS_PER_TURN)) {
      const { event, rejection } = decode(entry.record);
      if (event !== undefined) entry.event = event;
      if (rejection !== undefined) entry.rejection = rejection;
    }
    await setImmediate();
  }
}

/**
 * Decodes JSON records by a schema.
 * @param keyOf the key that the record must have, so that the events of one key keep their order
 * @param read reads most valid values as the schema would, only faster; the schema reads the others, and explains a rejection
 */
export function jsonDecoder<S extends z.ZodType>(
  schema: S,
  keyOf: (event: z.output<S>) => string,
  read: (value: unknown) => z.output<S> | undefined = () => undefined,
): Decode<z.output<S>> {
  return (record) => {
    if (record.value === null || record.value.length === 0) return rejected(record, 'empty', 'no value');
    let value: unknown;
    try {
      value = JSON.parse(utf8.decode(record.value));
    } catch (error) {
      return rejected(record, 'not_json', asError(error).message);
    }
    let event = read(value);
    if (event === undefined) {
      const result = schema.safeParse(value);
      if (!result.success) return rejected(record, 'not_an_event', explain(result.error));
      event = result.data;
    }
    const [key, expected] = [record.key?.toString() ?? null, keyOf(event)];
    if (key === expected) return { record, event };
    return rejected(record, 'key_mismatch', `record key ${JSON.stringify(key)}, key of the event ${JSON.stringify(expected)}`);
  };
}

function explain({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('; ');
}

function rejected(record: ConsumedRecord, code: keyof typeof REJECTIONS, detail: string): Entry<never> {
  return { record, rejection: { code, detail } };
}

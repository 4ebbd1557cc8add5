import type { ConsumedRecord } from '../kernel/kafka/batch.ts';

/** A record as the consumer gets it: offset 0, without key, value, headers and trace, but for what is given. */
export function consumed(fields: Partial<ConsumedRecord>): ConsumedRecord {
  return { offset: 0n, key: null, value: null, headers: {}, timestamp: '0', traceparent: undefined, ...fields };
}

/**
 * Why a record cannot be applied. The codes are public: readers of dead-letter topics use them. These are the codes of every consumer; a
 * consumer's own are in its folder. docs/events.md documents all of them, and a test compares.
 */
export const REJECTIONS = {
  empty: 'The record has no value',
  not_json: 'The value is not JSON text',
  not_an_event: 'A field of the event is missing or invalid',
  key_mismatch: 'The record key is not the key of the event, so the order of events with one key is not kept',
  refused_by_database: 'The database rejected the values of this event alone, three times',
} as const;

/** A reason, and what exactly was found. */
export interface Rejection<C extends string = string> {
  code: C;
  detail: string;
}

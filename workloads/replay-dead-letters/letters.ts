/** Which dead letters are replayed, and as what. Pure. */
import { firstValues } from '../shared/kernel/consumer/dead-letters.ts';
import type { ConsumedRecord } from '../shared/kernel/kafka/batch.ts';
import type { OutgoingRecord } from '../shared/kernel/kafka/producer.ts';

/** All conditions that are set must hold. */
export interface ReplayFilter {
  /** Only letters of records that came from this topic; they are republished there. */
  topic: string;
  reasons?: readonly string[] | undefined;
  eventIds?: readonly string[] | undefined;
  /** When the letter was written, in milliseconds since the epoch: `from` inclusive, `to` exclusive. */
  from?: number | undefined;
  to?: number | undefined;
}

const header = ({ headers }: ConsumedRecord, name: string): string | undefined => firstValues(headers)[name]?.toString();

/** True when the filter selects the letter, and the letter still has the value of its record. */
export function isSelected(letter: ConsumedRecord, { topic, reasons, eventIds, from = 0, to = Infinity }: ReplayFilter): boolean {
  const time = Number(letter.timestamp);
  return (
    header(letter, 'dlq_topic') === topic &&
    header(letter, 'dlq_value_omitted') === undefined &&
    time >= from &&
    time < to &&
    (reasons === undefined || reasons.includes(header(letter, 'dlq_reason') ?? '')) &&
    (eventIds === undefined || eventIds.includes(header(letter, 'ce_id') ?? ''))
  );
}

/** What copies of one letter, and letters of one event, have in common: the event's id, or the record's place without one. */
export function identityOf(letter: ConsumedRecord): string {
  const place = ['dlq_topic', 'dlq_partition', 'dlq_offset'].map((name) => header(letter, name));
  return header(letter, 'ce_id') ?? place.join('/');
}

/** The record as it was before it became a dead letter. */
export function restored(letter: ConsumedRecord): OutgoingRecord {
  const headers = Object.entries(firstValues(letter.headers)).filter(([name]) => !name.startsWith('dlq_'));
  return { key: letter.key, value: letter.value, headers: Object.fromEntries(headers) };
}

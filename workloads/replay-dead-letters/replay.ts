import type { OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import { readTopic } from '../shared/kernel/kafka/read-topic.ts';
import type { TopicReader } from '../shared/kernel/kafka/read-topic.ts';
import { identityOf, isSelected, restored } from './letters.ts';
import type { ReplayFilter } from './letters.ts';

export interface ReplayResult {
  /** Letters in the dead-letter topic that were read. */
  read: number;
  /** Letters that the filter selects. */
  selected: number;
  /** Selected letters whose event was already replayed in this run. */
  copies: number;
  replayed: number;
  /** True when more letters are selected than the limit allows. */
  limited: boolean;
}

/** Records of one produce request; their values came out of one fetch, so their bytes are bounded too. */
const RECORDS_PER_REQUEST = 200;

/**
 * Reads dead letters up to the present end of their topic, and publishes those that the filter selects, each event once.
 * @param limit most records to publish
 * @param publish resolves when Kafka has acknowledged the records
 */
export async function replay(
  deadLetters: TopicReader,
  filter: ReplayFilter,
  limit: number,
  publish: (records: OutgoingRecord[]) => Promise<void>,
): Promise<ReplayResult> {
  const result: ReplayResult = { read: 0, selected: 0, copies: 0, replayed: 0, limited: false };
  const seen = new Set<string>();
  await readTopic(deadLetters, async ({ records }) => {
    const chosen: OutgoingRecord[] = [];
    for (const letter of records) {
      result.read += 1;
      if (!isSelected(letter, filter)) continue;
      result.selected += 1;
      const identity = identityOf(letter);
      if (seen.has(identity)) result.copies += 1;
      else if (seen.size >= limit) result.limited = true;
      else chosen.push(restored(letter));
      if (seen.size < limit) seen.add(identity);
    }
    for (let start = 0; start < chosen.length; start += RECORDS_PER_REQUEST) {
      const request = chosen.slice(start, start + RECORDS_PER_REQUEST);
      await publish(request);
      result.replayed += request.length;
    }
    return !result.limited;
  });
  return result;
}

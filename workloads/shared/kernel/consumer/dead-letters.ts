import { isTooLarge } from '../kafka/failures.ts';
import type { KafkaProducer, OutgoingRecord } from '../kafka/producer.ts';
import type { Entry, Range, Slice } from './slice.ts';

/** Kafka's default `max.message.bytes` is 1,048,588 bytes for a compressed or uncompressed batch; some room is left for the batch's own fields. */
const MAX_BATCH_BYTES = 900_000;
/** Longest `dlq_detail` in characters. */
const MAX_DETAIL = 1_000;
/** Bytes that a record's fixed fields and each header's lengths take at most. */
const RECORD_OVERHEAD = 64;
const HEADER_OVERHEAD = 10;

type Letter = { entry: Entry; record: OutgoingRecord };

/** Writes rejected records to the dead-letter topic: key, value and headers as they are, and headers with their origin and the reason. */
export class DeadLetters {
  readonly #producer: KafkaProducer;
  readonly #topic: string;
  readonly #group: string;

  constructor(producer: KafkaProducer, topic: string, group: string) {
    this.#producer = producer;
    this.#topic = topic;
    this.#group = group;
  }

  /**
   * Produces the entries that are rejected and not yet dead-lettered; resolves when Kafka has acknowledged them. A process that dies before
   * its position moves produces them again: `dlq_topic`, `dlq_partition` and `dlq_offset` identify copies. A record that is too large for
   * the dead-letter topic is written without its value, which the header `dlq_value_omitted` says.
   * @returns the entries that were produced
   */
  async send<E>(slice: Slice<E>): Promise<Entry<E>[]> {
    const letters = slice.flatMap((range) =>
      range.entries.filter(isWaiting).map((entry) => ({ entry, record: toLetter(range, entry, this.#group) })),
    );
    for (const batch of batches(letters)) {
      await this.#produce(batch);
      for (const { entry } of batch) entry.deadLettered = true;
    }
    return letters.map(({ entry }) => entry);
  }

  async #produce(letters: Letter[]): Promise<void> {
    try {
      await this.#producer.send(this.#topic, () => letters.map(({ record }) => record));
    } catch (error) {
      if (!isTooLarge(error)) throw error;
      const [only] = letters;
      if (letters.length === 1 && only) return void (await this.#producer.send(this.#topic, () => [withoutValue(only.record)]));
      for (const letter of letters) await this.#produce([letter]);
    }
  }
}

function isWaiting({ rejection, deadLettered }: Entry): boolean {
  return rejection !== undefined && deadLettered !== true;
}

/** Consecutive letters whose batch stays below the limit; a letter above it stands alone. */
function batches(letters: Letter[]): Letter[][] {
  const result: Letter[][] = [];
  let room = 0;
  for (const letter of letters) {
    const size = sizeOf(letter.record);
    if (size > room) {
      result.push([]);
      room = MAX_BATCH_BYTES;
    }
    result.at(-1)?.push(letter);
    room -= size;
  }
  return result;
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  const bytes = (content: string | Buffer | null): number => (content === null ? 0 : Buffer.byteLength(content));
  const named = Object.entries(headers).reduce((sum, [name, content]) => sum + bytes(name) + bytes(content) + HEADER_OVERHEAD, 0);
  return RECORD_OVERHEAD + bytes(key) + bytes(value) + named;
}

function withoutValue({ key, value, headers }: OutgoingRecord): OutgoingRecord {
  return { key, value: null, headers: { ...headers, dlq_value_omitted: String(value?.length ?? 0) } };
}

function toLetter(range: Range, { record, rejection }: Entry, group: string): OutgoingRecord {
  return {
    key: record.key,
    value: record.value,
    headers: {
      ...firstValues(record.headers),
      dlq_reason: rejection?.code ?? '',
      dlq_detail: (rejection?.detail ?? '').slice(0, MAX_DETAIL),
      dlq_topic: range.topic,
      dlq_partition: String(range.partition),
      dlq_offset: record.offset.toString(),
      dlq_timestamp: record.timestamp,
      dlq_group: group,
    },
  };
}

/** Headers of a consumed record as a producer takes them; of a repeated header the first value is kept. */
export function firstValues(headers: Entry['record']['headers']): Record<string, string | Buffer> {
  const kept: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) kept[name] = first;
  }
  return kept;
}

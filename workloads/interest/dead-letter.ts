import type { KafkaProducer, OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import type { Entry, Range, Slice } from './slice.ts';

/** Writes rejected records, byte for byte, to the dead-letter topic, with where they came from and why they are there. */
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
   * Produces the entries that are rejected and not yet there; resolves when Kafka has acknowledged them. A process that dies before its
   * position moves will produce them again: readers tell copies by `dlq_topic`, `dlq_partition` and `dlq_offset`.
   * @returns the entries that were produced
   */
  async send(slice: Slice): Promise<Entry[]> {
    const waiting = slice.flatMap((range) => range.entries.filter(isWaiting).map((entry) => ({ range, entry })));
    if (waiting.length === 0) return [];
    await this.#producer.send(this.#topic, () => waiting.map(({ range, entry }) => this.#toRecord(range, entry)));
    for (const { entry } of waiting) entry.deadLettered = true;
    return waiting.map(({ entry }) => entry);
  }

  #toRecord(range: Range, { record, rejection }: Entry): OutgoingRecord {
    return {
      key: record.key,
      value: record.value,
      headers: {
        ...originalHeaders(record.headers),
        dlq_reason: rejection?.code ?? '',
        dlq_detail: rejection?.detail ?? '',
        dlq_topic: range.topic,
        dlq_partition: String(range.partition),
        dlq_offset: record.offset.toString(),
        dlq_timestamp: record.timestamp,
        dlq_group: this.#group,
      },
    };
  }
}

function isWaiting({ rejection, deadLettered }: Entry): boolean {
  return rejection !== undefined && deadLettered !== true;
}

function originalHeaders(headers: Entry['record']['headers']): Record<string, string | Buffer> {
  const kept: Record<string, string | Buffer> = {};
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) kept[name] = first;
  }
  return kept;
}

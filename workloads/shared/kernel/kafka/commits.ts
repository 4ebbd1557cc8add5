import type { Consumer } from 'kafkajs';
import { asError } from '../errors.ts';
import type { Logger } from '../log.ts';

/** By partition, the offset that is committed to Kafka: the one after the last record that was handled. */
export type Offsets = ReadonlyMap<number, bigint>;

/** Commits offsets to Kafka, and remembers those that it did not accept: without them, the lag would stay above zero until the next event. */
export class OffsetCommits {
  readonly #topic: string;
  readonly #log: Logger;
  readonly #open = new Map<number, bigint>();

  constructor(topic: string, log: Logger) {
    this.#topic = topic;
    this.#log = log;
  }

  /** Whether Kafka did not accept some. */
  get anyOpen(): boolean {
    return this.#open.size > 0;
  }

  async commit(consumer: Pick<Consumer, 'commitOffsets'>, positions: Offsets): Promise<void> {
    const offsets = [...positions].map(([partition, offset]) => ({ topic: this.#topic, partition, offset: offset.toString() }));
    if (offsets.length === 0) return;
    try {
      await consumer.commitOffsets(offsets);
      this.accepted(positions);
    } catch (error) {
      this.refused(positions, error);
    }
  }

  /** Commits again what Kafka did not accept, as it is when the call is made. */
  commitOpen(consumer: Pick<Consumer, 'commitOffsets'>): Promise<void> {
    return this.commit(consumer, new Map(this.#open));
  }

  accepted(positions: Offsets): void {
    for (const partition of positions.keys()) this.#open.delete(partition);
  }

  refused(positions: Offsets, error: unknown): void {
    for (const [partition, offset] of positions) this.#open.set(partition, offset);
    this.#log.warn({ error: asError(error) }, 'Kafka did not accept the offset commit; retrying with the next heartbeat or assignment');
  }

  /** The partitions may belong to another member now. */
  forget(): void {
    this.#open.clear();
  }
}

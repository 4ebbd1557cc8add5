import type { Positions } from '../shared/kernel/consumer/positions.ts';
import type { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import type { Logger } from '../shared/kernel/log.ts';
import type { Gauge } from '../shared/kernel/metrics.ts';
import { repeat } from '../shared/kernel/repeat.ts';

const INTERVAL_MS = 500;

export interface FreshnessParts {
  admin: Pick<KafkaAdmin, 'extents'>;
  positions: Pick<Positions, 'read' | 'topic'>;
  /** Records of each partition that are not projected. */
  lag: Gauge<'topic' | 'partition'>;
  log: Logger;
}

/**
 * Up to which time the projection is complete, by partition. Each replica compares the end of the topic with the positions in the database, so
 * that it knows the partitions of the other replicas too.
 */
export class Freshness {
  readonly #parts: FreshnessParts;
  /** Milliseconds since the epoch. */
  readonly #completeUntil = new Map<number, number>();

  constructor(parts: FreshnessParts) {
    this.#parts = parts;
  }

  /** Compares every half second until the returned function is called. */
  start(): () => Promise<void> {
    return repeat({
      log: this.#parts.log,
      what: 'read the progress of the projection',
      intervalMs: INTERVAL_MS,
      round: () => this.compare(),
    });
  }

  /** What Kafka held when the comparison began is projected where the position has reached the end. */
  async compare(): Promise<void> {
    const { admin, positions, lag } = this.#parts;
    const startedAt = Date.now();
    const extents = await admin.extents(positions.topic);
    const stored = await positions.read(extents.map(({ partition }) => partition));
    for (const { partition, low, high } of extents) {
      const next = stored.get(partition)?.next ?? low;
      if (next >= high) this.#completeUntil.set(partition, startedAt);
      lag.set({ topic: positions.topic, partition: String(partition) }, next >= high ? 0 : Number(high - next));
    }
  }

  /** ISO time up to which the postings of an account are complete. @param postedAt time of its last projected posting */
  asOf(completeUntil: number | undefined, postedAt: string): string {
    const posted = Date.parse(postedAt);
    return new Date(Math.max(completeUntil ?? posted, posted)).toISOString();
  }

  /** By partition, in milliseconds since the epoch, as known now: take it before the read that it is to describe. */
  snapshot(): ReadonlyMap<number, number> {
    return new Map(this.#completeUntil);
  }
}

import type { KafkaAdmin } from '../kafka/admin.ts';
import type { Logger } from '../log.ts';
import type { ConsumerMetrics } from './metrics.ts';
import { placements } from './placements.ts';
import type { Placement } from './placements.ts';
import type { Positions } from './positions.ts';

export interface AssignmentParts {
  positions: Positions;
  admin: Pick<KafkaAdmin, 'extents' | 'topicId'>;
  metrics: Pick<ConsumerMetrics, 'lost' | 'recreated'>;
  log: Logger;
}

/**
 * The partitions of this member, and where they continue. The position in the database decides, not the offset committed to Kafka: after a
 * restore, the database catches up from Kafka by itself.
 */
export class Assignment {
  readonly #parts: AssignmentParts;
  /** By partition, the topic for which it was placed last; undefined: Kafka did not report an id. */
  readonly #topicIds = new Map<number, string | undefined>();

  constructor(parts: AssignmentParts) {
    this.#parts = parts;
  }

  /** Takes over the partitions of a new assignment. @returns where each continues */
  async assign(partitions: number[]): Promise<Map<number, bigint>> {
    this.#topicIds.clear();
    return this.resumeFrom(partitions);
  }

  /** Where partitions of the assignment continue. What was lost, or belongs to a deleted topic, is reported and counted. */
  async resumeFrom(partitions: number[]): Promise<Map<number, bigint>> {
    if (partitions.length === 0) return new Map();
    const { positions, admin } = this.#parts;
    const known = await positions.read(partitions);
    const topicId = await admin.topicId(positions.topic);
    const wrong = placements(partitions, known, await admin.extents(positions.topic), topicId);
    for (const placement of wrong) this.#report(placement);
    await positions.place(wrong);
    const placed = wrong.length === 0 ? known : await positions.read(partitions);
    for (const partition of partitions) this.#topicIds.set(partition, topicId);
    return new Map([...placed].map(([partition, { next }]) => [partition, next]));
  }

  /** Id of the topic for which a partition was placed last; undefined: not known. */
  topicIdOf(partition: number): string | undefined {
    return this.#topicIds.get(partition);
  }

  /** True when Kafka reports another topic id than the one for which a partition was placed. */
  async isOutdated(): Promise<boolean> {
    if (this.#topicIds.size === 0) return false;
    const { positions, admin } = this.#parts;
    const topicId = await admin.topicId(positions.topic);
    return topicId !== undefined && [...this.#topicIds.values()].some((placed) => placed !== topicId);
  }

  #report({ partition, from, to, lost, reason }: Placement): void {
    const { log, metrics } = this.#parts;
    const fields = { partition, from: from?.next.toString(), to: to.next.toString(), lost: lost.toString() };
    metrics.lost.inc(Number(lost));
    if (reason === 'new') log.info(fields, 'new partition: starting at its first record');
    if (reason === 'records_deleted')
      log.error(fields, 'retention deleted records that were not applied: continuing at the first one left');
    if (reason === 'topic_recreated') {
      metrics.recreated.inc();
      const ids = { stored_topic_id: from?.topicId, topic_id: to.topicId };
      log.error(
        { ...fields, ...ids },
        'the position in the database belongs to a deleted topic of that name: starting at the first record',
      );
    }
  }
}

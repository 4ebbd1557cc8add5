import type { Queryable } from '../postgres.ts';
import type { Placement, StoredPosition } from './placements.ts';
import type { Slice } from './slice.ts';

/**
 * Positions of one consumer group on one topic, in table `consumer_offset` of the consumer's database (tables.sql). They move in the
 * transaction of the effects, so that each record takes effect exactly once.
 */
export class Positions {
  readonly group: string;
  readonly topic: string;
  readonly #database: Queryable;

  constructor(database: Queryable, group: string, topic: string) {
    this.#database = database;
    this.group = group;
    this.topic = topic;
  }

  /** Positions of the partitions that have one. */
  async read(partitions: number[]): Promise<Map<number, StoredPosition>> {
    return this.#select(this.#database, 'read positions', partitions, '');
  }

  /** As {@link read}, under lock until the transaction ends: a second owner of a partition waits here. */
  async lock(tx: Queryable, partitions: number[]): Promise<Map<number, StoredPosition>> {
    return this.#select(tx, 'lock positions', partitions, 'ORDER BY partition FOR UPDATE');
  }

  /** Moves the positions to the end of each range. @throws Error when a partition has no position */
  async move(tx: Queryable, slice: Slice): Promise<void> {
    const moved = await tx.query(
      'move positions',
      `UPDATE consumer_offset o SET next_offset = p.next_offset, updated_at = now()
         FROM unnest($3::int[], $4::bigint[]) AS p (partition, next_offset)
        WHERE o.consumer_group = $1 AND o.topic = $2 AND o.partition = p.partition RETURNING o.partition`,
      [this.group, this.topic, slice.map(({ partition }) => partition), slice.map(({ next }) => next)],
    );
    if (moved.length !== slice.length) throw new Error(`moved ${moved.length} of ${slice.length} positions`);
  }

  /** Sets positions and their topic ids as the placements say, unless a position is no longer `from` (undefined: there was none). */
  async place(placements: Placement[]): Promise<void> {
    if (placements.length === 0) return;
    await this.#database.query(
      'place positions',
      `INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset, topic_id)
       SELECT $1, $2, partition, target, topic_id FROM unnest($3::int[], $4::bigint[], $5::text[]) AS p (partition, target, topic_id)
        ORDER BY partition
       ON CONFLICT (consumer_group, topic, partition) DO UPDATE
         SET next_offset = excluded.next_offset, topic_id = excluded.topic_id, updated_at = now()
       WHERE EXISTS (SELECT FROM unnest($3::int[], $6::bigint[], $7::text[]) AS p (partition, previous, topic_id)
                      WHERE p.partition = o.partition AND p.previous = o.next_offset AND p.topic_id IS NOT DISTINCT FROM o.topic_id)`,
      [
        this.group,
        this.topic,
        placements.map(({ partition }) => partition),
        placements.map(({ to }) => to.next),
        placements.map(({ to }) => to.topicId ?? null),
        placements.map(({ from }) => from?.next ?? null),
        placements.map(({ from }) => from?.topicId ?? null),
      ],
    );
  }

  async #select(queryable: Queryable, name: string, partitions: number[], lock: string): Promise<Map<number, StoredPosition>> {
    const rows = await queryable.query<{ partition: number; next_offset: string; topic_id: string | null }>(
      name,
      `SELECT partition, next_offset::text, topic_id FROM consumer_offset
        WHERE consumer_group = $1 AND topic = $2 AND partition = ANY ($3::int[]) ${lock}`,
      [this.group, this.topic, partitions],
    );
    return new Map(
      rows.map(({ partition, next_offset, topic_id }) => [partition, { next: BigInt(next_offset), topicId: topic_id ?? undefined }]),
    );
  }
}

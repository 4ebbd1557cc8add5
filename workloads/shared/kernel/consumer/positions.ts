import type { Queryable } from '../postgres.ts';
import type { Placement } from './placements.ts';
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
  async read(partitions: number[]): Promise<Map<number, bigint>> {
    return this.#select(this.#database, 'read positions', partitions, '');
  }

  /** As {@link read}, under lock until the transaction ends: a second owner of a partition waits here. */
  async lock(tx: Queryable, partitions: number[]): Promise<Map<number, bigint>> {
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

  /** Sets positions as the placements say, unless a position is no longer `from` (undefined: there was none). */
  async place(placements: Placement[]): Promise<void> {
    if (placements.length === 0) return;
    await this.#database.query(
      'place positions',
      `INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset)
       SELECT $1, $2, partition, target FROM unnest($3::int[], $4::bigint[]) AS p (partition, target) ORDER BY partition
       ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET next_offset = excluded.next_offset, updated_at = now()
       WHERE o.next_offset = (SELECT p.previous FROM unnest($3::int[], $5::bigint[]) AS p (partition, previous) WHERE p.partition = o.partition)`,
      [
        this.group,
        this.topic,
        placements.map(({ partition }) => partition),
        placements.map(({ to }) => to),
        placements.map(({ from }) => from ?? null),
      ],
    );
  }

  async #select(queryable: Queryable, name: string, partitions: number[], lock: string): Promise<Map<number, bigint>> {
    const rows = await queryable.query<{ partition: number; next_offset: string }>(
      name,
      `SELECT partition, next_offset::text FROM consumer_offset
        WHERE consumer_group = $1 AND topic = $2 AND partition = ANY ($3::int[]) ${lock}`,
      [this.group, this.topic, partitions],
    );
    return new Map(rows.map(({ partition, next_offset }) => [partition, BigInt(next_offset)]));
  }
}

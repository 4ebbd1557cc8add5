import { setTimeout as delay } from 'node:timers/promises';
import { isOtherTopic, type StoredPosition } from '../shared/kernel/consumer/placements.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';

/** Consumers wait no longer than this for a switch. */
const SWITCH_LIMIT_MS = 5_000;
const POLL_MS = 50;

/** The tables of a slot. */
const TRUNCATE = ['TRUNCATE balance_0, statement_line_0', 'TRUNCATE balance_1, statement_line_1'] as const;

/** A generation that is being built. */
export interface Building {
  number: number;
  /** Consumer group whose positions belong to it. */
  group: string;
}

export interface Progress {
  /** Records that the generation that serves has, and the other one has not. */
  behind: bigint;
  /** The other one has positions. */
  started: boolean;
}

type PositionsByPartition = Map<number, StoredPosition>;

const groupOf = (group: string, number: number): string => `${group}-rebuild-${number}`;

/** The records that `built` lacks. A position in a deleted topic of that name has none that could be missing. */
export function progressOf(serving: PositionsByPartition, built: PositionsByPartition): Progress {
  const missing = [...serving].map(([partition, { next, topicId }]) => {
    const own = built.get(partition);
    if (isOtherTopic(own?.topicId, topicId)) return 0n;
    const from = own?.next ?? 0n;
    return from < next ? next - from : 0n;
  });
  return { behind: missing.reduce((sum, records) => sum + records, 0n), started: built.size > 0 };
}

/** The generations of the projection of one topic. */
export class Generations {
  readonly #database: Postgres;
  readonly #group: string;
  readonly #topic: string;

  /** @param group of the consumers of the generation that serves */
  constructor(database: Postgres, group: string, topic: string) {
    this.#database = database;
    this.#group = group;
    this.#topic = topic;
  }

  /** Begins an empty generation. One that another run has begun is removed: that run fails with its next records. */
  async begin(): Promise<Building> {
    return this.#database.transaction(async (tx) => {
      const [serving] = await tx.query<{ slot: 0 | 1; last: number }>(
        'lock generation',
        `SELECT slot, (SELECT max(number) FROM generation) AS last FROM generation WHERE state = 'serving' FOR UPDATE`,
      );
      if (!serving) throw new Error('no generation of the read model serves');
      const number = serving.last + 1;
      const removed = await tx.query<{ number: number }>(
        'remove unfinished generation',
        `DELETE FROM generation WHERE state = 'building' RETURNING number`,
      );
      await this.#removePositions(
        tx,
        removed.map((former) => groupOf(this.#group, former.number)),
      );
      const slot = serving.slot === 0 ? 1 : 0;
      await tx.query('empty slot', TRUNCATE[slot]);
      await tx.query('begin generation', `INSERT INTO generation (number, slot, state) VALUES ($1, $2, 'building')`, [number, slot]);
      return { number, group: groupOf(this.#group, number) };
    });
  }

  /** Compares a generation with the one that serves. @throws Error when another rebuild has removed it */
  async progress(building: Building): Promise<Progress> {
    if ((await this.#stateOf(this.#database, building)) !== 'building')
      throw new Error(`generation ${building.number} was removed: another rebuild has begun`);
    return this.#compare(this.#database, building);
  }

  /**
   * Lets the generation serve, if it has all that the former one has. The positions of the consumers are locked until then, so that they project
   * nothing meanwhile; they continue from the positions of the new generation. Answers therefore never miss a posting that an earlier one had.
   * Safe to repeat after any failure.
   * @returns false when it did not catch up within five seconds; the former generation then goes on
   */
  async switchTo(building: Building): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      if ((await this.#stateOf(tx, building)) === 'serving') return true;
      await tx.query(
        'lock positions',
        'SELECT FROM consumer_offset WHERE consumer_group = $1 AND topic = $2 ORDER BY partition FOR UPDATE',
        [this.#group, this.#topic],
      );
      if (!(await this.#caughtUp(tx, building))) return false;
      // A partition that was added has a position without a lock: nobody moves or adds one from here on.
      await tx.query('lock table of positions', 'LOCK TABLE consumer_offset IN SHARE ROW EXCLUSIVE MODE');
      if ((await this.#compare(tx, building)).behind > 0n) return false;
      await tx.query('end generation', `DELETE FROM generation WHERE state = 'serving'`);
      const served = await tx.query(
        'serve generation',
        `UPDATE generation SET state = 'serving', serving_since = now() WHERE number = $1 AND state = 'building' RETURNING number`,
        [building.number],
      );
      if (served.length === 0) throw new Error(`generation ${building.number} was removed: another rebuild has begun`);
      await tx.query(
        'take over positions',
        `INSERT INTO consumer_offset AS o (consumer_group, topic, partition, next_offset, topic_id)
         SELECT $1, topic, partition, next_offset, topic_id FROM consumer_offset WHERE consumer_group = $2 AND topic = $3
         ON CONFLICT (consumer_group, topic, partition) DO UPDATE
           SET next_offset = excluded.next_offset, topic_id = excluded.topic_id, updated_at = now()`,
        [this.#group, building.group, this.#topic],
      );
      await this.#removePositions(tx, [building.group]);
      return true;
    });
  }

  /** Empties the slot that nothing uses. */
  async removeFormer(): Promise<void> {
    await this.#database.transaction(async (tx) => {
      const rows = await tx.query<{ slot: 0 | 1 }>('lock generation', 'SELECT slot FROM generation FOR UPDATE');
      const [only, another] = rows;
      if (only && !another) await tx.query('empty slot', TRUNCATE[only.slot === 0 ? 1 : 0]);
    });
  }

  async #stateOf(queryable: Queryable, { number }: Building): Promise<string | undefined> {
    const [row] = await queryable.query<{ state: string }>('read generation', 'SELECT state FROM generation WHERE number = $1', [number]);
    return row?.state;
  }

  async #caughtUp(tx: Queryable, building: Building): Promise<boolean> {
    const until = performance.now() + SWITCH_LIMIT_MS;
    while ((await this.#compare(tx, building)).behind > 0n) {
      if (performance.now() > until) return false;
      await delay(POLL_MS);
    }
    return true;
  }

  async #compare(queryable: Queryable, building: Building): Promise<Progress> {
    const rows = await queryable.query<{ group: string; partition: number; next: string; topic_id: string | null }>(
      'read progress',
      `SELECT consumer_group AS group, partition, next_offset::text AS next, topic_id FROM consumer_offset
        WHERE consumer_group = ANY ($1::text[]) AND topic = $2`,
      [[this.#group, building.group], this.#topic],
    );
    const of = (group: string): PositionsByPartition =>
      new Map(
        rows
          .filter((row) => row.group === group)
          .map(({ partition, next, topic_id: topicId }) => [partition, { next: BigInt(next), topicId: topicId ?? undefined }]),
      );
    return progressOf(of(this.#group), of(building.group));
  }

  async #removePositions(tx: Queryable, groups: string[]): Promise<void> {
    await tx.query('remove positions', 'DELETE FROM consumer_offset WHERE consumer_group = ANY ($1::text[]) AND topic = $2', [
      groups,
      this.#topic,
    ]);
  }
}

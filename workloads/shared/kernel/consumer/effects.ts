import type { Postgres, Queryable } from '../postgres.ts';
import type { Position } from '../kafka/batch.ts';
import { isOtherTopic } from './placements.ts';
import type { StoredPosition } from './placements.ts';
import type { Positions } from './positions.ts';
import { accepted, rejectedCount } from './slice.ts';
import type { Accepted, Slice } from './slice.ts';

/** Result of an attempt to apply a slice. */
export type Outcome =
  | { kind: 'applied'; /** Events applied. */ events: number; /** Events skipped because they were applied before. */ duplicates: number }
  /** Entries were rejected; nothing was written. */
  | { kind: 'rejected' }
  /** The database's position of some partitions is not where their ranges start; nothing was written. */
  | { kind: 'moved'; positions: MovedPosition[] }
  /** Some partitions cannot continue before a person mends something; nothing was written. The others can be applied without them. */
  | { kind: 'blocked'; partitions: BlockedPartition[] };

/** A partition that cannot continue. */
export interface BlockedPartition {
  partition: number;
  /** What is wrong, and what to do. */
  reason: string;
}

/** A position in the database that differs from the start of a range. */
export interface MovedPosition extends Position {
  /** It belongs to another topic of that name than the records: their offsets cannot be compared with it. */
  otherTopic: boolean;
}

/** Applies a slice exactly once. Safe to repeat after any failure. */
export type Apply<E> = (slice: Slice<E>) => Promise<Outcome>;

/**
 * Writes the effects of events in the given transaction. An entry that cannot be applied gets its `rejection`: the transaction is then rolled
 * back, the entry goes to the dead-letter topic, and the rest is applied again.
 */
export type Effects<E> = (tx: Queryable, entries: Accepted<E>[]) => Promise<void>;

/** Thrown inside a transaction to roll it back with an outcome. */
export class Rollback extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

/** Runs a transaction that may end in a {@link Rollback}. */
export async function transactionOutcome(database: Postgres, work: (tx: Queryable) => Promise<Outcome>): Promise<Outcome> {
  try {
    return await database.transaction(work);
  } catch (error) {
    if (error instanceof Rollback) return error.outcome;
    throw error;
  }
}

/** @throws Rollback when a position is not where its range starts, or belongs to another topic; Error when a partition has no position */
export function comparePositions(slice: Slice, positions: Map<number, StoredPosition>): void {
  const missing = slice.find(({ partition }) => !positions.has(partition));
  if (missing)
    throw new Error(`partition ${missing.partition} of ${missing.topic} has no position: its row was removed while the consumer ran`);
  const moved = slice.flatMap(({ topic, partition, start, topicId }) => {
    const stored = positions.get(partition) ?? { next: start, topicId };
    const otherTopic = isOtherTopic(topicId, stored.topicId);
    return stored.next === start && !otherTopic ? [] : [{ topic, partition, next: stored.next, otherTopic }];
  });
  if (moved.length > 0) throw new Rollback({ kind: 'moved', positions: moved });
}

/**
 * Effects exactly once: the positions are locked, compared and moved in the transaction of the effects.
 * @param eventId set it unless the effects are idempotent by the event's id: ids are then kept in `applied_event`, and an event that was
 *   produced twice or replayed is skipped
 */
export function exactlyOnce<E>(database: Postgres, positions: Positions, effects: Effects<E>, eventId?: (event: E) => string): Apply<E> {
  return (slice) =>
    transactionOutcome(database, async (tx) => {
      comparePositions(
        slice,
        await positions.lock(
          tx,
          slice.map(({ partition }) => partition),
        ),
      );
      const rejected = rejectedCount(slice);
      const entries = accepted(slice);
      const fresh = eventId ? await unseen(tx, positions.group, entries, eventId) : entries;
      if (fresh.length > 0) await effects(tx, fresh);
      if (rejectedCount(slice) > rejected) throw new Rollback({ kind: 'rejected' });
      await positions.move(tx, slice);
      return { kind: 'applied', events: fresh.length, duplicates: entries.length - fresh.length };
    });
}

/** Records the ids of the events; returns the entries whose id is new, the first of each id. */
async function unseen<E>(tx: Queryable, group: string, entries: Accepted<E>[], eventId: (event: E) => string): Promise<Accepted<E>[]> {
  const firsts = new Map<string, Accepted<E>>();
  for (const entry of entries) if (!firsts.has(eventId(entry.event))) firsts.set(eventId(entry.event), entry);
  // Two groups of partitions may bring the same ids: one order for all writers avoids deadlocks.
  const rows = await tx.query<{ event_id: string }>(
    'record event ids',
    `INSERT INTO applied_event (consumer_group, event_id) SELECT $1, id FROM unnest($2::text[]) AS e (id) ORDER BY id
     ON CONFLICT DO NOTHING RETURNING event_id`,
    [group, [...firsts.keys()]],
  );
  const fresh = new Set(rows.map(({ event_id }) => event_id));
  return [...firsts].filter(([id]) => fresh.has(id)).map(([, entry]) => entry);
}

import type { ConsumedRecord, PartitionBatch } from '../kafka/batch.ts';
import type { Rejection } from './rejections.ts';

/** A record and its state: an event to apply, or the reason why it goes to the dead-letter topic. */
export interface Entry<E = unknown> {
  record: ConsumedRecord;
  event?: E;
  rejection?: Rejection;
  /** True once Kafka has acknowledged its dead letter. */
  deadLettered?: boolean;
}

/** An entry that holds an event and is not rejected. */
export type Accepted<E> = Entry<E> & { event: E };

/** Consecutive entries of one partition: offsets `start` (inclusive) to `next` (exclusive). */
export interface Range<E = unknown> {
  topic: string;
  partition: number;
  start: bigint;
  next: bigint;
  /** Kafka's id of the topic that the records were fetched from; undefined: not known. */
  topicId?: string | undefined;
  entries: Entry<E>[];
}

/** A batch with Kafka's id of its topic. */
export type IdentifiedBatch = PartitionBatch & { topicId?: string | undefined };

/** What one database transaction applies: ranges of different partitions. */
export type Slice<E = unknown> = Range<E>[];

/** The entries of a slice that can be applied, in order. */
export function accepted<E>(slice: Slice<E>): Accepted<E>[] {
  const isAccepted = (entry: Entry<E>): entry is Accepted<E> => entry.event !== undefined && entry.rejection === undefined;
  return slice.flatMap(({ entries }) => entries.filter(isAccepted));
}

/** Number of rejected entries. */
export function rejectedCount(slice: Slice): number {
  return slice.reduce((sum, { entries }) => sum + entries.filter(({ rejection }) => rejection !== undefined).length, 0);
}

/** Number of entries of a slice. */
export function sizeOf(slice: Slice): number {
  return slice.reduce((sum, { entries }) => sum + entries.length, 0);
}

/**
 * Divides batches among at most `lanes` lanes of about the same number of records. All batches of a partition are in one lane, in order. Batches
 * that fit one slice of `max` records stay together: one transaction costs less than two.
 * @returns lanes with batches, one at least
 */
export function divide<B extends PartitionBatch>(batches: B[], lanes: number, max: number): B[][] {
  const total = batches.reduce((sum, { records }) => sum + records.length, 0);
  const wanted = Math.min(lanes, Math.ceil(total / max));
  if (wanted <= 1) return [batches];
  const filled = Array.from({ length: wanted }, () => ({ records: 0, batches: [] as B[] }));
  const partitions = [...Map.groupBy(batches, ({ topic, partition }) => `${topic}/${partition}`).values()].map((own) => ({
    own,
    records: own.reduce((sum, { records }) => sum + records.length, 0),
  }));
  // The largest first, each to the lane with the fewest records.
  for (const { own, records } of partitions.toSorted((one, other) => other.records - one.records)) {
    const lane = filled.reduce((least, candidate) => (candidate.records < least.records ? candidate : least));
    lane.batches.push(...own);
    lane.records += records;
  }
  return filled.map((lane) => lane.batches).filter((own) => own.length > 0);
}

/**
 * Cuts batches into slices of at most `max` records, in order, filling each slice across partitions. Every offset from the start of a batch
 * to its end belongs to exactly one range, so positions can be compared and moved range by range.
 */
export function cut<E>(batches: IdentifiedBatch[], max: number): Slice<E>[] {
  const slices: Slice<E>[] = [];
  let open: Slice<E> = [];
  for (const { topic, partition, start, next, topicId, records } of batches) {
    let rest: Range<E> = { topic, partition, start, next, topicId, entries: records.map((record) => ({ record })) };
    while (sizeOf(open) + rest.entries.length > max) {
      const [taken, left] = splitRange(rest, max - sizeOf(open));
      if (taken) open.push(taken);
      slices.push(open);
      open = [];
      rest = left;
    }
    open.push(rest);
  }
  if (open.length > 0) slices.push(open);
  return slices;
}

/** Splits a range before the entry at `index`; the first part is undefined when it would be empty. */
function splitRange<E>(range: Range<E>, index: number): [Range<E> | undefined, Range<E>] {
  const border = range.entries[index]?.record.offset;
  if (index === 0 || border === undefined) return [undefined, range];
  return [
    { ...range, next: border, entries: range.entries.slice(0, index) },
    { ...range, start: border, entries: range.entries.slice(index) },
  ];
}

/** Two slices of half the entries each, in order. The slice has at least two entries. */
export function halve<E>(slice: Slice<E>): [Slice<E>, Slice<E>] {
  const first: Slice<E> = [];
  const second: Slice<E> = [];
  let room = Math.floor(sizeOf(slice) / 2);
  for (const range of slice) {
    if (room >= range.entries.length && (room > 0 || second.length === 0)) {
      first.push(range);
      room -= range.entries.length;
      continue;
    }
    const [taken, left] = splitRange(range, room);
    if (taken) first.push(taken);
    second.push(left);
    room = 0;
  }
  return [first, second];
}

/** Removes the entries below `position`, which are already applied; undefined when nothing is left. */
export function trim<E>(range: Range<E>, position: bigint): Range<E> | undefined {
  if (position <= range.start) return range;
  if (position >= range.next) return undefined;
  return { ...range, start: position, entries: range.entries.filter(({ record }) => record.offset >= position) };
}

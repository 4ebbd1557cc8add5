import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { ConsumedRecord, PartitionBatch } from '../shared/kernel/kafka/consumer.ts';
import type { Rejection } from './rejection.ts';

/** A record with what became of it so far: an event to apply, or the reason why it goes to the dead-letter topic. */
export interface Entry {
  record: ConsumedRecord;
  event?: InterestTransaction;
  rejection?: Rejection;
  /** True once the dead-letter topic has acknowledged it. */
  deadLettered?: boolean;
}

/** Consecutive entries of one partition: offsets `start` (inclusive) to `next` (exclusive). */
export interface Range {
  topic: string;
  partition: number;
  start: bigint;
  next: bigint;
  entries: Entry[];
}

/** What one database transaction takes: ranges of different partitions. */
export type Slice = Range[];

/** Number of entries of a slice. */
export function sizeOf(slice: Slice): number {
  return slice.reduce((sum, { entries }) => sum + entries.length, 0);
}

/**
 * Cuts batches into slices of at most `max` records, in order, filling each slice across partitions. Every offset from the start of a batch
 * to its end belongs to exactly one range, so positions can be compared and moved range by range.
 */
export function cut(batches: PartitionBatch[], max: number): Slice[] {
  const slices: Slice[] = [];
  let open: Slice = [];
  for (const { topic, partition, start, next, records } of batches) {
    let rest: Range = { topic, partition, start, next, entries: records.map((record) => ({ record })) };
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
function splitRange(range: Range, index: number): [Range | undefined, Range] {
  const border = range.entries[index]?.record.offset;
  if (index === 0 || border === undefined) return [undefined, range];
  return [
    { ...range, next: border, entries: range.entries.slice(0, index) },
    { ...range, start: border, entries: range.entries.slice(index) },
  ];
}

/** Two slices of half the entries each, in order. The slice has at least two entries. */
export function halve(slice: Slice): [Slice, Slice] {
  const first: Slice = [];
  const second: Slice = [];
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

/** Removes what lies below `position` (already applied); undefined when nothing is left. */
export function trim(range: Range, position: bigint): Range | undefined {
  if (position <= range.start) return range;
  if (position >= range.next) return undefined;
  return { ...range, start: position, entries: range.entries.filter(({ record }) => record.offset >= position) };
}

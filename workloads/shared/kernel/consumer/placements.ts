import type { PartitionExtent } from '../kafka/admin.ts';

/** Where a partition continues, and Kafka's id of the topic that this offset belongs to (undefined: not known). */
export interface StoredPosition {
  next: bigint;
  topicId: string | undefined;
}

/** A partition that must continue at `to`; `from` is its position in the database, if it has one. */
export interface Placement {
  partition: number;
  from: StoredPosition | undefined;
  to: StoredPosition;
  /** Offsets that retention deleted before they were applied. */
  lost: bigint;
  reason: 'new' | 'records_deleted' | 'topic_recreated' | 'topic_id_unknown';
}

/**
 * Compares the positions in the database with the topic and the offsets that it holds.
 * A new partition starts at its first record. A position below `low` has lost records to retention. A position of another topic id, or one
 * above `high`, belongs to a topic that was deleted and recreated. Both continue at `low`: an event that is already applied is recognized by
 * its id. A position without a topic id gets that of the topic.
 * @param positions must be read before `extents`: otherwise progress in between looks like a position above `high`
 * @param extents must be read after `topicId`: otherwise the first record of a deleted topic is taken for that of the topic with that id
 * @param topicId undefined when the brokers do not report it: the offsets alone are compared
 */
export function placements(
  partitions: number[],
  positions: Map<number, StoredPosition>,
  extents: PartitionExtent[],
  topicId: string | undefined,
): Placement[] {
  const byPartition = new Map(extents.map((extent) => [extent.partition, extent]));
  return partitions.flatMap((partition): Placement[] => {
    const { low, high } = byPartition.get(partition) ?? { low: 0n, high: 0n };
    const from = positions.get(partition);
    const start = { partition, from, to: { next: low, topicId }, lost: 0n };
    if (from === undefined) return [{ ...start, reason: 'new' }];
    // Every topic begins at offset 0.
    if (isOtherTopic(from.topicId, topicId)) return [{ ...start, lost: low, reason: 'topic_recreated' }];
    if (from.next < low)
      return [{ ...start, to: { next: low, topicId: topicId ?? from.topicId }, lost: low - from.next, reason: 'records_deleted' }];
    if (from.next > high) return [{ ...start, reason: 'topic_recreated' }];
    if (from.topicId === undefined && topicId !== undefined)
      return [{ ...start, to: { next: from.next, topicId }, reason: 'topic_id_unknown' }];
    return [];
  });
}

/** True when both ids are known, and differ. */
export function isOtherTopic(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && a !== b;
}

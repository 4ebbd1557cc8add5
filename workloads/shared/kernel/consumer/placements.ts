import type { PartitionExtent } from '../kafka/admin.ts';

/** A partition that must continue at `to`; `from` is its position in the database, if it has one. */
export interface Placement {
  partition: number;
  from: bigint | undefined;
  to: bigint;
  reason: 'new' | 'records_deleted' | 'topic_recreated';
}

/**
 * Compares the positions in the database with the offsets that the topic holds.
 * A new partition starts at its first record. A position below `low` has lost records to retention. A position above `high` belongs to a
 * topic that was deleted and recreated. Both continue at `low`: an event that is already applied is recognized by its id.
 * @param positions must be read before `extents`: otherwise progress in between looks like a position above `high`
 */
export function placements(partitions: number[], positions: Map<number, bigint>, extents: PartitionExtent[]): Placement[] {
  const byPartition = new Map(extents.map((extent) => [extent.partition, extent]));
  return partitions.flatMap((partition): Placement[] => {
    const { low, high } = byPartition.get(partition) ?? { low: 0n, high: 0n };
    const from = positions.get(partition);
    if (from === undefined) return [{ partition, from, to: low, reason: 'new' }];
    if (from < low) return [{ partition, from, to: low, reason: 'records_deleted' }];
    if (from > high) return [{ partition, from, to: low, reason: 'topic_recreated' }];
    return [];
  });
}

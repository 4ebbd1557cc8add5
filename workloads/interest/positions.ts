/** What the topic holds of a partition: offsets `low` to `high` (exclusive). */
interface Extent {
  partition: number;
  low: bigint;
  high: bigint;
}

/** A partition that must start at `to`; `from` is the position that cannot be continued, if there was one. */
export interface Placement {
  partition: number;
  from: bigint | undefined;
  to: bigint;
  reason: 'new' | 'records_gone' | 'topic_made_anew';
}

/**
 * Compares the database's positions with what the topic holds.
 * A new partition starts at its first record. A position below `low` lost records to retention; one above `high` belongs to a topic that
 * was deleted and made anew. Both continue at `low`: an event that was applied before stays applied once, by its id.
 * @param positions read before `extents`, so that a position above `high` cannot come from progress in between
 */
export function placements(partitions: number[], positions: Map<number, bigint>, extents: Extent[]): Placement[] {
  const byPartition = new Map(extents.map((extent) => [extent.partition, extent]));
  return partitions.flatMap((partition): Placement[] => {
    const { low, high } = byPartition.get(partition) ?? { low: 0n, high: 0n };
    const from = positions.get(partition);
    if (from === undefined) return [{ partition, from, to: low, reason: 'new' }];
    if (from < low) return [{ partition, from, to: low, reason: 'records_gone' }];
    if (from > high) return [{ partition, from, to: low, reason: 'topic_made_anew' }];
    return [];
  });
}

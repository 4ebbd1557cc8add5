import type { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { placements } from './positions.ts';
import type { Placement } from './positions.ts';
import type { InterestStore } from './store.ts';

/**
 * Where the partitions of a new assignment continue: the database decides, not Kafka's committed offsets. A database restored from a
 * backup is thus caught up from Kafka by itself.
 */
export async function resumeFrom(
  partitions: number[],
  topic: string,
  parts: { store: InterestStore; admin: KafkaAdmin; log: Logger },
): Promise<Map<number, bigint>> {
  if (partitions.length === 0) return new Map();
  const positions = await parts.store.positions(partitions);
  const wrong = placements(partitions, positions, await parts.admin.extents(topic));
  if (wrong.length === 0) return positions;
  for (const placement of wrong) report(parts.log, placement);
  await parts.store.place(wrong);
  return parts.store.positions(partitions);
}

function report(log: Logger, { partition, from, to, reason }: Placement): void {
  const fields = { partition, from: from?.toString(), to: to.toString() };
  if (reason === 'new') log.info(fields, 'partition starts');
  else if (reason === 'records_gone') log.error(fields, 'records were deleted before they were applied: continuing at the first one left');
  else log.error(fields, 'the topic ends before the position of the ledger, so it was made anew: starting at its first record');
}

import type { KafkaAdmin } from '../kafka/admin.ts';
import type { Logger } from '../log.ts';
import { placements } from './placements.ts';
import type { Placement } from './placements.ts';
import type { Positions } from './positions.ts';

/**
 * Where the partitions of a new assignment continue. The position in the database decides, not the offset committed to Kafka: after a
 * restore, the database catches up from Kafka by itself.
 * @param lost called with the number of offsets that retention deleted before they were applied
 */
export async function resumeFrom(
  partitions: number[],
  { positions, admin, log, lost }: { positions: Positions; admin: KafkaAdmin; log: Logger; lost: (records: number) => void },
): Promise<Map<number, bigint>> {
  if (partitions.length === 0) return new Map();
  const known = await positions.read(partitions);
  const wrong = placements(partitions, known, await admin.extents(positions.topic));
  if (wrong.length === 0) return known;
  for (const placement of wrong) {
    report(log, placement);
    if (placement.reason === 'records_deleted') lost(Number(placement.to - (placement.from ?? placement.to)));
  }
  await positions.place(wrong);
  return positions.read(partitions);
}

function report(log: Logger, { partition, from, to, reason }: Placement): void {
  const fields = { partition, from: from?.toString(), to: to.toString() };
  if (reason === 'new') log.info(fields, 'new partition: starting at its first record');
  else if (reason === 'records_deleted')
    log.error(fields, 'retention deleted records that were not applied: continuing at the first one left');
  else log.error(fields, 'the topic ends before the position in the database, so it was recreated: starting at its first record');
}

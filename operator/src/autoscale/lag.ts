/** From offsets to lag: pure, and careful never to take "could not be read" for zero. */
import type { Observation, PartitionOffsets, Sample, UnusableReason, UnusableSample, UsableSample } from './types.ts';

/** What must be remembered of the last readable observation to judge the next one. */
export interface LagMemory {
  at: number;
  partitions: PartitionMemory[];
}

/** One partition as it was last read. */
export interface PartitionMemory {
  name: string;
  logStart: number;
  end: number;
  /** -1 when the group never committed. */
  committed: number;
  position: number;
  /** Since when neither the end nor the commit has moved, epoch milliseconds. */
  stillSince: number;
  /** Proven to hold no readable record from the commit to the end (transaction markers, compaction gaps). */
  emptyAbove: boolean;
}

/** How long a lag must have stood still before it is worth asking whether anything readable is left, in seconds. */
export const STILL_SECONDS = 30;

interface ReadablePartition extends PartitionOffsets {
  logStart: number;
  end: number;
  committed: number;
}

/**
 * Judges one observation against the last readable one. An unreadable partition or a jump of offsets makes the whole sample unusable;
 * after a jump the new offsets are the base for the next sample.
 */
export function toSample(memory: LagMemory | null, observation: Observation): { memory: LagMemory | null; sample: Sample } {
  const unreadable = observation.offsets.filter((offsets) => !isReadable(offsets));
  if (observation.offsets.length === 0) return { memory, sample: unusable(observation, 'UnknownTopic', 'the topics have no partitions') };
  if (unreadable.length > 0) {
    const names = unreadable.map(nameOf).slice(0, 5).join(', ');
    return {
      memory,
      sample: unusable(observation, 'UnreadablePartition', `${unreadable.length} partition(s) could not be read: ${names}`),
    };
  }
  const readable = observation.offsets.filter(isReadable);
  const known = new Map(memory?.partitions.map((partition) => [partition.name, partition]));
  const jump = memory === null ? undefined : findJump(known, readable);
  const next = remember(observation.at, known, readable);
  if (jump !== undefined) return { memory: next, sample: unusable(observation, 'OffsetsJumped', jump) };
  return { memory: next, sample: usable(memory, known, next, observation) };
}

/** Lag of one partition: max(0, end - max(committed, log start)), and nothing where nothing readable is left. */
export function lagOf(partition: PartitionMemory): number {
  return partition.emptyAbove ? 0 : Math.max(0, partition.end - partition.position);
}

/** Partitions whose lag has not moved for STILL_SECONDS: perhaps only transaction markers or compaction gaps are left in them. */
export function stillPartitions(memory: LagMemory): PartitionMemory[] {
  const before = memory.at - STILL_SECONDS * 1000;
  return memory.partitions.filter((partition) => lagOf(partition) > 0 && partition.stillSince <= before);
}

/** Marks partitions as holding nothing readable above their commit. The mark goes when their end or commit moves. */
export function markEmpty(memory: LagMemory, names: ReadonlySet<string>): LagMemory {
  return {
    ...memory,
    partitions: memory.partitions.map((partition) => (names.has(partition.name) ? { ...partition, emptyAbove: true } : partition)),
  };
}

/** An unusable sample for an observation that exists only in part. */
export function unusable(from: Pick<UnusableSample, 'at' | 'deployment'>, reason: UnusableReason, message: string): UnusableSample {
  return { usable: false, at: from.at, reason, message, deployment: from.deployment };
}

function isReadable(offsets: PartitionOffsets): offsets is ReadablePartition {
  return offsets.logStart !== null && offsets.end !== null && offsets.committed !== null;
}

function nameOf({ topic, partition }: PartitionOffsets): string {
  return `${topic}/${partition}`;
}

/** Offsets only ever grow; one that shrank, or a partition that went, means that topic or group are not what they were. */
function findJump(known: Map<string, PartitionMemory>, now: ReadablePartition[]): string | undefined {
  let found = 0;
  for (const offsets of now) {
    const name = nameOf(offsets);
    const before = known.get(name);
    if (before === undefined) continue;
    found++;
    if (offsets.end < before.end)
      return `the end of ${name} went back from ${before.end} to ${offsets.end}: the topic was recreated or truncated`;
    if (offsets.logStart < before.logStart)
      return `the start of ${name} went back from ${before.logStart} to ${offsets.logStart}: the topic was recreated`;
    if (offsets.committed < before.committed)
      return `the committed offset of ${name} went back from ${before.committed} to ${offsets.committed}: the group was reset`;
  }
  return found < known.size ? 'partitions disappeared: the topic was recreated' : undefined;
}

function remember(at: number, known: Map<string, PartitionMemory>, now: ReadablePartition[]): LagMemory {
  return {
    at,
    partitions: now.map((offsets) => {
      const name = nameOf(offsets);
      const before = known.get(name);
      const still = before !== undefined && before.end === offsets.end && before.committed === offsets.committed;
      return {
        name,
        logStart: offsets.logStart,
        end: offsets.end,
        committed: offsets.committed,
        position: positionOf(offsets),
        stillSince: still ? before.stillSince : at,
        emptyAbove: still && before.emptyAbove,
      };
    }),
  };
}

/** Where the group will read next. A commit above the end belongs to a topic that is gone: the group will start over. */
function positionOf({ committed, logStart, end }: ReadablePartition): number {
  return committed > end ? logStart : Math.max(committed, logStart);
}

function usable(memory: LagMemory | null, known: Map<string, PartitionMemory>, now: LagMemory, observation: Observation): UsableSample {
  const lag = now.partitions.map(lagOf);
  return {
    usable: true,
    at: observation.at,
    seconds: memory === null ? 0 : (observation.at - memory.at) / 1000,
    partitions: now.partitions.map(({ name }) => name),
    lag,
    totalLag: lag.reduce((sum, one) => sum + one, 0),
    arrived: now.partitions.map((partition) => partition.end - (known.get(partition.name)?.end ?? partition.end)),
    progress: now.partitions.map((partition) => progressOf(known.get(partition.name), partition)),
    delaySeconds: null,
    group: observation.group,
    owners: observation.owners,
    deployment: observation.deployment,
  };
}

/** What was committed since; records that retention removed first were lost, not processed. */
function progressOf(before: PartitionMemory | undefined, now: PartitionMemory): number {
  if (before === undefined || now.committed < 0) return 0;
  return Math.max(0, Math.min(now.committed, now.end) - Math.max(before.position, now.logStart));
}

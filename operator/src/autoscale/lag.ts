/** From offsets to lag: pure, and careful never to take "could not be read" for zero. */
import type { Observation, PartitionOffsets, Sample, UnusableReason, UnusableSample, UsableSample } from './types.ts';

/** What must be remembered of the last readable observation to judge the next one. */
export interface LagMemory {
  at: number;
  partitions: PartitionMemory[];
}

/** One partition as it was last read. */
export interface PartitionMemory {
  topic: string;
  partition: number;
  /** `topic/partition`. */
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
  const before = align(memory, readable);
  const jump = memory === null ? undefined : findJump(memory, before, readable);
  const next = remember(observation.at, before, readable);
  if (jump !== undefined) return { memory: next, sample: unusable(observation, 'OffsetsJumped', jump) };
  return { memory: next, sample: usable(memory, before, next, observation) };
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

type Before = readonly (PartitionMemory | undefined)[];

/** What is remembered of each of these partitions. They nearly always come in the same order, so names are compared only when they do not. */
function align(memory: LagMemory | null, now: readonly ReadablePartition[]): Before {
  const held = memory?.partitions ?? [];
  const same = ({ topic, partition }: ReadablePartition, index: number) =>
    held[index]?.topic === topic && held[index].partition === partition;
  if (held.length === now.length && now.every(same)) return held;
  const known = new Map(held.map((partition) => [partition.name, partition]));
  return now.map((offsets) => known.get(nameOf(offsets)));
}

/** Offsets only ever grow; one that shrank, or a partition that went, means that topic or group are not what they were. */
function findJump(memory: LagMemory, before: Before, now: readonly ReadablePartition[]): string | undefined {
  let found = 0;
  for (const [index, { end, logStart, committed }] of now.entries()) {
    const held = before[index];
    if (held === undefined) continue;
    found++;
    if (end < held.end) return `the end of ${held.name} went back from ${held.end} to ${end}: the topic was recreated or truncated`;
    if (logStart < held.logStart)
      return `the start of ${held.name} went back from ${held.logStart} to ${logStart}: the topic was recreated`;
    if (committed < held.committed)
      return `the committed offset of ${held.name} went back from ${held.committed} to ${committed}: the group was reset`;
  }
  return found < memory.partitions.length ? 'partitions disappeared: the topic was recreated' : undefined;
}

function remember(at: number, before: Before, now: readonly ReadablePartition[]): LagMemory {
  return {
    at,
    partitions: now.map((offsets, index) => {
      const held = before[index];
      const { topic, partition, logStart, end, committed } = offsets;
      const still = held !== undefined && held.end === end && held.committed === committed;
      return {
        topic,
        partition,
        name: held?.name ?? nameOf(offsets),
        logStart,
        end,
        committed,
        position: positionOf(offsets),
        stillSince: still ? held.stillSince : at,
        emptyAbove: still && held.emptyAbove,
      };
    }),
  };
}

/** Where the group will read next. A commit above the end belongs to a topic that is gone: the group will start over. */
function positionOf({ committed, logStart, end }: ReadablePartition): number {
  return committed > end ? logStart : Math.max(committed, logStart);
}

function usable(memory: LagMemory | null, before: Before, now: LagMemory, observation: Observation): UsableSample {
  const lag = now.partitions.map(lagOf);
  return {
    usable: true,
    at: observation.at,
    seconds: memory === null ? 0 : (observation.at - memory.at) / 1000,
    partitions: now.partitions.map(({ name }) => name),
    lag,
    totalLag: lag.reduce((sum, one) => sum + one, 0),
    arrived: now.partitions.map((partition, index) => partition.end - (before[index]?.end ?? partition.end)),
    progress: now.partitions.map((partition, index) => progressOf(before[index], partition)),
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

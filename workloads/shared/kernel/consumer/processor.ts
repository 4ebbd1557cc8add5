import { asError } from '../errors.ts';
import { isFatal } from '../kafka/failures.ts';
import type { PartitionBatch } from '../kafka/batch.ts';
import type { Lease } from '../kafka/lease.ts';
import type { Logger } from '../log.ts';
import { countStatements, isDataError, isTransient } from '../postgres.ts';
import { whileHeld } from '../retry.ts';
import type { DeadLetters } from './dead-letters.ts';
import { decodeSlice } from './decode.ts';
import type { Decode } from './decode.ts';
import type { Apply, BlockedPartition, MovedPosition, Outcome } from './effects.ts';
import type { ConsumerMetrics } from './metrics.ts';
import type { Rejection } from './rejections.ts';
import { cut, divide, halve, sizeOf, trim } from './slice.ts';
import type { Entry, IdentifiedBatch, Slice } from './slice.ts';
import { inBatchSpan, tracesOf } from './trace.ts';

/** Attempts for a record that the database rejects alone, before it is dead-lettered. */
const ATTEMPTS_ALONE = 3;
/** A partition that cannot continue is tried again after this time. */
const BLOCKED_RETRY_MS = 5_000;
/** Traces of producers that the record of a batch names: whoever searches the logs for one of them finds the batch. */
const MAX_LOGGED_TRACES = 16;

export interface ProcessorParts<E> {
  decode: Decode<E>;
  apply: Apply<E>;
  /** Undefined: rejected records are skipped. */
  deadLetters: DeadLetters | undefined;
  /** Where partitions continue, once their positions are compared with what the topic holds. */
  resumeFrom: (partitions: number[]) => Promise<Map<number, bigint>>;
  /** Id of the topic for which a partition was placed last; undefined: not known. */
  topicIdOf: (partition: number) => string | undefined;
  metrics: ConsumerMetrics;
  log: Logger;
  group: string;
  /** Most records of one transaction. */
  maxRecords: number;
  /** Most transactions at a time, each with partitions of its own; default 1. */
  lanes?: number | undefined;
  idsOf?: ((event: E) => Record<string, string>) | undefined;
  /** Each sampled message gets a span and a log record of its own. */
  followMessages?: boolean | undefined;
  onRejected?: ((rejection: Rejection) => void) | undefined;
}

/** Takes the batches of a fetch through decoding, database and dead-letter topic, each record exactly once. */
export class Processor<E> {
  readonly #parts: ProcessorParts<E>;

  constructor(parts: ProcessorParts<E>) {
    this.#parts = parts;
  }

  /** Applies batches slice by slice while the lease is held; the next owner of the partitions fetches the rest again. */
  async onBatches(batches: PartitionBatch[], lease: Lease): Promise<void> {
    const { maxRecords, topicIdOf, lanes = 1 } = this.#parts;
    // The id of now: these batches were fetched after the last seek, and a topic that is recreated meanwhile must not get their positions.
    const identified = batches.map((batch) => ({ ...batch, topicId: topicIdOf(batch.partition) }));
    // A lane that fails does not leave another one writing when this returns.
    const results = await Promise.allSettled(divide(identified, lanes, maxRecords).map((lane) => this.#inLane(lane, lease)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #inLane(batches: IdentifiedBatch[], lease: Lease): Promise<void> {
    const { decode, maxRecords } = this.#parts;
    const dropped = new Set<number>();
    // A slice that is written is let go, with its events.
    const slices = cut<E>(batches, maxRecords);
    let next = slices.shift();
    let decoded = decodeSlice(next ?? [], decode);
    while (next) {
      await decoded;
      if (!lease.held) return;
      const wanted = next.filter(({ partition }) => !dropped.has(partition));
      // The next slice is decoded while the database works on this one.
      next = slices.shift();
      decoded = decodeSlice(next ?? [], decode);
      if (wanted.length > 0) await this.#measured(wanted, lease, dropped);
    }
  }

  async #measured(slice: Slice<E>, lease: Lease, dropped: Set<number>): Promise<void> {
    const { metrics, group, followMessages = false, log, idsOf = () => ({}) } = this.#parts;
    const startedAt = performance.now();
    const work = async (): Promise<void> => {
      const { statements } = await countStatements(() => this.#process(slice, lease, dropped));
      metrics.batchSize.observe({}, sizeOf(slice));
      metrics.batchSeconds.observe({}, (performance.now() - startedAt) / 1000);
      metrics.dbCalls.observe({}, statements);
    };
    await inBatchSpan(slice, group, work, followMessages ? { log, idsOf } : undefined);
  }

  /** Applies a slice, or its halves when the database rejects its data. */
  async #process(slice: Slice<E>, lease: Lease, dropped: Set<number>, attempt = 1): Promise<void> {
    try {
      await this.#apply(slice, lease, dropped);
    } catch (error) {
      if (!isDataError(error)) throw error;
      if (sizeOf(slice) > 1) return this.#processHalves(slice, lease, dropped, error);
      if (attempt >= ATTEMPTS_ALONE) reject(slice, asError(error));
      await this.#process(slice, lease, dropped, attempt + 1);
    }
  }

  async #processHalves(slice: Slice<E>, lease: Lease, dropped: Set<number>, error: unknown): Promise<void> {
    this.#parts.metrics.fallbacks.inc();
    this.#parts.log.warn({ error, records: sizeOf(slice) }, 'the database rejected a batch; halving it');
    for (const half of halve(slice)) {
      const wanted = half.filter(({ partition }) => !dropped.has(partition));
      if (lease.held && wanted.length > 0) await this.#process(wanted, lease, dropped);
    }
  }

  /** Writes one slice; rejected records are in the dead-letter topic before the position passes them. */
  async #apply(slice: Slice<E>, lease: Lease, dropped: Set<number>): Promise<void> {
    for (let open = slice; open.length > 0;) {
      if (!(await this.#deadLetter(open, lease))) return;
      const outcome = await this.#write(open, lease);
      if (outcome === undefined) return;
      if (outcome.kind === 'applied') return this.#applied(open, outcome, lease);
      if (outcome.kind === 'moved') open = await this.#follow(open, outcome.positions, lease, dropped);
      if (outcome.kind === 'blocked') open = this.#block(open, outcome.partitions, lease, dropped);
    }
  }

  #write(slice: Slice<E>, lease: Lease): Promise<Outcome | undefined> {
    const { apply, log } = this.#parts;
    return whileHeld(lease, { log, what: 'apply a batch', retryable: isTransient }, () => apply(slice));
  }

  /** False when the lease ended first. */
  async #deadLetter(slice: Slice<E>, lease: Lease): Promise<boolean> {
    const { deadLetters, log } = this.#parts;
    if (!deadLetters) return true;
    const retried = { log, what: 'write dead letters', retryable: (error: unknown) => !isFatal(error) };
    const sent = await whileHeld(lease, retried, () => deadLetters.send(slice));
    if (sent) this.#reportRejected(slice, sent);
    return sent !== undefined;
  }

  /** One log record for each reason: a burst of rejected records must not become a burst of logs. */
  #reportRejected(slice: Slice<E>, entries: Entry<E>[]): void {
    const { metrics, log, onRejected, idsOf } = this.#parts;
    for (const [reason, group = []] of Object.entries(Object.groupBy(entries, ({ rejection }) => rejection?.code ?? ''))) {
      metrics.deadLetters.inc({ reason }, group.length);
      for (const { rejection } of group) if (rejection) onRejected?.(rejection);
      const [first] = group;
      const partition = slice.find((range) => range.entries.some((entry) => entry === first))?.partition;
      const example = { partition, offset: first?.record.offset.toString(), detail: first?.rejection?.detail };
      const ids = first?.event === undefined ? {} : idsOf?.(first.event);
      log.warn({ reason, records: group.length, first: example, ...ids }, 'records sent to the dead-letter topic');
    }
  }

  #applied(slice: Slice<E>, { events, duplicates }: Outcome & { kind: 'applied' }, lease: Lease): void {
    const { metrics, log } = this.#parts;
    metrics.duplicates.inc(duplicates);
    lease.done(slice);
    const traces = tracesOf(slice, MAX_LOGGED_TRACES);
    log.info({ records: sizeOf(slice), applied: events, duplicates, partitions: slice.length, producer_traces: traces }, 'batch applied');
  }

  /** Partitions that cannot continue are tried again later, from where they are; the others continue. @returns the part of the slice that is theirs */
  #block(slice: Slice<E>, blocked: BlockedPartition[], lease: Lease, dropped: Set<number>): Slice<E> {
    const { log, metrics } = this.#parts;
    const reasons = new Map(blocked.map(({ partition, reason }) => [partition, reason]));
    for (const { topic, partition, start } of slice.filter((range) => reasons.has(range.partition))) {
      dropped.add(partition);
      metrics.blocked.inc();
      const fields = { topic, partition, position: start.toString(), reason: reasons.get(partition), retry_ms: BLOCKED_RETRY_MS };
      log.error(fields, 'the partition cannot continue; retrying from its position');
      lease.suspend(topic, partition, start, BLOCKED_RETRY_MS);
    }
    return slice.filter(({ partition }) => !reasons.has(partition));
  }

  /**
   * Another owner has moved a partition, the Kafka client has skipped records, or the topic was recreated: drops what is applied, and seeks
   * to what is missing.
   * @returns the part of the slice that is still to be applied
   */
  async #follow(slice: Slice<E>, moved: MovedPosition[], lease: Lease, dropped: Set<number>): Promise<Slice<E>> {
    const { log, resumeFrom } = this.#parts;
    log.warn({ positions: moved.map(({ partition, next }) => `${partition}@${next}`) }, 'positions in the database moved; following them');
    const positions = new Map(moved.map(({ partition, next }) => [partition, next]));
    const elsewhere = new Set(moved.filter(({ otherTopic }) => otherTopic).map(({ partition }) => partition));
    const behind = slice.filter(({ partition, start }) => elsewhere.has(partition) || (positions.get(partition) ?? start) < start);
    for (const { partition } of behind) dropped.add(partition);
    const retried = { log, what: 'read where partitions continue', retryable: (error: unknown) => isTransient(error) || !isFatal(error) };
    // Retention may have deleted the records in between: the position is then moved past the gap, which is logged.
    const targets = await whileHeld(lease, retried, () => resumeFrom(behind.map(({ partition }) => partition)));
    for (const { topic, partition } of behind) {
      const target = targets?.get(partition);
      if (target !== undefined) lease.seek(topic, partition, target);
    }
    return slice.filter((range) => !behind.includes(range)).flatMap((range) => rest(range, positions.get(range.partition), lease));
  }
}

/** What is left of a range from the position on; a range that is applied as a whole is acknowledged. */
function rest<E>(range: Slice<E>[number], position: bigint | undefined, lease: Lease): Slice<E> {
  if (position === undefined) return [range];
  const left = trim(range, position);
  if (!left) lease.done([range]);
  return left ? [left] : [];
}

function reject(slice: Slice, error: Error): void {
  for (const entry of slice.flatMap(({ entries }) => entries)) entry.rejection = { code: 'refused_by_database', detail: error.message };
}

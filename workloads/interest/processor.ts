import { isFatal } from '../shared/kernel/kafka/failures.ts';
import type { Lease, PartitionBatch, Position } from '../shared/kernel/kafka/consumer.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { asError, isDataError, isTransient } from '../shared/kernel/postgres.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { untilHeld } from './attempts.ts';
import type { Calculation } from './calculate.ts';
import type { DeadLetters } from './dead-letter.ts';
import { decodeSlice } from './decode.ts';
import type { InterestMetrics } from './metrics.ts';
import type { ProductConfigs } from './product-configs.ts';
import { cut, halve, sizeOf, trim } from './slice.ts';
import type { Slice } from './slice.ts';
import type { InterestStore, Outcome } from './store.ts';
import { inBatchSpan } from './trace.ts';

/** A record that the database refuses alone is tried this often before it counts as poison. */
const TRIES_ALONE = 3;

export interface ProcessorParts {
  database: Postgres;
  store: InterestStore;
  configs: ProductConfigs;
  deadLetters: DeadLetters;
  metrics: InterestMetrics;
  log: Logger;
  group: string;
  /** Most records of one transaction. */
  maxRecords: number;
}

/** Takes what a fetch brought through validation, calculation, database and dead-letter topic, exactly once each. */
export class InterestProcessor {
  readonly #parts: ProcessorParts;

  constructor(parts: ProcessorParts) {
    this.#parts = parts;
  }

  /** Applies batches slice by slice for as long as the lease holds; what is left then will be fetched again by whoever owns it. */
  async onBatches(batches: PartitionBatch[], lease: Lease): Promise<void> {
    const dropped = new Set<number>();
    const slices = cut(batches, this.#parts.maxRecords);
    let decoded = decodeSlice(slices[0] ?? []);
    for (const [index, slice] of slices.entries()) {
      await decoded;
      if (!lease.held) return;
      // The next slice is decoded while the database works on this one.
      decoded = decodeSlice(slices[index + 1] ?? []);
      const wanted = slice.filter(({ partition }) => !dropped.has(partition));
      if (wanted.length > 0) await this.#measured(wanted, lease, dropped);
    }
  }

  async #measured(slice: Slice, lease: Lease, dropped: Set<number>): Promise<void> {
    const { database, metrics, group } = this.#parts;
    const calls = database.calls;
    const stop = metrics.batchSeconds.startTimer();
    metrics.batchSize.observe(sizeOf(slice));
    await inBatchSpan(slice, group, () => this.#process(slice, lease, dropped));
    stop();
    metrics.dbCalls.observe(database.calls - calls);
  }

  /** Applies a slice, or its halves when the database refuses it for what it contains. */
  async #process(slice: Slice, lease: Lease, dropped: Set<number>, tries = 1): Promise<void> {
    try {
      await this.#apply(slice, lease, dropped);
    } catch (error) {
      if (!isDataError(error)) throw error;
      if (sizeOf(slice) > 1) return this.#processHalves(slice, lease, dropped, error);
      if (tries >= TRIES_ALONE) this.#reject(slice, asError(error));
      await this.#process(slice, lease, dropped, tries + 1);
    }
  }

  async #processHalves(slice: Slice, lease: Lease, dropped: Set<number>, error: unknown): Promise<void> {
    this.#parts.metrics.fallbacks.inc();
    this.#parts.log.warn({ error, records: sizeOf(slice) }, 'the database refused a batch: halving it');
    for (const half of halve(slice)) {
      const wanted = half.filter(({ partition }) => !dropped.has(partition));
      if (lease.held && wanted.length > 0) await this.#process(wanted, lease, dropped);
    }
  }

  #reject(slice: Slice, error: Error): void {
    for (const entry of slice.flatMap(({ entries }) => entries)) entry.rejection = { code: 'refused_by_database', detail: error.message };
  }

  /** One slice to the database, with what it rejects sent to the dead-letter topic before the position passes it. */
  async #apply(slice: Slice, lease: Lease, dropped: Set<number>): Promise<void> {
    for (let open = slice; open.length > 0;) {
      if (!(await this.#deadLetter(open, lease))) return;
      const outcome = await this.#write(open, lease);
      if (outcome === undefined) return;
      if (outcome.kind === 'applied') return this.#applied(open, outcome, lease);
      if (outcome.kind === 'moved') open = this.#follow(open, outcome.positions, lease, dropped);
    }
  }

  async #write(slice: Slice, lease: Lease): Promise<Outcome | undefined> {
    const { configs, store, metrics, log } = this.#parts;
    const attempt = async () => store.apply(slice, await configs.lookup(), (seconds) => metrics.latency.observe(seconds));
    return untilHeld(lease, attempt, isTransient, (error, delay) =>
      log.warn({ error, delay_ms: delay }, 'the database did not take a batch: trying again'),
    );
  }

  /** False when the lease ended first. */
  async #deadLetter(slice: Slice, lease: Lease): Promise<boolean> {
    const { deadLetters, metrics, log } = this.#parts;
    const sent = await untilHeld(
      lease,
      () => deadLetters.send(slice),
      (error) => !isFatal(error),
      (error, delay) => log.error({ error, delay_ms: delay }, 'the dead-letter topic did not take records: trying again'),
    );
    for (const { record, rejection } of sent ?? []) {
      metrics.calculations.inc({ status: 'failure' });
      metrics.deadLetters.inc({ reason: rejection?.code ?? '' });
      log.warn(
        { reason: rejection?.code, detail: rejection?.detail, offset: record.offset.toString() },
        'record sent to the dead-letter topic',
      );
    }
    return sent !== undefined;
  }

  #applied(slice: Slice, { entries, duplicates }: Calculation, lease: Lease): void {
    const { metrics, log } = this.#parts;
    metrics.calculations.inc({ status: 'success' }, entries.length);
    metrics.duplicates.inc(duplicates);
    lease.done(slice);
    log.debug({ records: sizeOf(slice), applied: entries.length, duplicates, partitions: slice.length }, 'batch applied');
  }

  /**
   * Another owner moved a partition on, or the client skipped ahead of the database: drops what is applied, and goes back to what is missing.
   * @returns what is left of the slice
   */
  #follow(slice: Slice, positions: Position[], lease: Lease, dropped: Set<number>): Slice {
    this.#parts.log.warn(
      { positions: positions.map(({ partition, next }) => `${partition}@${next}`) },
      'positions moved: following the database',
    );
    const byPartition = new Map(positions.map(({ partition, next }) => [partition, next]));
    return slice.flatMap((range): Slice => {
      const position = byPartition.get(range.partition);
      if (position === undefined) return [range];
      if (position < range.start) {
        dropped.add(range.partition);
        lease.seek(range.topic, range.partition, position);
        return [];
      }
      const rest = trim(range, position);
      if (!rest) lease.done([range]);
      return rest ? [rest] : [];
    });
  }
}

import type { EachBatchPayload } from 'kafkajs';
import { asError } from '../errors.ts';
import type { OffsetCommits } from './commits.ts';
import { nextOffsets, type PartitionBatch, type Position } from './batch.ts';

/** What a handler may do while it holds its partitions. */
export interface Lease {
  /** False once the partitions may belong to another member, or the process drains: the handler must write nothing more. */
  readonly held: boolean;
  /** Commits partitions up to `next` (exclusive) to Kafka; the effects are already written. */
  done(positions: Position[]): void;
  /** Continues a partition from another offset; the rest of its batch is dropped. */
  seek(topic: string, partition: number, offset: bigint): void;
  /** As {@link seek}, after a time in milliseconds; other partitions continue. */
  suspend(topic: string, partition: number, offset: bigint, ms: number): void;
}

/** What a lease needs of the consumer. */
export interface LeaseParts {
  stopping: () => boolean;
  /** Called with each heartbeat. */
  alive: () => void;
  commits: Pick<OffsetCommits, 'accepted' | 'refused'>;
  seek: (partition: number, offset: bigint) => void;
  suspend: (partition: number, offset: bigint, ms: number) => void;
}

/** Short: a member learns of a rebalance from its heartbeat, and all members wait for the last one to join. */
export const HEARTBEAT_MS = 500;

/** The right to write for the partitions of one fetch. It ends with the first heartbeat or commit that fails, and when the client rejoins the group. */
export class GroupLease implements Lease {
  readonly #payloads: Map<number, EachBatchPayload>;
  readonly #parts: LeaseParts;
  readonly #timer: NodeJS.Timeout;
  /** What is done with partitions once the lease has ended. */
  readonly #moves = new Map<number, () => void>();
  readonly #progress = new Map<number, bigint>();
  /** Resolves when the lease ends early. */
  readonly ended: Promise<void>;
  readonly #end: () => void;
  #lost: unknown;
  readonly #expiry = Promise.withResolvers<void>();
  #expired = false;
  #commits: Promise<void> = Promise.resolve();

  constructor(payloads: EachBatchPayload[], parts: LeaseParts) {
    this.#payloads = new Map(payloads.map((payload) => [payload.batch.partition, payload]));
    this.#parts = parts;
    ({ promise: this.ended, resolve: this.#end } = Promise.withResolvers<void>());
    this.#timer = setInterval(() => void this.beat(), HEARTBEAT_MS);
  }

  get held(): boolean {
    if (this.#lost !== undefined || this.#expired || this.#parts.stopping()) return false;
    return [...this.#payloads.values()].every((payload) => payload.isRunning());
  }

  /** Whether the client has rejoined the group. */
  get expired(): boolean {
    return this.#expired;
  }

  /** How far the handler has come, by partition: the offset after the last record. */
  get progress(): ReadonlyMap<number, bigint> {
    return this.#progress;
  }

  /** Sends a heartbeat if one is due. */
  async beat(): Promise<void> {
    const [payload] = this.#payloads.values();
    await payload?.heartbeat().then(this.#parts.alive, (error: unknown) => this.#lose(error));
  }

  done(positions: Position[]): void {
    const known = positions.filter(({ partition }) => this.#payloads.has(partition));
    for (const { partition, next } of known) this.#progress.set(partition, next);
    // The assignment that ended this lease commits the positions of the partitions that are still of this member.
    if (this.#expired) return;
    const topics = known.map(({ topic, partition, next }) => ({ topic, partitions: [{ partition, offset: next.toString() }] }));
    const merged = Object.entries(Object.groupBy(topics, ({ topic }) => topic)).map(([topic, entries = []]) => ({
      topic,
      partitions: entries.flatMap(({ partitions }) => partitions),
    }));
    const [payload] = this.#payloads.values();
    this.#commits = this.#commits
      .then(() => (this.#lost === undefined ? payload?.commitOffsetsIfNecessary({ topics: merged }) : Promise.reject(asError(this.#lost))))
      .then(() => this.#parts.commits.accepted(nextOffsets(known)))
      .catch((error: unknown) => {
        if (this.#expired) return;
        this.#parts.commits.refused(nextOffsets(known), error);
        this.#lose(error);
      });
  }

  seek(_topic: string, partition: number, offset: bigint): void {
    this.#moves.set(partition, () => this.#parts.seek(partition, offset));
  }

  suspend(_topic: string, partition: number, offset: bigint, ms: number): void {
    this.#moves.set(partition, () => this.#parts.suspend(partition, offset, ms));
  }

  #lose(error: unknown): void {
    this.#lost ??= error;
    this.#end();
  }

  /** Ends the lease because the client rejoins the group: it knows already. */
  expire(): void {
    this.#expired = true;
    this.#expiry.resolve();
    this.#end();
  }

  /**
   * Waits for the commits in progress, and moves the partitions. A lease that has expired does neither: the assignment commits and moves.
   * @returns the error that ended the lease, where the client does not know it; or undefined
   */
  async end(): Promise<unknown> {
    clearInterval(this.#timer);
    await Promise.race([this.#commits, this.#expiry.promise]);
    if (this.#expired) return undefined;
    for (const move of this.#moves.values()) move();
    return this.#lost;
  }

  /** Where the handler has left off in batches that it has neither finished nor moved. */
  unfinished(batches: PartitionBatch[]): Position[] {
    return batches
      .map(({ topic, partition, start, next }) => ({ topic, partition, end: next, next: this.#progress.get(partition) ?? start }))
      .filter(({ partition, next, end }) => next < end && !this.#moves.has(partition));
  }
}

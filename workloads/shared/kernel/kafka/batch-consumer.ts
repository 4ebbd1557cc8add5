import type { Consumer, ConsumerConfig, ConsumerEndBatchProcessEvent, EachBatchPayload, Kafka } from 'kafkajs';
import type { RetryPolicy } from 'cockatiel';
import type { Logger } from '../log.ts';
import { WORK_BUCKETS } from '../metrics.ts';
import type { Counter, Histogram, Metrics } from '../metrics.ts';
import { nextOffsets, toBatch, type PartitionBatch, type Position } from './batch.ts';
import { createKafka, METADATA_MAX_AGE_MS } from './client.ts';
import type { KafkaConnection } from './client.ts';
import { OffsetCommits } from './commits.ts';
import { isFatal, withLimit } from './failures.ts';
import { LagSeconds } from './lag.ts';
import { GroupLease, HEARTBEAT_MS, type Lease } from './lease.ts';
import { messageCounter } from './metrics.ts';
import { retryPolicy } from '../retry.ts';

export interface BatchConsumerOptions {
  connection: KafkaConnection;
  clientId: string;
  group: string;
  topic: string;
  minBytes: number;
  maxWaitMs: number;
  /** Most bytes of one fetch over all partitions; bounds the memory and the time until a member can leave. */
  maxBytes: number;
  /**
   * Where to continue, by partition; partitions that it leaves out continue at the group's committed offset. It may retry until `signal` is
   * aborted, which happens at the next assignment and at the stop.
   */
  onAssigned(partitions: number[], signal: AbortSignal): Promise<Map<number, bigint>>;
  /** Handles the batches of one fetch, all partitions at once. Throws only for defects: the process then ends. */
  onBatches(batches: PartitionBatch[], lease: Lease): Promise<void>;
  /** Called when the consumer cannot continue. */
  onFatal(error: unknown): void;
}

const SESSION_TIMEOUT_MS = 10_000;
const REBALANCE_TIMEOUT_MS = 30_000;
/** The batches of all partitions arrive at once, so that one transaction can take the records of many. */
const CONCURRENT_PARTITIONS = 256;
/** A client without a fetch or heartbeat for this long hangs: its process must be restarted. */
const STALL_MS = 90_000;
const LEAVE_LIMIT_MS = 8_000;
/** A client that ran this long did not fail at its start: the backoff starts over. */
const STABLE_MS = 60_000;

type State = 'starting' | 'joined' | 'away' | 'stopped';
type FilteredBatch = Pick<ConsumerEndBatchProcessEvent['payload'], 'topic' | 'partition' | 'lastOffset'> & { firstOffset: string | null };
type PendingBatch = { payload: EachBatchPayload; resolve: () => void; reject: (error: unknown) => void };

interface Fetch {
  readonly consumer: Consumer | undefined;
  readonly pending: PendingBatch[];
  readonly batches: PartitionBatch[];
  readonly lease: GroupLease;
  /** Whether the client fetches during the write. */
  readonly ahead: boolean;
}

interface Write {
  readonly partitions: ReadonlySet<number>;
  readonly ended: Promise<void>;
}

/**
 * A batch consumer that never stops silently and writes nothing for partitions that it has lost.
 *
 * kafkajs keeps delivering records during a rebalance, and stops for good on some errors. Therefore heartbeats continue while batches are
 * handled, and a failed heartbeat ends the lease at once; its error is returned to the client, which then rejoins; a crashed client is replaced
 * with backoff, unless the error is fatal.
 *
 * While a fetch is handled and the broker has more, the client fetches once more. What it gets waits until the former fetch of these partitions
 * is written, and is dropped where that one has left something out.
 */
export class BatchConsumer {
  readonly #options: BatchConsumerOptions;
  readonly #log: Logger;
  readonly #kafka: Pick<Kafka, 'consumer'>;
  readonly #consumed: Counter<'direction' | 'topic'>;
  readonly #rebalances: Counter;
  readonly #lag: LagSeconds;
  readonly #pauses: Histogram<never>;
  #consumer: Consumer | undefined;
  #state: State = 'starting';
  #stopping = false;
  #endSession: () => void = () => undefined;
  #session: Promise<unknown> = Promise.resolve();
  readonly #restart: RetryPolicy;
  #lastActivity = Date.now();
  #assignment: Promise<void> = Promise.resolve();
  #partitions: number[] = [];
  /** Aborted when another assignment takes the place of the current one, and when the consumer stops. */
  #assigned = new AbortController();
  #pending: PendingBatch[] = [];
  /** The handling of batches without visible records, and commits that are repeated; later batches wait for it. */
  #background: Promise<void> = Promise.resolve();
  /** Seeks of each partition so far: a batch that the client fetched before a seek does not count. */
  readonly #seeks = new Map<number, number>();
  readonly #commits: OffsetCommits;
  /** Of the fetches that wait for an assignment or are written. */
  readonly #leases = new Set<GroupLease>();
  readonly #writes = new Map<GroupLease, Write>();
  /** Why a lease ended after its batches were returned to the client; returned with the next ones. */
  #lost: unknown;

  /** @param kafka makes the clients */
  constructor(
    options: BatchConsumerOptions,
    log: Logger,
    metrics: Metrics,
    kafka: Pick<Kafka, 'consumer'> = createKafka(options.connection, options.clientId, log),
  ) {
    this.#options = options;
    this.#log = log.child({ group: options.group, topic: options.topic });
    this.#restart = retryPolicy({
      log: this.#log,
      what: 'run the Kafka client',
      retryable: (error) => !this.#stopping && !isFatal(error),
      unref: true,
    });
    this.#kafka = kafka;
    this.#consumed = messageCounter(metrics);
    this.#rebalances = metrics.counter('kafka_consumer_group_joins_total', 'Times this member joined its group', [], [{}]);
    this.#lag = new LagSeconds(metrics, options.topic);
    this.#commits = new OffsetCommits(options.topic, this.#log);
    this.#pauses = metrics.histogram(
      'kafka_consumer_rebalance_pause_seconds',
      'Time from the last batch before a rebalance until the member consumes again',
      WORK_BUCKETS,
    );
  }

  /** Starts consuming; returns at once. */
  start(): void {
    void this.#supervise();
  }

  /** Why the member consumes no records, or undefined when it does. */
  notReady(): string | undefined {
    return this.#state === 'joined' ? undefined : `consumer is ${this.#state}`;
  }

  /** Why the process must be restarted, or undefined. */
  notLive(): string | undefined {
    const idle = Date.now() - this.#lastActivity;
    return idle > STALL_MS ? `no fetch and no heartbeat for ${Math.round(idle / 1000)} s` : undefined;
  }

  /** Asks again where the partitions continue, and continues there. A member without an assignment does so when it gets one. */
  reassign(): void {
    if (!this.#consumer || this.#state !== 'joined') return;
    this.#assignment = this.#resume(this.#consumer, this.#partitions, undefined);
  }

  /** Ends the lease, finishes the write in progress, commits, and leaves the group, so that other members take over at once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#assigned.abort();
    this.#endSession();
    await this.#session;
    await this.#background;
    this.#state = 'stopped';
  }

  /** Runs one client after another until {@link stop}. */
  async #supervise(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.#restart.execute(() => this.#runClient());
      } catch (error) {
        return this.#options.onFatal(error);
      }
    }
  }

  /** @throws what ended the client; a client that ran for a while ends without an error, so that the next backoff starts small */
  async #runClient(): Promise<void> {
    if (this.#stopping) return;
    const startedAt = Date.now();
    this.#session = this.#runSession();
    const error = await this.#session;
    if (this.#stopping) return;
    this.#state = 'away';
    this.#lastActivity = Date.now();
    if (isFatal(error) || Date.now() - startedAt < STABLE_MS) throw error;
    this.#log.warn({ error }, 'the Kafka client stopped; starting a new one');
  }

  /** One client from connect to crash; resolves to what ended it, or to undefined when the process drains. */
  async #runSession(): Promise<unknown> {
    const consumer = this.#kafka.consumer(this.#clientConfig());
    this.#consumer = consumer;
    const ended = new Promise<unknown>((resolve) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => resolve(payload.error));
      this.#endSession = () => resolve(undefined);
    });
    this.#observe(consumer);
    try {
      // A drain must not wait for a join in progress.
      return await Promise.race([this.#begin(consumer).then(() => ended), ended]);
    } catch (error) {
      return error;
    } finally {
      this.#assigned.abort();
      // A drain commits what is being written. A client that has crashed commits nothing more.
      if (!this.#stopping) this.#expire();
      await withLimit(this.#written(), LEAVE_LIMIT_MS).catch((error: unknown) => this.#log.warn({ error }, 'a batch is still handled'));
      await withLimit(consumer.disconnect(), LEAVE_LIMIT_MS).catch((error: unknown) => this.#log.warn({ error }, 'disconnect failed'));
    }
  }

  async #begin(consumer: Consumer): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [this.#options.topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
      eachBatch: (payload) => this.#collect(payload),
    });
  }

  #clientConfig(): ConsumerConfig {
    const { group: groupId, minBytes, maxBytes, maxWaitMs: maxWaitTimeInMs } = this.#options;
    return {
      groupId,
      minBytes,
      maxBytes,
      maxWaitTimeInMs,
      sessionTimeout: SESSION_TIMEOUT_MS,
      rebalanceTimeout: REBALANCE_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      allowAutoTopicCreation: false,
      metadataMaxAge: METADATA_MAX_AGE_MS,
      // The supervisor replaces a crashed client itself: the client's own restart has been seen to end in silence.
      retry: { retries: 4, initialRetryTime: 200, maxRetryTime: 3_000, restartOnFailure: () => Promise.resolve(false) },
    };
  }

  #observe(consumer: Consumer): void {
    const alive = (): void => void (this.#lastActivity = Date.now());
    consumer.on(consumer.events.FETCH, alive);
    consumer.on(consumer.events.HEARTBEAT, () => {
      alive();
      this.#commitAgain(consumer);
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      if (payload.batchSize === 0) this.#passFiltered(consumer, payload);
    });
    let pausedAt: number | undefined;
    // The client reports it when the current batches have ended.
    consumer.on(consumer.events.REBALANCING, () => {
      pausedAt ??= performance.now();
      this.#expire();
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      alive();
      const partitions = payload.memberAssignment[this.#options.topic] ?? [];
      this.#expire();
      this.#rebalances.inc();
      // The partitions of the former generation may belong to another member; the assignment commits those of this one.
      this.#commits.forget();
      this.#log.info(
        { partitions, member_id: payload.memberId, leader: payload.isLeader, duration_ms: payload.duration },
        'joined the group',
      );
      this.#partitions = partitions;
      this.#lag.assigned(partitions);
      this.#assignment = this.#resume(consumer, partitions, pausedAt);
      pausedAt = undefined;
    });
  }

  /** @param pausedAt when the last batch before the rebalance ended, by the performance clock */
  async #resume(consumer: Consumer, partitions: number[], pausedAt: number | undefined): Promise<void> {
    this.#assigned.abort();
    this.#assigned = new AbortController();
    const { signal } = this.#assigned;
    try {
      // What is still written of the former assignment moves the positions.
      await this.#written(partitions);
      const positions = await this.#options.onAssigned(partitions, signal);
      if (signal.aborted) return;
      for (const [partition, offset] of positions) this.#seek(consumer, partition, offset);
      await this.#commits.commit(consumer, positions);
      this.#state = 'joined';
      if (pausedAt !== undefined) this.#pauses.observe({}, (performance.now() - pausedAt) / 1000);
    } catch (error) {
      if (!signal.aborted) this.#options.onFatal(error);
    }
  }

  #seek(consumer: Consumer, partition: number, offset: bigint): void {
    this.#seeks.set(partition, this.#seeksOf(partition) + 1);
    unlessEnded(() => consumer.seek({ topic: this.#options.topic, partition, offset: offset.toString() }));
  }

  #suspend(consumer: Consumer, partition: number, offset: bigint, ms: number): void {
    const place = [{ topic: this.#options.topic, partitions: [partition] }];
    unlessEnded(() => consumer.pause(place));
    this.#seek(consumer, partition, offset);
    setTimeout(() => {
      if (!this.#stopping && this.#consumer === consumer) unlessEnded(() => consumer.resume(place));
    }, ms).unref();
  }

  #seeksOf(partition: number): number {
    return this.#seeks.get(partition) ?? 0;
  }

  /**
   * The client drops a batch that holds nothing but aborted records or transaction markers, and continues after it. The handler gets the batch
   * without records: the stored position would otherwise stay before it, and the lag would not reach zero. After a seek the client fetches
   * the batch again where it still matters.
   */
  #passFiltered(consumer: Consumer, { topic, partition, firstOffset, lastOffset }: FilteredBatch): void {
    const [start, next] = [BigInt(firstOffset ?? lastOffset), BigInt(lastOffset) + 1n];
    const seeks = this.#seeksOf(partition);
    const isCurrent = (): boolean => !this.#stopping && this.#consumer === consumer;
    let done: Position[] = [];
    const lease: Lease = {
      get held() {
        return isCurrent();
      },
      done: (positions) => void (done = positions),
      seek: (_topic, _partition, offset) => this.#seek(consumer, partition, offset),
      suspend: (_topic, _partition, offset, ms) => this.#suspend(consumer, partition, offset, ms),
    };
    this.#inBackground(consumer, async () => {
      await this.#written([partition]);
      if (!lease.held || this.#seeksOf(partition) !== seeks) return;
      await this.#options.onBatches([{ topic, partition, start, next, records: [] }], lease);
      if (lease.held) this.#lag.applied(partition, undefined, false);
      await this.#commits.commit(consumer, nextOffsets(done));
    });
  }

  /** Runs `work` after the assignment in progress and after the work before it; later batches wait for it. */
  #inBackground(consumer: Consumer, work: () => Promise<void>): void {
    this.#background = this.#background
      .then(() => this.#assignment)
      .then(work)
      .catch((error: unknown) => (this.#stopping || this.#consumer !== consumer ? undefined : this.#options.onFatal(error)));
  }

  /** A batch in progress commits by itself: an earlier position must not overwrite its own. */
  #commitAgain(consumer: Consumer): void {
    if (!this.#commits.anyOpen || this.#leases.size > 0) return;
    this.#inBackground(consumer, () => this.#commits.commitOpen(consumer));
  }

  /** Collects the batches of one fetch, which arrive partition by partition, and handles them together. */
  #collect(payload: EachBatchPayload): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ payload, resolve, reject });
      if (this.#pending.length === 1)
        setImmediate(() => void this.#handle(this.#pending.splice(0)).catch((error: unknown) => this.#options.onFatal(error)));
    });
  }

  async #handle(pending: PendingBatch[]): Promise<void> {
    await this.#written(pending.map(({ payload }) => payload.batch.partition));
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined) return settle(pending, lost);
    const consumer = this.#consumer;
    const lease = this.#lease(consumer, pending);
    const batches = await this.#current(pending, lease);
    const ahead = await this.#mayFetchAhead(batches, pending, lease);
    this.#write({ consumer, pending, batches, lease, ahead });
    if (ahead) settle(pending, undefined);
  }

  #lease(consumer: Consumer | undefined, pending: PendingBatch[]): GroupLease {
    const lease = new GroupLease(
      pending.map(({ payload }) => payload),
      {
        stopping: () => this.#stopping,
        alive: () => void (this.#lastActivity = Date.now()),
        commits: this.#commits,
        seek: (partition, offset) => consumer && this.#seek(consumer, partition, offset),
        suspend: (partition, offset, ms) => consumer && this.#suspend(consumer, partition, offset, ms),
      },
    );
    this.#leases.add(lease);
    return lease;
  }

  /** The batches that are still to be handled once the partitions are placed. */
  async #current(pending: PendingBatch[], lease: GroupLease): Promise<PartitionBatch[]> {
    await this.#assignment;
    await Promise.race([this.#background, lease.ended]);
    const batches = pending.filter(({ payload }) => !payload.isStale()).map(({ payload }) => toBatch(payload));
    this.#consumed.inc(
      { direction: 'consumed', topic: this.#options.topic },
      batches.reduce((sum, { records }) => sum + records.length, 0),
    );
    return lease.held ? batches : [];
  }

  /**
   * One fetch at a time is written while the client fetches, which bounds the memory, and only where the broker has more: an empty fetch would
   * let the client rejoin the group during the write. The heartbeat keeps the client from sending one of its own now, for the same reason.
   */
  async #mayFetchAhead(batches: PartitionBatch[], pending: PendingBatch[], lease: GroupLease): Promise<boolean> {
    const ends = highWatermarks(pending);
    if (!batches.some(({ partition, next }) => (ends.get(partition) ?? next) > next)) return false;
    await lease.beat();
    return lease.held && this.#writes.size === 0;
  }

  /** Begins to write a fetch. */
  #write(fetch: Fetch): void {
    const { pending, lease, ahead } = fetch;
    if (ahead) for (const { payload } of pending) if (!payload.isStale()) payload.resolveOffset(payload.batch.lastOffset());
    const ended = this.#apply(fetch)
      .catch((error: unknown) => (this.#stopping ? undefined : this.#options.onFatal(error)))
      .then(() => lease.end())
      .then((lost) => this.#conclude(fetch, lost));
    this.#writes.set(lease, { partitions: new Set(pending.map(({ payload }) => payload.batch.partition)), ended });
  }

  /** What was not written of a fetch is fetched again. */
  #conclude({ consumer, pending, batches, lease, ahead }: Fetch, lost: unknown): void {
    this.#leases.delete(lease);
    this.#writes.delete(lease);
    if (!ahead) return settle(pending, lost, lease.progress);
    this.#lost ??= lost;
    if (this.#stopping || lease.expired || !consumer) return;
    for (const { partition, next } of lease.unfinished(batches)) this.#seek(consumer, partition, next);
  }

  async #apply({ pending, batches, lease }: Fetch): Promise<void> {
    if (!lease.held || batches.length === 0) return;
    for (const { partition, records } of batches) this.#lag.fetched(partition, records[0]?.timestamp);
    await this.#options.onBatches(batches, lease);
    if (!lease.held) return;
    const ends = highWatermarks(pending);
    for (const { partition, next, records } of batches) {
      this.#lag.applied(partition, records.at(-1)?.timestamp, (ends.get(partition) ?? next) > next);
    }
  }

  /** Waits until no fetch with one of the partitions is being written; by default, with any partition. */
  async #written(partitions?: number[]): Promise<void> {
    const writes = [...this.#writes.values()].filter((write) => partitions?.some((partition) => write.partitions.has(partition)) ?? true);
    await Promise.all(writes.map(({ ended }) => ended));
  }

  /** Ends the leases because the client rejoins the group, or has ended. */
  #expire(): void {
    this.#lost = undefined;
    for (const lease of this.#leases) lease.expire();
  }
}

/** Returns the batches of a fetch to the client. @param done how far each partition was handled, where the client must continue */
function settle(pending: PendingBatch[], lost: unknown, done: ReadonlyMap<number, bigint> = new Map()): void {
  for (const { payload, resolve, reject } of pending) {
    const next = done.get(payload.batch.partition);
    if (next !== undefined) payload.resolveOffset((next - 1n).toString());
    if (lost === undefined) resolve();
    else reject(lost);
  }
}

function highWatermarks(pending: PendingBatch[]): Map<number, bigint> {
  return new Map(pending.map(({ payload: { batch } }) => [batch.partition, BigInt(batch.highWatermark)]));
}

/**
 * A client that has crashed refuses to move, before it reports its crash. The next client continues where its own assignment says.
 * @throws every other error
 */
function unlessEnded(move: () => void): void {
  try {
    move();
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('Consumer group was not initialized'))) throw error;
  }
}

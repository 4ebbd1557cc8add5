/** The order of the client's events is set by the test: a real client shows the rare ones only under load. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'node:test';
import type { Consumer, ConsumerConfig, EachBatchPayload } from 'kafkajs';
import { createLogger } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { waitFor } from '../../testing/wait.ts';
import { BatchConsumer } from './batch-consumer.ts';
import type { BatchConsumerOptions, Lease, PartitionBatch } from './batch-consumer.ts';

const TOPIC = 'events';
type Run = NonNullable<Parameters<Consumer['run']>[0]>;
type Offsets = Parameters<Consumer['commitOffsets']>[0];

/** A Kafka client whose events and batches the test gives. */
class HandDriven {
  readonly events = {
    CRASH: 'crash',
    FETCH: 'fetch',
    HEARTBEAT: 'heartbeat',
    END_BATCH_PROCESS: 'end',
    REBALANCING: 'rebalancing',
    GROUP_JOIN: 'join',
  };
  readonly seeks = new Map<number, string>();
  /** What Kafka has, by partition. */
  readonly committed = new Map<number, string>();
  refuseCommits = false;
  #eachBatch: Run['eachBatch'];
  readonly #listeners = new Map<string, (event: { payload: unknown }) => void>();

  on(name: string, listener: (event: { payload: unknown }) => void): void {
    this.#listeners.set(name, listener);
  }
  connect = (): Promise<void> => Promise.resolve();
  subscribe = (): Promise<void> => Promise.resolve();
  disconnect = (): Promise<void> => Promise.resolve();
  run(options: Run): Promise<void> {
    this.#eachBatch = options.eachBatch;
    return Promise.resolve();
  }
  /** It has crashed, and has not reported it yet. */
  ended = false;
  seek({ partition, offset }: { partition: number; offset: string }): void {
    if (this.ended) throw new Error('Consumer group was not initialized, consumer#run must be called first');
    this.seeks.set(partition, offset);
  }
  commitOffsets(offsets: Offsets): Promise<void> {
    if (this.refuseCommits) return Promise.reject(new Error('refused'));
    for (const { partition, offset } of offsets) this.committed.set(partition, offset);
    return Promise.resolve();
  }

  emit(name: keyof HandDriven['events'], payload: unknown = {}): void {
    this.#listeners.get(this.events[name])?.({ payload });
  }
  join(partitions: number[]): void {
    this.emit('GROUP_JOIN', { memberAssignment: { [TOPIC]: partitions }, memberId: 'm', isLeader: true, duration: 1 });
  }
  /** A fetch that returns nothing but aborted records. */
  filtered(partition: number, first: bigint, last: bigint): void {
    const payload = { topic: TOPIC, partition, batchSize: 0, firstOffset: first.toString(), lastOffset: last.toString() };
    this.emit('END_BATCH_PROCESS', payload);
  }
  /** A fetch of `count` records from `from` on. */
  async batch(partition: number, from: bigint, count: number): Promise<void> {
    const messages = Array.from({ length: count }, (_value, index) => ({ offset: String(from + BigInt(index)), key: null, value: null }));
    const batch = {
      topic: TOPIC,
      partition,
      fetchedOffset: from.toString(),
      highWatermark: '100',
      messages,
      lastOffset: () => messages.at(-1)?.offset ?? '',
    };
    await this.#eachBatch?.({
      batch,
      isStale: () => false,
      isRunning: () => true,
      heartbeat: () => Promise.resolve(),
      resolveOffset: () => undefined,
      commitOffsetsIfNecessary: ({ topics }: { topics: { partitions: { partition: number; offset: string }[] }[] }) =>
        this.commitOffsets(topics.flatMap(({ partitions }) => partitions.map((place) => ({ topic: TOPIC, ...place })))),
    } as unknown as EachBatchPayload);
  }
}

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

async function start(change: Partial<BatchConsumerOptions>): Promise<{ client: HandDriven; handled: string[]; consumer: BatchConsumer }> {
  const client = new HandDriven();
  const handled: string[] = [];
  const options: BatchConsumerOptions = {
    connection: { KAFKA_BROKERS: ['127.0.0.1:1'], KAFKA_SSL: false },
    clientId: 'test',
    group: 'test',
    topic: TOPIC,
    minBytes: 1,
    maxWaitMs: 1,
    maxBytes: 1,
    onAssigned: () => Promise.resolve(new Map()),
    onBatches: (batches: PartitionBatch[], lease: Lease) => {
      for (const { partition, start: first, next } of batches) handled.push(`${partition}: ${first} to ${next}`);
      lease.done(batches);
      return Promise.resolve();
    },
    onFatal: (error) => assert.fail(String(error)),
    ...change,
  };
  const kafka = { consumer: (_config?: ConsumerConfig) => client as unknown as Consumer };
  const consumer = new BatchConsumer(options, log, new Metrics({}), kafka);
  consumer.start();
  await turn();
  return { client, handled, consumer };
}

async function turns(): Promise<void> {
  for (let count = 0; count < 10; count++) await turn();
}

test('a batch without visible records that was fetched before the assignment is not handled: the client seeks and fetches again', async () => {
  const assigned = Promise.withResolvers<Map<number, bigint>>();
  const { client, handled, consumer } = await start({ onAssigned: () => assigned.promise });
  client.join([3]);
  client.filtered(3, 10n, 19n);
  assigned.resolve(new Map([[3, 40n]]));
  await turns();
  assert.deepEqual(handled, []);
  assert.equal(client.seeks.get(3), '40');
  assert.equal(client.committed.get(3), '40', 'the committed offset does not go back to the end of that batch');
  client.filtered(3, 40n, 49n);
  await turns();
  assert.deepEqual([handled, client.committed.get(3)], [['3: 40 to 50'], '50']);
  await consumer.stop();
});

test('a batch waits for the earlier ones of its partition that have no visible records', async () => {
  const first = Promise.withResolvers<void>();
  const order: string[] = [];
  const { client, consumer } = await start({
    onBatches: async (batches, lease) => {
      if (order.length === 0) await first.promise;
      for (const { start: from, next } of batches) order.push(`${from} to ${next}`);
      lease.done(batches);
    },
  });
  client.join([3]);
  client.filtered(3, 0n, 9n);
  client.filtered(3, 10n, 19n);
  const batch = client.batch(3, 20n, 5);
  await turns();
  assert.deepEqual(order, []);
  first.resolve();
  await batch;
  assert.deepEqual([order, client.committed.get(3)], [['0 to 10', '10 to 20', '20 to 25'], '25']);
  await consumer.stop();
});

test('commits again with the next heartbeat what Kafka did not accept, without further events', async () => {
  const { client, consumer } = await start({});
  client.join([3]);
  client.refuseCommits = true;
  await assert.rejects(client.batch(3, 0n, 5), /refused/, 'the lease ends');
  client.emit('HEARTBEAT');
  await turns();
  client.refuseCommits = false;
  client.emit('HEARTBEAT');
  await waitFor('the commit', () => client.committed.get(3) === '5', 10_000);
  await consumer.stop();
});

test('does not commit again what a later batch has committed, or what belongs to an earlier assignment', async () => {
  const { client, consumer } = await start({});
  client.join([3, 4]);
  client.refuseCommits = true;
  await assert.rejects(client.batch(3, 0n, 5));
  await assert.rejects(client.batch(4, 0n, 5));
  client.refuseCommits = false;
  await client.batch(3, 5n, 5);
  client.emit('HEARTBEAT');
  await turns();
  assert.deepEqual(Object.fromEntries(client.committed), { 3: '10', 4: '5' });
  client.refuseCommits = true;
  await assert.rejects(client.batch(4, 5n, 5));
  client.refuseCommits = false;
  client.join([3]);
  client.emit('HEARTBEAT');
  await turns();
  assert.equal(client.committed.get(4), '5', 'another member may own it now');
  await consumer.stop();
});

test('a client that crashes during an assignment: the next client continues, and the process does not end', async () => {
  const assigned = Promise.withResolvers<Map<number, bigint>>();
  const { client, consumer } = await start({ onAssigned: () => assigned.promise });
  client.join([3]);
  client.ended = true;
  assigned.resolve(new Map([[3, 40n]]));
  await turns();
  client.emit('CRASH', { error: new Error('connection closed') });
  await turns();
  assert.match(consumer.notReady() ?? '', /away/);
  await consumer.stop();
});

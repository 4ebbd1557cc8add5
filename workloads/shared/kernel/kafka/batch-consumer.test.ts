/** The order of the client's events is set by the test: a real client shows the rare ones only under load. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'node:test';
import type { Consumer, ConsumerConfig, EachBatchPayload } from 'kafkajs';
import { createLogger } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { waitFor } from '../../testing/wait.ts';
import { BatchConsumer } from './batch-consumer.ts';
import type { BatchConsumerOptions } from './batch-consumer.ts';
import type { PartitionBatch } from './batch.ts';
import type { Lease } from './lease.ts';

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
  /** Commits wait for it. */
  commitsAfter: Promise<void> = Promise.resolve();
  heartbeatError: Error | undefined;
  /** Where the client continues, by partition. */
  readonly resolved = new Map<number, string>();
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
  async commitOffsets(offsets: Offsets): Promise<void> {
    if (this.refuseCommits) throw new Error('refused');
    await this.commitsAfter;
    for (const { partition, offset } of offsets) this.committed.set(partition, offset);
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
  /** A fetch of `count` records from `from` on, after which the broker has `more`. Resolves when the client may continue. */
  async batch(partition: number, from: bigint, count: number, more = 0): Promise<void> {
    const messages = Array.from({ length: count }, (_value, index) => ({ offset: String(from + BigInt(index)), key: null, value: null }));
    const batch = {
      topic: TOPIC,
      partition,
      fetchedOffset: from.toString(),
      highWatermark: String(from + BigInt(count + more)),
      messages,
      lastOffset: () => messages.at(-1)?.offset ?? '',
    };
    await this.#eachBatch?.({
      batch,
      isStale: () => this.seeks.has(partition),
      isRunning: () => true,
      heartbeat: () => (this.heartbeatError ? Promise.reject(this.heartbeatError) : Promise.resolve()),
      resolveOffset: (offset: string) => void this.resolved.set(partition, offset),
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

/** A handler whose batches the test ends one by one, each with what it has done of them. */
class HeldHandler {
  readonly begun: string[] = [];
  readonly leases: Lease[] = [];
  readonly #ends: (() => void)[] = [];

  onBatches = async (batches: PartitionBatch[], lease: Lease): Promise<void> => {
    this.begun.push(batches.map(({ partition, start: first, next }) => `${partition}: ${first} to ${next}`).join(', '));
    this.leases.push(lease);
    await new Promise<void>((resolve) => this.#ends.push(resolve));
    if (lease.held) lease.done(batches.map((batch) => ({ ...batch, next: this.until ?? batch.next })));
  };
  /** The handler comes no further. */
  until: bigint | undefined;

  async end(): Promise<void> {
    this.#ends.shift()?.();
    await turns();
  }
}

/** A batch that the client waits for. */
interface Waiting {
  /** Undefined: not yet. */
  returned: 'resolved' | Error | undefined;
}

function waiting(batch: Promise<void>): Waiting {
  const state: Waiting = { returned: undefined };
  batch.then(
    () => (state.returned = 'resolved'),
    (error: Error) => (state.returned = error),
  );
  return state;
}

/** A consumer that writes offsets 0 to 5 of partition 3, while the broker has 20 records more. */
async function writing(): Promise<Awaited<ReturnType<typeof start>> & { handler: HeldHandler }> {
  const handler = new HeldHandler();
  const started = await start(handler);
  started.client.join([3]);
  await started.client.batch(3, 0n, 5, 20);
  return { ...started, handler };
}

test('the client fetches while a batch is written and the broker has more; the next batch of the partition waits for it', async () => {
  const { handler, client, consumer } = await writing();
  assert.deepEqual([handler.begun, client.resolved.get(3), client.committed.get(3)], [['3: 0 to 5'], '4', undefined]);
  const next = waiting(client.batch(3, 5n, 5, 15));
  await turns();
  assert.deepEqual([handler.begun.length, next.returned], [1, undefined]);
  await handler.end();
  assert.deepEqual([handler.begun[1], next.returned, client.committed.get(3)], ['3: 5 to 10', 'resolved', '5']);
  await handler.end();
  assert.equal(client.committed.get(3), '10');
  assert.equal(client.seeks.size, 0);
  await consumer.stop();
});

test('a batch after which the broker has nothing is returned when it is written', async () => {
  const handler = new HeldHandler();
  const { client, consumer } = await start(handler);
  client.join([3]);
  const batch = waiting(client.batch(3, 0n, 5));
  await turns();
  assert.deepEqual([handler.begun.length, batch.returned, client.resolved.get(3)], [1, undefined, undefined]);
  await handler.end();
  assert.deepEqual([batch.returned, client.resolved.get(3), client.committed.get(3)], ['resolved', '4', '5']);
  await consumer.stop();
});

test('one fetch at a time is written while the client fetches', async () => {
  const handler = new HeldHandler();
  const { client, consumer } = await start(handler);
  client.join([3, 4]);
  await client.batch(3, 0n, 5, 20);
  const other = waiting(client.batch(4, 0n, 5, 20));
  await turns();
  assert.deepEqual([handler.begun, other.returned], [['3: 0 to 5', '4: 0 to 5'], undefined], 'of another partition: written beside it');
  await handler.end();
  await handler.end();
  assert.equal(other.returned, 'resolved');
  await consumer.stop();
});

test('what a write leaves out is fetched again, and what was fetched after it is dropped', async () => {
  const { handler, client, consumer } = await writing();
  const next = waiting(client.batch(3, 5n, 5, 15));
  handler.until = 2n;
  await handler.end();
  assert.deepEqual([client.seeks.get(3), handler.begun.length, next.returned], ['2', 1, 'resolved']);
  assert.equal(client.resolved.get(3), '4', 'the client continues where it was sent');
  await consumer.stop();
});

test('a partition that the handler moves is not sent to the end of what is written', async () => {
  const { client, consumer } = await start({
    onBatches: (_batches, lease) => {
      lease.seek(TOPIC, 3, 40n);
      return Promise.resolve();
    },
  });
  client.join([3]);
  await client.batch(3, 0n, 5, 20);
  await turns();
  assert.equal(client.seeks.get(3), '40');
  await consumer.stop();
});

test('why a lease ended during a fetch is returned with what the fetch brings, which is not handled', async () => {
  const { handler, client, consumer } = await writing();
  client.refuseCommits = true;
  await handler.end();
  await assert.rejects(client.batch(3, 5n, 5, 15), /refused/);
  assert.deepEqual([handler.begun.length, client.resolved.get(3)], [1, '4']);
  client.refuseCommits = false;
  await client.batch(3, 5n, 5, 15);
  assert.equal(handler.begun.length, 2, 'once');
  await handler.end();
  await consumer.stop();
});

test('an assignment during a write ends the lease and waits for the write; its position is not committed', async () => {
  const assigned: number[][] = [];
  const handler = new HeldHandler();
  const { client, consumer } = await start({
    onBatches: handler.onBatches,
    onAssigned: (partitions) => {
      assigned.push(partitions);
      return Promise.resolve(new Map(partitions.map((partition) => [partition, 3n])));
    },
  });
  client.join([3]);
  await turns();
  client.seeks.clear();
  await client.batch(3, 0n, 5, 20);
  client.emit('REBALANCING');
  assert.equal(handler.leases[0]?.held, false);
  client.join([3, 4]);
  await turns();
  assert.deepEqual(assigned, [[3]], 'the positions are read after the write');
  await handler.end();
  assert.deepEqual(assigned, [[3], [3, 4]]);
  assert.deepEqual(
    [...client.committed],
    [
      ['3', '3'],
      ['4', '3'],
    ].map(([partition, offset]) => [Number(partition), offset]),
  );
  client.seeks.clear();
  await client.batch(3, 3n, 5, 20);
  assert.equal(handler.begun.length, 2, 'no error is left for the next batch');
  await handler.end();
  await consumer.stop();
});

test('a stop waits for the write, and commits it', async () => {
  const { promise: written, resolve: write } = Promise.withResolvers<void>();
  const { client, consumer } = await start({
    onBatches: async (batches, lease) => {
      await written;
      lease.done(batches);
    },
  });
  client.join([3]);
  await client.batch(3, 0n, 5, 20);
  const stopped = waiting(consumer.stop());
  await turns();
  assert.equal(stopped.returned, undefined);
  write();
  await waitFor('the stop', () => stopped.returned === 'resolved', 10_000);
  assert.equal(client.committed.get(3), '5');
});

test('a member that must rejoin is told before the client fetches during the write', async () => {
  const handler = new HeldHandler();
  const { client, consumer } = await start(handler);
  client.join([3]);
  client.heartbeatError = new Error('rebalance');
  await assert.rejects(client.batch(3, 0n, 5, 20), /rebalance/);
  assert.deepEqual(handler.begun, []);
  await consumer.stop();
});

test('a partition that was moved while the client fetched is not continued after that fetch', async () => {
  const handler = new HeldHandler();
  const { client, consumer } = await start(handler);
  client.join([3, 4]);
  client.seek({ partition: 4, offset: '70' });
  await Promise.all([client.batch(3, 0n, 5, 20), client.batch(4, 0n, 5, 20)]);
  assert.deepEqual([handler.begun, [...client.resolved]], [['3: 0 to 5'], [[3, '4']]]);
  await handler.end();
  await consumer.stop();
});

test('a batch without visible records waits for the write before it', async () => {
  const { handler, client, consumer } = await writing();
  client.filtered(3, 5n, 9n);
  await turns();
  assert.deepEqual(handler.begun, ['3: 0 to 5']);
  await handler.end();
  assert.deepEqual(handler.begun, ['3: 0 to 5', '3: 5 to 10']);
  await handler.end();
  assert.equal(client.committed.get(3), '10');
  await consumer.stop();
});

test('an assignment does not wait for a commit that hangs, and leaves nothing of the former one', async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const assigned: number[][] = [];
  const { client, consumer } = await start({
    onAssigned: (partitions) => {
      assigned.push(partitions);
      return Promise.resolve(new Map());
    },
    onBatches: (batches, lease) => {
      lease.done(batches.map((batch) => ({ ...batch, next: 2n })));
      return Promise.resolve();
    },
  });
  client.join([3]);
  client.commitsAfter = answered;
  await client.batch(3, 0n, 5, 20);
  await turns();
  const assignments = assigned.length;
  client.join([3, 4]);
  await turns();
  assert.equal(assigned.length, assignments + 1);
  assert.equal(client.seeks.has(3), false, 'another member may own it now');
  client.refuseCommits = true;
  answer();
  await turns();
  client.refuseCommits = false;
  await client.batch(4, 0n, 5, 20);
  await turns();
  assert.equal(client.committed.get(4), '2');
  await consumer.stop();
});

test('an error of the former assignment is not returned to the client in the next one', async () => {
  const { handler, client, consumer } = await writing();
  client.refuseCommits = true;
  await handler.end();
  client.refuseCommits = false;
  client.join([3]);
  await turns();
  client.seeks.clear();
  await client.batch(3, 5n, 5, 20);
  await handler.end();
  assert.equal(client.committed.get(3), '10');
  await consumer.stop();
});

test('a write that ends after an assignment commits nothing, and moves no partition', async () => {
  const { promise: written, resolve: write } = Promise.withResolvers<void>();
  const { client, consumer } = await start({
    onBatches: async (batches, lease) => {
      await written;
      lease.done(batches);
      lease.seek(TOPIC, 3, 40n);
    },
  });
  client.join([3]);
  await client.batch(3, 0n, 5, 20);
  client.join([4]);
  write();
  await turns();
  assert.deepEqual([[...client.committed], [...client.seeks]], [[], []]);
  await consumer.stop();
});

test('a crash of the client ends the lease of what is written', async () => {
  const { handler, client, consumer } = await writing();
  client.emit('CRASH', { error: new Error('connection closed') });
  await turns();
  assert.equal(handler.leases[0]?.held, false);
  await handler.end();
  await consumer.stop();
});

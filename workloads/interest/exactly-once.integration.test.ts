// Runs alone: it measures how long a consumer takes to drain and to rejoin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { GROUP, TestPlatform } from '../shared/testing/platform.ts';
import { Traffic } from '../shared/testing/traffic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';

/** Small batches: many of them, so that a fault always hits one. */
const SMALL_BATCHES = { INTEREST_BATCH_MAX_RECORDS: '250', INTEREST_FETCH_MIN_BYTES: '1' };
const RATE = 2_000;
const LIMIT = { timeout: 400_000 };

// Whatever process is killed, stopped or frozen: every accepted event is applied exactly once, and the ledger balances.

const platform = await TestPlatform.start(1_000, { own: true });
const traffic = new Traffic(platform);
const consumers = new Set<Workload>();

async function join(): Promise<Workload> {
  const consumer = await platform.consumer(SMALL_BATCHES);
  consumers.add(consumer);
  return consumer;
}

async function leave(consumer: Workload, signal: NodeJS.Signals): Promise<number | string> {
  consumers.delete(consumer);
  return consumer.end(signal);
}

async function applied(): Promise<number> {
  const [row] = await platform.sql<{ count: number }>(`SELECT count(*)::int AS count FROM journal_transaction WHERE kind = 'interest'`);
  return row?.count ?? 0;
}

/** Waits until at least `more` events have been applied since the call. */
async function progress(more: number): Promise<void> {
  const target = (await applied()) + more;
  await waitFor(`${target} events to be applied`, async () => (await applied()) >= target);
}

/** Causes a fault under traffic, waits for the topic to drain, and checks the ledger. */
async function survives(fault: () => Promise<void>): Promise<void> {
  if (consumers.size === 0) await (await join()).ready();
  traffic.start(RATE);
  await progress(500);
  await fault();
  await progress(500);
  await traffic.stop();
  await platform.drained();
  await settled();
}

async function settled(): Promise<void> {
  const ids = await platform.appliedIds();
  const missing = [...traffic.accepted].filter((id) => !ids.has(id));
  const unknown = [...ids].filter((id) => !traffic.sent.has(id));
  assert.deepEqual(missing, [], 'every accepted event is applied');
  assert.deepEqual(unknown, [], 'nothing is applied that was not sent');
  const check = await platform.check();
  assert.equal(check.interestTransactions, ids.size);
  assert.equal(check.ok, true, JSON.stringify(check));
  assert.deepEqual(await wrongBalances(platform), [], 'each balance is what the events of the topic lead to');
  const dead = await platform.admin.extents('interest.transaction.v1.dlq');
  assert.equal(dead[0]?.high, 0n, 'no fault sends a good event to the dead-letter topic');
  for (const consumer of consumers) assert.equal(consumer.exitCode, null, consumer.log.slice(-2000));
}

await test('survives three kills of the consumer in the middle of batches', LIMIT, () =>
  survives(async () => {
    for (let round = 0; round < 3; round++) {
      await progress(300);
      for (const consumer of consumers) await leave(consumer, 'SIGKILL');
      await (await join()).ready();
    }
  }),
);

await test('survives members that join and leave under load', LIMIT, () =>
  survives(async () => {
    const second = await (await join()).ready();
    await progress(500);
    const third = await (await join()).ready();
    await progress(500);
    assert.equal(await leave(second, 'SIGTERM'), 0);
    await progress(500);
    assert.equal(await leave(third, 'SIGTERM'), 0);
  }),
);

await test('survives a member that freezes past its session and thaws when another member owns its partitions', LIMIT, () =>
  survives(async () => {
    const [frozen] = consumers;
    frozen?.signal('SIGSTOP');
    await (await join()).ready();
    await progress(2_000);
    frozen?.signal('SIGCONT');
    await progress(2_000);
    if (frozen) await leave(frozen, 'SIGTERM');
  }),
);

await test('drains on SIGTERM: commits the current batch, leaves the group at once, exits with 0', LIMIT, async () => {
  for (const consumer of consumers) await leave(consumer, 'SIGKILL');
  const first = await (await join()).ready();
  await survives(async () => {
    assert.equal(await leave(first, 'SIGTERM'), 0);
    const members = (await platform.admin.members([GROUP])).get(GROUP);
    assert.equal(members, 0, 'the member has left the group: the next one does not wait for its session to expire');
    await (await join()).ready();
  });
});

await test('survives a kill of PgBouncer', LIMIT, () =>
  survives(async () => {
    await platform.services.pgbouncer.kill();
    await platform.services.pgbouncer.start();
  }),
);

await test('survives a kill of Postgres', LIMIT, () =>
  survives(async () => {
    await platform.services.postgres.kill();
    await platform.services.postgres.start();
  }),
);

await test('survives a kill of Kafka', LIMIT, () =>
  survives(async () => {
    await platform.services.kafka.kill();
    await platform.services.kafka.start();
  }),
);

await test('commits positions that Kafka does not have, without further events', LIMIT, async () => {
  if (consumers.size === 0) await (await join()).ready();
  await traffic.burst(1_000);
  await platform.drained();
  for (const consumer of consumers) assert.equal(await leave(consumer, 'SIGTERM'), 0);
  await platform.rewindCommits();
  await (await join()).ready();
  await platform.drained(20_000);
  await settled();
});

await platform.stop();

/**
 * Every posting of a customer reaches the topic, in the order of its account and without gaps, under concurrent writers, several relays, and
 * faults: a relay that is killed, Kafka and Postgres that are away, a deletion whose outcome is unknown.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { FaultProxy } from '../shared/testing/fault-proxy.ts';
import { TestPlatform } from '../shared/testing/platform.ts';
import { seriesWithinBudget } from '../shared/testing/series.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { Bench } from './testing/bench.ts';

const LIMIT = { timeout: 300_000 };
let platform: TestPlatform;
let kafkaProxy: FaultProxy;
let databaseProxy: FaultProxy;
let bench: Bench;

before(async () => {
  kafkaProxy = await FaultProxy.start();
  platform = await TestPlatform.start(200, { kafkaProxy });
  databaseProxy = await FaultProxy.start(platform.services.pgbouncer);
  bench = await Bench.open(platform);
}, LIMIT);
after(async () => {
  await bench?.close();
  await platform?.stop();
  await Promise.all([kafkaProxy, databaseProxy].map((proxy) => proxy?.stop()));
}, LIMIT);

/** Relays of the test that runs: a failed test leaves none, which would publish during the next one. */
const running: Workload[] = [];

afterEach(async () => {
  await bench.still();
  await Promise.all(running.splice(0).map((one) => one.stop()));
}, LIMIT);

async function relay(env: Record<string, string> = {}): Promise<Workload> {
  const one = await platform.run('outbox-relay', { ...platform.env('relay'), ...env });
  running.push(one);
  return one;
}

/** What they have logged beyond information. */
function warningsOf(relays: readonly Workload[]): string {
  return relays.flatMap(({ log }) => log.split('\n').filter((line) => /"level":"(warn|error)/.test(line))).join('\n');
}

async function published(...relays: Workload[]): Promise<number> {
  const counts = await Promise.all(relays.map((one) => one.metric('outbox_events_published_total')));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** All connections of Kafka's clients end, and none answers, until `restore`. */
function cutKafka(): () => void {
  void kafkaProxy.cutRequests(() => true, Infinity);
  return () => void kafkaProxy.cutRequests(() => false, Infinity);
}

test('20 writers, the interest consumer and two relays: every posting once dropped repetitions, in order', LIMIT, async (context) => {
  const relays = [await relay(), await relay()];
  const consumer = await platform.consumer({ INTEREST_FETCH_MIN_BYTES: '1', INTEREST_BATCH_MAX_RECORDS: '500' });
  await Promise.all([...relays, consumer].map((one) => one.ready()));
  bench.write();
  for (let round = 0; round < 6; round++) await platform.produceEvents(500);
  await waitFor('transfers to be applied', () => bench.applied > 2_000);
  await bench.still();
  await platform.drained();
  await bench.drained();
  const found = await bench.complete();
  assert.equal(found.duplicates, 0, `without a fault, nothing comes twice: ${JSON.stringify(found)} ${warningsOf(relays)}`);
  assert.equal(await published(...relays), found.entries, 'entries that the relays count, and those of the topic');
  // Measured once a second, by each relay.
  for (const one of relays) await waitFor('an outbox that is empty', async () => (await one.metric('outbox_pending')) === 0);
  context.diagnostic(JSON.stringify(found));
  await consumer.stop();
});

test('a relay that crashes between the acknowledgement and the deletion: its entries come twice', LIMIT, async () => {
  const { host, port } = databaseProxy;
  const crashed = await relay({ DATABASE_URL: `postgresql://relay@${host}:${port}/ledger` });
  await crashed.ready();
  const earlier = await bench.complete();
  const held = databaseProxy.hold((chunk) => chunk.includes('DELETE FROM outbox'));
  bench.write({ writers: 1, batch: 50 });
  await held;
  await bench.still();
  const first = (await bench.records()).length - earlier.entries - earlier.duplicates;
  assert.ok(first > 0, 'the entries are in the topic, and still in the outbox');
  await crashed.end('SIGKILL');
  await (await relay()).ready();
  await bench.drained();
  const { duplicates } = await bench.complete();
  assert.equal(duplicates - earlier.duplicates, first);
});

test('relays are killed, Kafka is away, Postgres restarts, under load: nothing is lost', LIMIT, async (context) => {
  const relays = [await relay(), await relay()];
  await Promise.all(relays.map((one) => one.ready()));
  bench.write({ batch: 2, pause: 200 });
  const progress = async (): Promise<void> => {
    const start = await published(...relays);
    await waitFor('entries to be published', async () => (await published(...relays)) > start + 200);
  };
  for (let round = 0; round < 4; round++) {
    await progress();
    const active = (await published(relays[0] as Workload)) > 0 ? 0 : 1;
    await relays[active]?.end('SIGKILL');
    relays[active] = await (await relay()).ready();
  }
  await progress();

  const restore = cutKafka();
  const [first] = relays as [Workload];
  await waitFor('the relay to report that it cannot publish', async () => (await fetch(`${first.metricsUrl}/readyz`)).status === 503);
  const age = await waitFor('entries to wait', async () => (await first.metric('outbox_oldest_unsent_age_seconds')) || undefined);
  await waitFor('the age to grow', async () => (await first.metric('outbox_oldest_unsent_age_seconds')) > age + 3);
  assert.ok((await first.metric('outbox_pending')) > 0);
  restore();
  await progress();
  await bench.still();
  await waitFor('the age to be 0', async () => (await first.metric('outbox_oldest_unsent_age_seconds')) === 0);
  assert.equal((await fetch(`${first.metricsUrl}/readyz`)).status, 200);

  bench.write({ batch: 2, pause: 200 });
  await progress();
  await platform.services.postgres.kill();
  await first.logged(/failed to publish the outbox; retrying/);
  await platform.services.postgres.start();
  await progress();

  await bench.still();
  await bench.drained();
  const found = await bench.complete();
  context.diagnostic(JSON.stringify(found));
  assert.ok((await platform.check()).ok);
  for (const one of relays) assert.equal(one.exitCode, null, one.log.slice(-2000));
});

test('under a bounded load, entries are in Kafka within a second', LIMIT, async (context) => {
  const one = await (await relay()).ready();
  bench.write({ writers: 4, batch: 5, pause: 200, hot: 60 });
  const target = (await published(one)) + 2_000;
  const startedAt = performance.now();
  await waitFor('entries to be published', async () => (await published(one)) >= target);
  const perSecond = Math.round(2_000 / ((performance.now() - startedAt) / 1000));
  await bench.still();
  await bench.drained();
  const rows = await one.metric('outbox_relay_latency_seconds_count');
  const within = async (bound: string): Promise<number> =>
    (await one.metric('outbox_relay_latency_seconds_bucket', `le="${bound}"`)) / rows;
  const bounds = ['0.05', '0.1', '0.2', '0.35', '0.5', '1', '2', '5'];
  const shares = await Promise.all(bounds.map(async (bound) => [bound, await within(bound)] as const));
  const p99 = shares.find(([, share]) => share >= 0.99)?.[0];
  context.diagnostic(`${perSecond} entries/s, ${rows} rows, p99 at most ${p99} s; ${JSON.stringify(Object.fromEntries(shares))}`);
  assert.ok((await within('5')) >= 0.99, `p99 at most ${p99} s`);
  // Neither accounts nor external ids, which are the clients', make series.
  context.diagnostic(`series: ${await seriesWithinBudget('outbox-relay', one.metricsUrl, /order-|acc-/)}`);
});

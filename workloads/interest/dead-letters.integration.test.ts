/** Many dead letters, large ones, a product that is newer than the cache, and the replay of dead letters, with real servers. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Workload } from '../shared/testing/workload.ts';
import { DLQ_TOPIC, recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { waitFor } from '../shared/testing/wait.ts';

const LIMIT = { timeout: 200_000 };
/** With its key and Kafka's own fields it is just below the default max.message.bytes of 1,048,588; as a dead letter it would be above. */
const LARGEST_VALUE = 1_048_400;

let platform: TestPlatform;
let consumer: Workload;

before(async () => {
  platform = await TestPlatform.start(200);
  consumer = await (await platform.consumer()).ready();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

const letters = () => readTopic(platform.services.kafka.brokers, DLQ_TOPIC);

test('5,000 unknown accounts in one burst are dead-lettered, and the consumer continues', LIMIT, async () => {
  const strangers = Array.from({ length: 5_000 }, (_value, index) => platform.event(index, { accountId: `stranger-${index}` }));
  await platform.produce(strangers.map((event) => recordOf(event)));
  await platform.drained(60_000);
  const reasons = new Set((await letters()).map(({ headers }) => headers['dlq_reason']));
  assert.deepEqual(reasons, new Set(['unknown_account']));
  assert.equal((await letters()).length, 5_000);
});

test('a record of the maximum size is dead-lettered without its value, and its place is kept', LIMIT, async () => {
  await platform.produce([{ key: 'large', value: 'x'.repeat(LARGEST_VALUE), headers: {} }]);
  await platform.produce([recordOf(platform.event(1))]);
  await platform.drained(60_000);
  const letter = (await letters()).at(-1);
  assert.equal(letter?.headers['dlq_reason'], 'not_json');
  assert.equal(letter?.headers['dlq_value_omitted'], String(LARGEST_VALUE));
  assert.equal(letter?.value, null);
  assert.match(letter?.headers['dlq_offset'] ?? '', /^\d+$/);
});

test('a long reason is cut', LIMIT, async () => {
  await platform.produce([{ key: 'k', value: JSON.stringify({ id: 1 }), headers: {} }]);
  await platform.produce([{ key: 'y'.repeat(5_000), value: JSON.stringify(platform.event(1)), headers: {} }]);
  await platform.drained(60_000);
  const details = (await letters()).slice(-2).map(({ headers }) => headers['dlq_detail']?.length ?? 0);
  assert.ok(Math.max(...details) <= 1_000, String(details));
});

async function openAccount(id: string, product: string): Promise<void> {
  await platform.sql(`INSERT INTO account (id, kind, currency, product_code) VALUES ($1, 'customer', 'EUR', $2)`, [id, product]);
}

const addRate = (product: string) =>
  platform.sql(`INSERT INTO product_config (code, annual_rate, valid_from) VALUES ($1, 0.01, '2020-01-01')`, [product]);

async function rejected(reason: string): Promise<number> {
  return consumer.metric('interest_dead_letters_total', `reason="${reason}"`);
}

test('an event of a product that is newer than the cached rates is applied', LIMIT, async () => {
  await platform.produce([recordOf(platform.event(1))]);
  await platform.drained();
  await addRate('brand-new');
  await openAccount('newcomer', 'brand-new');
  const event = platform.event(0, { accountId: 'newcomer', currency: 'EUR' });
  await platform.produce([recordOf(event)]);
  await platform.drained();
  assert.equal(await rejected('no_active_rate'), 0);
  assert.ok((await platform.appliedIds()).has(event.id));
});

function replay(env: Record<string, string>): Promise<Workload> {
  return platform.run('replay-dead-letters', { ...platform.env('interest'), REPLAY_TOPIC: TOPIC, REPLAY_DLQ_TOPIC: DLQ_TOPIC, ...env });
}

async function finished(job: Workload): Promise<Record<string, unknown>> {
  await waitFor('the job to end', () => job.exitCode !== null);
  assert.equal(job.exitCode, 0, job.log);
  const line = job.log.split('\n').find((text) => text.includes('"replayed"'));
  return JSON.parse(line ?? '{}') as Record<string, unknown>;
}

test(
  'dead letters are replayed by reason once their cause is removed, each event applied once however often it is replayed',
  LIMIT,
  async () => {
    await openAccount('waiting', 'later');
    const events = Array.from({ length: 30 }, () => platform.event(0, { accountId: 'waiting', currency: 'EUR' }));
    await platform.produce(events.map((event) => recordOf(event, { ce_id: event.id, origin: 'test' })));
    await platform.drained();
    assert.equal(await rejected('no_active_rate'), 30);
    const earlier = await platform.appliedIds();
    await addRate('later');

    const dry = await finished(await replay({ REPLAY_REASONS: 'no_active_rate', REPLAY_DRY_RUN: 'true' }));
    assert.deepEqual([dry['selected'], dry['message']], [30, 'dry run: these dead letters would be replayed']);
    await platform.drained();
    assert.equal((await platform.appliedIds()).size, earlier.size, 'a dry run publishes nothing');

    const bounded = await finished(await replay({ REPLAY_REASONS: 'no_active_rate', REPLAY_MAX_RECORDS: '10' }));
    assert.deepEqual([bounded['replayed'], bounded['limited']], [10, true]);
    await platform.drained();
    assert.equal((await platform.appliedIds()).size, earlier.size + 10);

    for (let round = 0; round < 2; round++) {
      const whole = await finished(await replay({ REPLAY_REASONS: 'no_active_rate' }));
      assert.deepEqual([whole['replayed'], whole['limited']], [30, false]);
      await platform.drained();
    }
    const ids = await platform.appliedIds();
    assert.deepEqual(
      events.filter(({ id }) => !ids.has(id)),
      [],
    );
    assert.equal(ids.size, earlier.size + 30, 'and nothing else: other reasons are not replayed');
    assert.equal((await platform.check()).ok, true);
    const groups = await platform.admin.groups();
    assert.deepEqual(
      groups.filter((group) => group.startsWith('replay-dead-letters')),
      [],
      'the groups of the job are deleted',
    );
  },
);

test('a job with an unusable filter ends with exit code 78 and says what to write', LIMIT, async () => {
  const job = await replay({ REPLAY_FROM: 'yesterday' });
  await waitFor('the job to end', () => job.exitCode !== null);
  assert.equal(job.exitCode, 78);
  assert.match(job.log, /REPLAY_FROM is "yesterday": write a UTC time such as/);
});

test('a running consumer continues after retention has deleted records that it had not applied, and reports the gap', LIMIT, async () => {
  consumer.signal('SIGSTOP');
  // Kafka answers the fetch in progress after at most 100 ms; what is produced before would be in the answer.
  await delay(1_000);
  const lost = Array.from({ length: 200 }, (_value, index) => platform.event(index));
  const kept = Array.from({ length: 200 }, (_value, index) => platform.event(index));
  try {
    await platform.produce(lost.map((event) => recordOf(event)));
    await platform.deleteRecords();
    await platform.produce(kept.map((event) => recordOf(event)));
  } finally {
    consumer.signal('SIGCONT');
  }
  await platform.drained(60_000);
  const ids = await platform.appliedIds();
  assert.deepEqual(
    kept.filter(({ id }) => !ids.has(id)),
    [],
  );
  const gap = lost.filter(({ id }) => !ids.has(id)).length;
  assert.ok(gap > 0);
  assert.match(consumer.log, /retention deleted records that were not applied/);
  assert.equal(await consumer.metric('interest_records_lost_total'), gap);
  assert.equal(consumer.exitCode, null);
});

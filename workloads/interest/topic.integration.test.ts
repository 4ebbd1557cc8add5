/** What happens to the topic itself while a group consumes it: transactions, partitions, rates, a dead-letter topic that is missing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { DLQ_TOPIC, recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
/** Of one fetch of a partition: an aborted transaction that is larger fills whole fetches with nothing to see. */
const FETCH_BYTES = 1024 * 1024;

let platform: TestPlatform;
let consumer: Workload;

before(async () => {
  platform = await TestPlatform.start(200);
  consumer = await (await platform.consumer()).ready();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

async function missing(events: InterestTransaction[]): Promise<number> {
  const ids = await platform.appliedIds();
  return events.filter(({ id }) => !ids.has(id)).length;
}

test('applies the events after an aborted transaction that is larger than a fetch, and reaches its end', LIMIT, async () => {
  const earlier = await platform.produceEvents(200);
  await platform.produceAborted(
    3,
    Array.from({ length: 30 }, () => 'x'.repeat(FETCH_BYTES / 10)),
  );
  // Without any record after it, too, the lag must reach zero.
  await platform.drained(60_000);
  const events = await platform.produceEvents(200);
  await platform.drained(60_000);
  const letters = await readTopic(platform.services.kafka.brokers, DLQ_TOPIC);
  assert.deepEqual(
    letters.map(({ headers }) => headers['dlq_reason']),
    [],
    'aborted records are not events, and every event is valid',
  );
  assert.deepEqual([await missing(earlier), await missing(events)], [0, 0], 'events before and after the aborted transaction');
});

test('books with a changed rate from the next batch on, whatever the cache holds', LIMIT, async () => {
  const rate = (value: string) => platform.sql(`UPDATE product_config SET annual_rate = ${value} WHERE code = 'savings'`);
  await platform.sql(`INSERT INTO account (id, kind, currency, product_code) VALUES ('saver', 'customer', 'EUR', 'savings')`);
  await platform.sql(
    `INSERT INTO journal_transaction (id, kind, currency, value_date) VALUES ('00000000-0000-7000-8000-00000000cccc', 'opening', 'EUR', '2026-01-01')`,
  );
  await platform.sql(
    `INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor) VALUES
       ('00000000-0000-7000-8000-00000000cccc', 1, 'saver', 'EUR', 36500000), ('00000000-0000-7000-8000-00000000cccc', 2, 'opening-equity.EUR', 'EUR', -36500000)`,
  );
  const booked = async (): Promise<string | undefined> => {
    const event = platform.event(0, { accountId: 'saver', currency: 'EUR', days: 1 });
    await platform.produce([recordOf(event)]);
    await platform.drained();
    const [row] = await platform.sql<{ amount: string }>(
      'SELECT amount_minor::text AS amount FROM posting WHERE transaction_id = $1 AND line = 1',
      [event.id],
    );
    return row?.amount;
  };
  await rate('0.01');
  assert.equal(await booked(), '1000');
  await rate('0.02');
  assert.equal(await booked(), '2000', 'the rates were read less than ten minutes ago, and have changed since');
  await rate('0.0215');
});

test('consumes partitions that are added while it runs', LIMIT, async () => {
  await platform.addPartitions(16);
  const events = await waitFor('the producer to use the new partitions', async () => {
    const produced = await platform.produceEvents(500);
    const ends = await platform.admin.extents(TOPIC);
    return ends.slice(12).every(({ high }) => high > 0n) && produced;
  });
  await platform.drained(120_000);
  assert.equal(await missing(events), 0);
});

test('waits for a dead-letter topic that is missing, and loses no rejected record', LIMIT, async () => {
  await platform.deleteTopic(DLQ_TOPIC);
  await platform.produce([{ key: 'k', value: 'no event', headers: {} }]);
  const events = await platform.produceEvents(200);
  await consumer.logged(/failed to write dead letters; retrying/);
  assert.equal(consumer.exitCode, null);
  await platform.createTopic(DLQ_TOPIC, 1);
  await platform.drained(60_000);
  assert.equal(await missing(events), 0);
  const letters = await readTopic(platform.services.kafka.brokers, DLQ_TOPIC);
  assert.deepEqual(
    letters.map(({ headers }) => headers['dlq_reason']),
    ['not_json'],
  );
});

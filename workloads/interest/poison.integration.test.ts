import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { DLQ_TOPIC, recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';

// Records that cannot be applied go to the dead-letter topic, unchanged and with the reason; their neighbours are applied once.

const LIMIT = { timeout: 300_000 };
const NEIGHBOURS = 300;

const platform = await TestPlatform.start();
await platform.sql(
  `INSERT INTO account (id, kind, currency, product_code) VALUES ('overflow', 'customer', 'EUR', 'savings'), ('overflow-contra', 'internal', 'EUR', NULL), ('rateless', 'customer', 'EUR', 'gone')`,
);
await platform.sql(
  `INSERT INTO journal_transaction (id, kind, currency, value_date) VALUES ('00000000-0000-7000-8000-00000000aaaa', 'opening', 'EUR', '2026-01-01')`,
);
await platform.sql(`INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor) VALUES
  ('00000000-0000-7000-8000-00000000aaaa', 1, 'overflow', 'EUR', 9223372036854775807),
  ('00000000-0000-7000-8000-00000000aaaa', 2, 'overflow-contra', 'EUR', -9223372036854775807)`);
const consumer = await (await platform.consumer()).ready();

/** A statement that inserts postings. */
const posting = (...lines: string[]) =>
  `INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor) VALUES ${lines.join(',')}`;

/** Poison records between valid neighbours, all in one batch of each partition. */
function amid(poison: OutgoingRecord[]): { records: OutgoingRecord[]; good: string[] } {
  const events = Array.from({ length: NEIGHBOURS }, (_value, index) => platform.event(index));
  const records = events.map((event) => recordOf(event));
  for (const [index, record] of poison.entries()) records.splice(40 * (index + 1), 0, record);
  return { records, good: events.map(({ id }) => id) };
}

const first = platform.event(0);
const bad: { reason: string; record: OutgoingRecord }[] = [
  { reason: 'empty', record: { key: first.accountId, value: null, headers: {} } },
  { reason: 'not_json', record: { key: first.accountId, value: Buffer.from([0x7b, 0xff, 0x00]), headers: { origin: 'test' } } },
  { reason: 'not_an_event', record: { key: first.accountId, value: JSON.stringify({ ...first, days: undefined }), headers: {} } },
  { reason: 'key_mismatch', record: { key: 'somebody', value: JSON.stringify(platform.event(1)), headers: {} } },
  { reason: 'unknown_account', record: recordOf(platform.event(2, { accountId: 'nobody' })) },
  { reason: 'wrong_currency', record: recordOf(platform.event(3, { currency: 'JPY' })) },
  { reason: 'no_active_rate', record: recordOf(platform.event(0, { accountId: 'rateless', currency: 'EUR' })) },
  { reason: 'refused_by_database', record: recordOf(platform.event(0, { accountId: 'overflow', currency: 'EUR' })) },
];

await test('dead-letters each kind of poison record alone, and applies its neighbours once', LIMIT, async () => {
  for (const [index, { reason, record }] of bad.entries()) {
    const { records, good } = amid([record]);
    await platform.produce(records);
    await platform.drained();
    const ids = await platform.appliedIds();
    assert.deepEqual(
      good.filter((id) => !ids.has(id)),
      [],
      `${reason}: neighbours`,
    );
    assert.equal(ids.size, NEIGHBOURS * (index + 1), `${reason}: and nothing else`);
    const letters = await readTopic(platform.services.kafka.brokers, DLQ_TOPIC);
    assert.equal(letters.length, index + 1, `${reason}: one letter`);
    const letter = letters.at(-1);
    assert.equal(letter?.headers['dlq_reason'], reason);
    assert.equal(letter?.headers['dlq_topic'], TOPIC);
    assert.match(letter?.headers['dlq_offset'] ?? '', /^\d+$/);
    assert.notEqual(letter?.headers['dlq_detail'], '');
    assert.ok(isDeepStrictEqual(letter?.value, record.value === null ? null : Buffer.from(record.value)), `${reason}: byte for byte`);
    assert.equal(letter?.key?.toString(), record.key?.toString());
    for (const [name, value] of Object.entries(record.headers)) assert.equal(letter?.headers[name], value.toString());
  }
  assert.equal((await platform.check()).ok, true);
  assert.equal(await consumer.metric('interest_calculation_total', 'status="failure"'), bad.length);
  assert.equal(await consumer.metric('interest_dead_letters_total', 'reason="not_json"'), 1);
  assert.ok((await consumer.metric('interest_batch_fallback_total')) >= 1, 'the database rejected one batch, which was halved');
});

await test('finds several poison records in one batch and loses none of the others', LIMIT, async () => {
  const before = await platform.appliedIds();
  const letters = (await readTopic(platform.services.kafka.brokers, DLQ_TOPIC)).length;
  const { records, good } = amid([
    ...bad.map(({ record }) => record).slice(0, 6),
    recordOf(platform.event(0, { accountId: 'overflow', currency: 'EUR' })),
  ]);
  await platform.produce(records);
  await platform.drained();
  const ids = await platform.appliedIds();
  assert.deepEqual(
    good.filter((id) => !ids.has(id)),
    [],
  );
  assert.equal(ids.size, before.size + NEIGHBOURS);
  assert.equal((await readTopic(platform.services.kafka.brokers, DLQ_TOPIC)).length, letters + 7);
});

await test('applies an event once that is delivered twice, in one batch or later', LIMIT, async () => {
  const before = await platform.appliedIds();
  const event = platform.event(17);
  await platform.produce([recordOf(event), recordOf(event), recordOf(platform.event(17))]);
  await platform.drained();
  await platform.produce([recordOf(platform.event(17)), recordOf(event)]);
  await platform.drained();
  assert.equal((await platform.appliedIds()).size, before.size + 3);
  assert.equal(await consumer.metric('interest_duplicates_total'), 2);
  assert.equal((await platform.check()).ok, true);
});

await test('the database rejects every statement that would break an invariant of the ledger', LIMIT, async () => {
  const id = '00000000-0000-7000-8000-00000000bbbb';
  const journal = `INSERT INTO journal_transaction (id, kind, currency, value_date) VALUES ('${id}', 'opening', 'EUR', '2026-01-01');`;
  const line = (number: number, account: string, currency: string, amount: number) =>
    `('${id}', ${number}, '${account}', '${currency}', ${amount})`;
  const euro = 'opening-equity.EUR';
  const attempts: [string, string, RegExp][] = [
    ['a posting alone', journal + posting(line(1, euro, 'EUR', 5)), /does not balance/],
    ['a sum that is not zero', journal + posting(line(1, euro, 'EUR', 5), line(2, 'overflow', 'EUR', -4)), /does not balance/],
    ['postings without a transaction', posting(line(1, euro, 'EUR', 5), line(2, 'overflow', 'EUR', -5)), /does not balance/],
    ['two currencies', journal + posting(line(1, euro, 'EUR', 5), line(2, 'opening-equity.USD', 'USD', -5)), /does not balance/],
    [
      'an account of another currency',
      journal + posting(line(1, euro, 'EUR', 5), line(2, 'opening-equity.USD', 'EUR', -5)),
      /does not exist/,
    ],
    ['a missing account', journal + posting(line(1, euro, 'EUR', 5), line(2, 'nobody', 'EUR', -5)), /does not exist/],
    ['a change of a posting', 'UPDATE posting SET amount_minor = 1', /append-only/],
    ['a deletion', 'DELETE FROM posting', /append-only/],
    ['a truncation', 'TRUNCATE journal_transaction', /append-only/],
    ['a direct update of a balance', 'UPDATE account SET balance_minor = 0', /postings alone/],
    [
      'an account that opens with a balance',
      `INSERT INTO account (id, kind, currency, balance_minor) VALUES ('x', 'internal', 'EUR', 1)`,
      /must open/,
    ],
  ];
  for (const [what, statement, message] of attempts) {
    await assert.rejects(platform.sql(statement), message, what);
  }
  assert.equal((await platform.check()).ok, true);
});

await platform.stop();

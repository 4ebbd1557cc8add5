/** The read model against a real Kafka, Postgres and PgBouncer: what it projects, and what it does with records that do not fit. */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { attributesOf, OtlpReceiver } from '../shared/testing/otlp-receiver.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { seriesWithinBudget } from '../shared/testing/series.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { DLQ_TOPIC, get, ReadModelPlatform, recordOf, type Replica } from './testing/platform.ts';

const LIMIT = { timeout: 240_000 };
const SEED = Number(process.env['READ_MODEL_SEED'] ?? randomInt(2 ** 31));
const again = `READ_MODEL_SEED=${SEED}`;

let platform: ReadModelPlatform;
let replica: Replica;
let otlp: OtlpReceiver;

before(async () => {
  otlp = await OtlpReceiver.start();
  platform = await ReadModelPlatform.start(120, SEED);
  replica = await platform.replica({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url });
}, LIMIT);
after(async () => {
  await platform?.stop();
  await otlp?.kill();
}, LIMIT);

const balanceOf = (id: string, query = '', headers = {}) => get(`${replica.url}/api/v1/accounts/${id}/balance${query}`, headers);

test('equals the ledger once drained, with one statement for a slice', LIMIT, async () => {
  for (let round = 0; round < 5; round++) {
    await platform.transfers(400);
    await platform.publish();
  }
  await platform.drained();
  assert.deepEqual(await platform.differences(), [], again);
  const calls = await replica.workload.metric('db_calls_total', 'operation="project entries"');
  const batches = await replica.workload.metric('read_model_batch_size_count');
  assert.ok(calls > 0 && calls <= batches, `${calls} statements for ${batches} slices`);
  const [journal] = await platform.ledger<{ count: number }>(
    `SELECT count(*)::int AS count FROM posting p JOIN account a ON a.id = p.account_id WHERE a.kind = 'customer'`,
  );
  assert.equal(await replica.workload.metric('events_processed_total'), journal?.count);
  assert.equal(await replica.workload.metric('projection_latency_seconds_count'), journal?.count);
  await waitFor('the lag to be 0', async () => (await replica.workload.metric('consumer_lag')) === 0);
  assert.equal(await replica.workload.metric('read_model_generation'), 1);
});

test('entries that come twice, in one slice or later, and slices that come in another order have no effect', LIMIT, async () => {
  await platform.transfers(200);
  const first = await platform.unpublished();
  await platform.transfers(200);
  const second = await platform.unpublished();
  const batches = [first, second].map((entries) => entries.map((entry) => recordOf(entry)));
  const processed = await replica.workload.metric('events_processed_total');
  await platform.send(batches.flat().flatMap((record) => [record, record]));
  await platform.drained();
  await platform.send(batches.toReversed().flat());
  await platform.send(batches.flat().toReversed());
  await platform.drained();
  assert.deepEqual(await platform.differences(), [], again);
  assert.equal(await replica.workload.metric('events_processed_total'), processed + first.length + second.length);
  assert.equal(await replica.workload.metric('read_model_duplicates_total'), 3 * (first.length + second.length));
});

test('a record that is no entry goes to the dead-letter topic with its reason; the others are projected', LIMIT, async () => {
  await platform.transfers(100);
  const entries = (await platform.unpublished()).map((entry) => recordOf(entry));
  const [some] = entries;
  assert.ok(some);
  const poison = [
    { key: 'acc-0000001', value: '{"entryId":', headers: {} },
    { key: 'acc-0000001', value: JSON.stringify({ entryId: randomUUID() }), headers: {} },
    { key: 'somebody', value: some.value, headers: {} },
  ];
  await platform.send([...entries.slice(0, 50), ...poison, ...entries.slice(50)]);
  await platform.drained();
  assert.deepEqual(await platform.differences(), []);
  const letters = await readTopic(platform.services.kafka.brokers, DLQ_TOPIC);
  assert.equal(letters.length, 3);
  assert.deepEqual(new Set(letters.map(({ headers }) => headers['dlq_reason'])), new Set(['key_mismatch', 'not_an_event', 'not_json']));
});

test('a sampled entry continues the trace of its request, and is logged with its ids', LIMIT, async () => {
  await platform.transfers(1);
  const trace = randomUUID().replaceAll('-', '');
  const parent = '00f067aa0ba902b7';
  const entries = await platform.publish({ traceparent: `00-${trace}-${parent}-01` });
  const [entry] = entries;
  assert.ok(entry);
  const spans = await waitFor('the spans', () => {
    const own = otlp.spans.filter(({ traceId }) => traceId === trace);
    return own.length >= entries.length && own;
  });
  assert.equal(spans.length, entries.length, 'one span for each message');
  for (const span of spans) assert.equal(span.parentSpanId, parent);
  const ids = spans.map((span) => attributesOf(span)).find((attributes) => attributes['bss.account_id'] === entry.accountId);
  assert.equal(ids?.['bss.entry_id'], entry.entryId);
  assert.equal(ids['bss.transfer_id'], entry.externalId?.replace('transfer:', ''));
  const batch = await waitFor('the span of the batch', () => otlp.spans.find(({ spanId }) => spanId === spans[0]?.links?.[0]?.spanId));
  assert.equal(batch.name, 'process batch ledger.entry.v1');
  const records = replica.workload.log.split('\n').filter((line) => line.includes(trace) && line.includes('"message applied"'));
  const logged = records.map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(logged.length, entries.length);
  assert.ok(logged.some((record) => record['trace_id'] === trace && record['transfer_id'] === ids['bss.transfer_id']));

  await platform.transfers(1);
  const unsampled = randomUUID().replaceAll('-', '');
  await platform.publish({ traceparent: `00-${unsampled}-${parent}-00` });
  await platform.drained();
  assert.ok(!replica.workload.log.split('\n').some((line) => line.includes(unsampled) && line.includes('"message applied"')));
});

test('answers with the balance, its sequence and how fresh it is', LIMIT, async () => {
  const [account] = await platform.ledger<{ id: string; balance: string; sequence: number }>(
    `SELECT id, balance_minor::text AS balance, posting_count::int AS sequence FROM account WHERE kind = 'customer' ORDER BY posting_count DESC LIMIT 1`,
  );
  assert.ok(account);
  const startedAt = new Date();
  const answer = await waitFor('a fresh answer', async () => {
    const given = await balanceOf(account.id);
    return String(given.body['asOf']) >= startedAt.toISOString() && given;
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.body['balanceMinor'], account.balance);
  assert.equal(answer.body['sequence'], account.sequence);
  assert.ok(String(answer.body['asOf']) <= new Date().toISOString());
  assert.equal((await balanceOf(account.id, '?at=2020-01-01T00:00:00Z')).body['balanceMinor'], '0');
  assert.equal((await balanceOf('nobody')).body['code'], 'account_not_found');
  assert.equal((await fetch(`${replica.url}/api/v1/accounts/${account.id}/balance`)).status, 401);

  const lines: { sequence: number; balanceAfterMinor: string }[] = [];
  for (let next: number | null | undefined; next !== null;) {
    const page = await get(`${replica.url}/api/v1/accounts/${account.id}/statement?limit=7${next === undefined ? '' : `&before=${next}`}`);
    assert.equal(page.status, 200);
    lines.push(...(page.body['lines'] as typeof lines));
    next = page.body['next'] as number | null;
  }
  assert.deepEqual(
    lines.map(({ sequence }) => sequence),
    Array.from({ length: account.sequence }, (_value, index) => account.sequence - index),
  );
  assert.equal(lines[0]?.balanceAfterMinor, account.balance);
});

test('a reader of its own writes waits for them, and gets 503 when they do not come', LIMIT, async () => {
  await platform.transfers(1);
  const [entry, other] = await platform.unpublished();
  assert.ok(entry && other);
  const query = `?minSequence=${entry.sequence}`;
  const early = await balanceOf(entry.accountId, query, { 'x-request-timeout-ms': '600' });
  assert.equal(early.status, 503);
  assert.equal(early.body['code'], 'not_yet_projected');
  assert.equal(early.headers.get('retry-after'), '1');

  const reads = await replica.workload.metric('db_calls_total', 'operation="read balance"');
  const waiting = [
    balanceOf(entry.accountId, query),
    balanceOf(other.accountId, `?afterTransaction=${entry.entryId}`),
    get(`${replica.url}/api/v1/accounts/${entry.accountId}/statement${query}`),
  ];
  await waitFor('the requests to wait', async () => (await replica.workload.metric('db_calls_total', 'operation="read sequences"')) > 3);
  await platform.send([entry, other].map((one) => recordOf(one)));
  const answers = await Promise.all(waiting);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  assert.equal(answers[0]?.body['sequence'], entry.sequence);
  assert.equal(answers[0].body['balanceMinor'], entry.balanceAfterMinor);
  const repeated = (await replica.workload.metric('db_calls_total', 'operation="read balance"')) - reads;
  assert.ok(repeated <= 6, `${repeated} reads of two waiting requests`);
});

test('a gap stops its partition with a clear message, and no other one', LIMIT, async () => {
  const account = 'gap-account';
  const entry = (sequence: number): LedgerEntry => ({
    entryId: randomUUID(),
    line: 1,
    kind: 'transfer',
    externalId: null,
    accountId: account,
    currency: 'EUR',
    amountMinor: '1',
    sequence,
    balanceAfterMinor: String(sequence),
    valueDate: '2026-01-31',
    postedAt: new Date().toISOString(),
  });
  await platform.send([recordOf(entry(1)), recordOf(entry(2))]);
  await platform.drained();
  await platform.send([recordOf(entry(4))]);
  await replica.workload.logged(/account gap-account, offset \d+: the entry before sequence 4 is missing; the last projected one is 2/);
  assert.equal((await balanceOf(account)).body['sequence'], 2);
  await platform.transfers(300);
  await platform.publish();
  const [stopped] = await platform.sql<{ partition: number }>(`SELECT partition FROM balance WHERE account_id = $1`, [account]);
  await waitFor('the other partitions to be projected', async () => {
    const rows = await platform.sql<{ partition: number; next: string }>(
      'SELECT partition, next_offset::text AS next FROM consumer_offset',
    );
    const positions = new Map(rows.map(({ partition, next }) => [partition, BigInt(next)]));
    const behind = (await platform.admin.extents('ledger.entry.v1')).filter(({ partition, high }) => positions.get(partition) !== high);
    return behind.length === 1 && behind[0]?.partition === stopped?.partition;
  });
  assert.equal(replica.workload.exitCode, null);
  assert.ok((await replica.workload.metric('read_model_partitions_blocked_total')) > 0);
  await waitFor('the lag to show', async () => (await replica.workload.metric('consumer_lag')) > 0);
  await waitFor('a second attempt', async () => (await replica.workload.metric('read_model_partitions_blocked_total')) > 1);
});

test('whatever it consumes and whatever is asked, its series stay within their budget', LIMIT, async (context) => {
  await Promise.all(Array.from({ length: 100 }, (_value, index) => balanceOf(`hostile-${index}`)));
  context.diagnostic(`series: ${await seriesWithinBudget('read-model', replica.workload.metricsUrl, /hostile|acc-0/)}`);
});

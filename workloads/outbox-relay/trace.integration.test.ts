/** One trace from the request of the ledger to the message in Kafka, whatever calls the request was in a batch with. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { LEDGER_ENTRY_TYPE, ledgerEntry, ledgerEntryEventId } from '../shared/contracts/ledger-entry.ts';
import { Metrics } from '../shared/kernel/metrics.ts';
import { inSpan, startTelemetry } from '../shared/kernel/telemetry.ts';
import { attributesOf, OtlpReceiver } from '../shared/testing/otlp-receiver.ts';
import type { ReceivedSpan } from '../shared/testing/otlp-receiver.ts';
import { TestPlatform } from '../shared/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort } from '../shared/testing/workload.ts';
import { Bench } from './testing/bench.ts';

const LIMIT = { timeout: 200_000 };
const KEY = 'the-key-of-the-ledger-for-this-test-0';
const [SERVER, PRODUCER] = [2, 4];

let receiver: OtlpReceiver;
let platform: TestPlatform;
let bench: Bench;
let port: number;

before(async () => {
  receiver = await OtlpReceiver.start();
  platform = await TestPlatform.start(50);
  bench = await Bench.open(platform);
  port = await freePort();
  const telemetry = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const processes = [
    await platform.run('ledger', { ...platform.env('ledger'), ...telemetry, PORT: String(port), API_KEY: KEY }),
    await platform.run('outbox-relay', { ...platform.env('relay'), ...telemetry }),
  ];
  await Promise.all(processes.map((one) => one.ready()));
}, LIMIT);
after(async () => {
  await bench?.close();
  await platform?.stop();
  await receiver?.kill();
}, LIMIT);

const traceparent = (flags: '00' | '01'): string => `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-${flags}`;
const traceOf = (parent: string): string => parent.split('-')[1] ?? '';

/** Posts a transfer between customers within a trace. @returns id of the transaction */
async function post(externalId: string, parent: string, { currency, lines } = bench.transfer()): Promise<string> {
  const postings = lines.map(({ accountId, amountMinor }) => ({ accountId, amountMinor: amountMinor.toString() }));
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/transactions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': KEY, traceparent: parent },
    body: JSON.stringify({ externalId, currency, postings }),
  });
  assert.ok(answer.ok, await answer.clone().text());
  return ((await answer.json()) as { transactionId: string }).transactionId;
}

/** Messages of transactions: event id to `traceparent`. */
async function messagesOf(...transactions: string[]): Promise<Map<string, string | undefined>> {
  const entries = (await bench.records()).map(({ value, headers }) => ({ entry: ledgerEntry.parse(JSON.parse(String(value))), headers }));
  const own = entries.filter(({ entry }) => transactions.includes(entry.entryId));
  return new Map(own.map(({ entry, headers }) => [ledgerEntryEventId(entry), headers['traceparent']]));
}

function spans(trace: string, kind: number): ReceivedSpan[] {
  return receiver.spans.filter((span) => span.traceId === trace && span.kind === kind);
}

test('each message of a sampled request names a span of the relay, whose parent is the request', LIMIT, async () => {
  const parents = Array.from({ length: 30 }, () => traceparent('01'));
  const transfers = parents.map(() => randomUUIDv7());
  const transactions = await Promise.all(parents.map((parent, index) => post(`transfer:${transfers[index]}`, parent)));
  await bench.drained();
  const messages = await messagesOf(...transactions);
  assert.equal(messages.size, 60);
  for (const [index, parent] of parents.entries()) {
    const trace = traceOf(parent);
    const sent = await waitFor('the spans', () => {
      const found = spans(trace, PRODUCER);
      return found.length >= 2 && spans(trace, SERVER).length === 1 && found;
    });
    const [request] = spans(trace, SERVER);
    assert.equal(sent.length, 2, 'one for each customer, and none for the bank');
    for (const span of sent) {
      const attributes = attributesOf(span);
      assert.deepEqual([span.service, span.parentSpanId], ['outbox-relay', request?.spanId]);
      assert.equal(span.name, `send ${LEDGER_ENTRY_TYPE}`);
      assert.equal(attributes['transfer_id'], transfers[index]);
      assert.equal(messages.get(String(attributes['messaging.message.id'])), `00-${trace}-${span.spanId}-01`);
    }
  }
  assert.ok((await platform.sql('SELECT FROM outbox_trace')).length === 0, 'traces are deleted with their rows');
});

test('a request that is not sampled has no trace in the outbox, and no header', LIMIT, async () => {
  const parent = traceparent('00');
  const transaction = await post('order-1', parent);
  await bench.drained();
  const messages = await messagesOf(transaction);
  assert.deepEqual([...messages.values()], [undefined, undefined]);
  assert.deepEqual(spans(traceOf(parent), PRODUCER), []);
});

test('a repeated request adds no trace: its transaction is published already', LIMIT, async () => {
  const transfer = bench.transfer();
  const first = await post('order-2', traceparent('01'), transfer);
  await bench.drained();
  assert.equal(await post('order-2', traceparent('01'), transfer), first);
  assert.deepEqual(await platform.sql('SELECT * FROM outbox_trace'), []);
});

test('a call that the ledger repeats after its answer was lost adds no trace either', LIMIT, async () => {
  const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 1 }, new Metrics({}));
  const operation = bench.transfer();
  const apply = () => inSpan('request', {}, () => bench.engine().submit(operation));
  assert.deepEqual(await apply(), { id: operation.id, replayed: false });
  await bench.drained();
  const [sent] = await messagesOf(operation.id);
  assert.ok(sent?.[1], 'the first call was traced');
  assert.deepEqual(await apply(), { id: operation.id, replayed: false });
  assert.deepEqual(await platform.sql('SELECT * FROM outbox_trace'), []);
  await stop();
});

test('polling and publishing make no traces of their own', LIMIT, () => {
  const own = receiver.spans.filter(({ service, kind }) => service === 'outbox-relay' && kind !== PRODUCER);
  assert.deepEqual(own, []);
});

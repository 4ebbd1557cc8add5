/** The whole event path with real servers and processes: from the engine, or a request to the gateway, over outbox, relay and Kafka to the read model. */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { attributesOf, OtlpReceiver, type ReceivedSpan } from '../shared/testing/otlp-receiver.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';
import { KEY, ReadModelPlatform, type Replica } from './testing/platform.ts';

const LIMIT = { timeout: 300_000 };
const SEED = Number(process.env['READ_MODEL_SEED'] ?? randomInt(2 ** 31));
const KILLS = 3;
const SERVICES = ['gateway', 'orchestrator', 'ledger', 'outbox-relay', 'read-model'];

let platform: ReadModelPlatform;
let otlp: OtlpReceiver;
let relays: Workload[];
let replica: Replica;

before(async () => {
  otlp = await OtlpReceiver.start();
  platform = await ReadModelPlatform.start(100, SEED);
  relays = await Promise.all([relay(), relay()]);
  replica = await platform.replica(traced());
}, LIMIT);
after(async () => {
  await platform?.stop();
  await otlp?.kill();
}, LIMIT);

const traced = () => ({ OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url });

async function relay(): Promise<Workload> {
  const process = await platform.run('outbox-relay', { ...platform.env('ledger', 'relay'), ...traced() });
  return process.ready();
}

test('random traffic over two relays, which are killed like the read model: it equals the ledger once drained', LIMIT, async () => {
  let running = true;
  const traffic = (async () => {
    while (running) await platform.transfers(100);
  })();
  for (let kill = 0; kill < KILLS; kill++) {
    const projected = await replica.workload.metric('events_processed_total');
    await waitFor('entries to be projected', async () => (await replica.workload.metric('events_processed_total')) > projected + 100);
    await Promise.all([relays[kill % 2]?.end('SIGKILL'), kill === 1 ? replica.workload.end('SIGKILL') : undefined]);
    relays[kill % 2] = await relay();
    if (kill === 1) replica = await platform.replica(traced());
  }
  running = false;
  await traffic;
  await platform.settled();
  assert.deepEqual(await platform.differences(), [], `READ_MODEL_SEED=${SEED}`);
  assert.doesNotMatch(replica.workload.log, /cannot continue/);
});

/** The spans of the trace in which the read model has projected a transfer. */
function traceOf(transferId: string): ReceivedSpan[] {
  const known = otlp.spans.find((span) => span.service === 'read-model' && attributesOf(span)['bss.transfer_id'] === transferId);
  return otlp.spans.filter(({ traceId }) => traceId === known?.traceId);
}

/** Spans whose parent is not among them. */
function rootsOf(spans: ReceivedSpan[]): ReceivedSpan[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  return spans.filter(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId));
}

test('one transfer is one trace over all services, whose logs have its id, and its client reads its own write', LIMIT, async () => {
  const ports = { ledger: await freePort(), orchestrator: await freePort(), gateway: await freePort() };
  const at = (port: number) => `http://127.0.0.1:${port}`;
  const ledger = await platform.run('ledger', { ...platform.env('ledger'), ...traced(), PORT: String(ports.ledger) });
  const orchestrator = await platform.run('orchestrator', {
    ...platform.env('orchestrator'),
    ...traced(),
    PORT: String(ports.orchestrator),
    LEDGER_URL: at(ports.ledger),
    LEDGER_API_KEY: KEY,
  });
  const gateway = await platform.run('gateway', {
    ...platform.env('ledger'),
    ...traced(),
    PORT: String(ports.gateway),
    LEDGER_URL: at(ports.ledger),
    LEDGER_API_KEY: KEY,
    ORCHESTRATOR_URL: at(ports.orchestrator),
    ORCHESTRATOR_API_KEY: KEY,
    READ_MODEL_URL: replica.url,
    READ_MODEL_API_KEY: KEY,
    INTEREST_TOPIC: 'interest.transaction.v1',
  });
  await Promise.all([ledger, orchestrator, gateway].map((workload) => workload.ready()));
  const [from, to] = platform.accounts.filter(({ currency }) => currency === 'EUR');
  assert.ok(from && to);
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const body = JSON.stringify({ fromAccount: from.id, toAccount: to.id, amountMinor: '1', currency: 'EUR' });
  const response = await fetch(`${at(ports.gateway)}/api/v1/transfers`, { method: 'POST', headers, body });
  const transfer = (await response.json()) as { transferId: string; transactionId: string };
  assert.equal(response.status, 201, JSON.stringify(transfer));

  const read = await fetch(`${at(ports.gateway)}/api/v1/accounts/${to.id}/statement?limit=1&afterTransaction=${transfer.transactionId}`, {
    headers,
  });
  const statement = (await read.json()) as { lines: { transactionId: string }[] };
  assert.equal(read.headers.get('x-bss-source'), 'read-model', JSON.stringify(statement));
  assert.equal(statement.lines[0]?.transactionId, transfer.transactionId);

  const spans = await waitFor('the whole trace', () => {
    const own = traceOf(transfer.transferId);
    const projected = own.filter(({ service }) => service === 'read-model').length;
    const complete = SERVICES.every((name) => own.some(({ service }) => service === name)) && projected === 2 && rootsOf(own).length === 1;
    return complete && own;
  });
  assert.ok(spans.length >= 10, `${spans.length} spans`);
  assert.deepEqual(
    rootsOf(spans).map(({ service, name }) => `${service}: ${name}`),
    ['gateway: POST /api/v1/transfers'],
  );
  const trace = spans[0]?.traceId ?? '';
  for (const { name, log } of [gateway, orchestrator, ledger, replica.workload])
    assert.ok(
      log.split('\n').some((line) => line.includes(`"trace_id":"${trace}"`)),
      `${name} logs the trace`,
    );
});

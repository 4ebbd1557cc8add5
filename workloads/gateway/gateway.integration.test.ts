import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { freePort } from '../shared/testing/workload.ts';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';

// The path of an event through all services, over HTTP, Kafka and Postgres, with its trace.

const LIMIT = { timeout: 300_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';

/** The part of an OTLP/JSON export that the test reads. */
interface ExportedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  links?: { traceId: string; spanId: string }[];
  service: string;
}

const spans: ExportedSpan[] = [];
const collector = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    collect(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
}).listen(0, '127.0.0.1');
await once(collector, 'listening');
const address = collector.address();
const collectorUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;

interface Export {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: Omit<ExportedSpan, 'service'>[] }[];
  }[];
}

function collect(body: Export): void {
  for (const { resource, scopeSpans } of body.resourceSpans) {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
    for (const scope of scopeSpans) spans.push(...scope.spans.map((span) => ({ ...span, service })));
  }
}

const platform = await TestPlatform.start(200);
const [ledgerPort, gatewayPort, closedPort] = [await freePort(), await freePort(), await freePort()];
const shared = { ...platform.env('ledger'), OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl };
const ledger = await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
const gatewayEnv = { ...shared, LEDGER_URL: `http://127.0.0.1:${ledgerPort}`, API_KEY: KEY, LEDGER_API_KEY: LEDGER_KEY };
const gateway = await platform.run('gateway', { ...gatewayEnv, PORT: String(gatewayPort), DEBUG_SEED_ENABLED: 'true' });
const closed = await platform.run('gateway', { ...gatewayEnv, PORT: String(closedPort), DEBUG_SEED_ENABLED: 'false' });
const interest = await platform.consumer({ OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl });
const exporter = await platform.run('kafka-exporter', shared);
await Promise.all([ledger, gateway, closed, interest, exporter].map((workload) => workload.ready()));

type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };

interface Answer {
  status: number;
  type: string | null;
  body: Record<string, unknown>;
}

async function call(path: string, init: Init = {}, port = gatewayPort): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { 'x-api-key': KEY, ...init.headers } });
  const body: unknown = await response.json();
  assert.ok(typeof body === 'object' && body !== null);
  return { status: response.status, type: response.headers.get('content-type'), body: { ...body } };
}

function post(body: string, headers: Record<string, string> = {}): Init {
  return { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
}

await test('applies a seed of 10,000 events with two database calls a batch', LIMIT, async () => {
  const seeded = await call('/debug/seed', post('{"count":10000}'));
  assert.equal(seeded.status, 202);
  assert.equal(seeded.body['accepted'], 10_000);
  assert.equal(seeded.body['topic'], TOPIC);
  await platform.drained();
  const check = await call('/api/v1/ledger/check');
  assert.deepEqual(
    { ok: check.body['ok'], applied: check.body['interestTransactions'], sum: check.body['sumMinor'] },
    { ok: true, applied: 10_000, sum: '0' },
  );
  assert.deepEqual(await wrongBalances(platform), [], 'each balance is what the events of the topic lead to');
  const batches = await interest.metric('interest_batch_size_count');
  assert.equal(await interest.metric('db_calls_total', 'operation="read balances"'), batches);
  assert.equal(await interest.metric('db_calls_total', 'operation="write journal"'), batches);
  assert.equal(await interest.metric('interest_batch_size_sum'), 10_000);
  const beyondTwo = batches - (await interest.metric('interest_batch_db_calls_bucket', 'le="2"'));
  assert.ok(beyondTwo <= 1, `only the batch that loads the product configs takes a third call, not ${beyondTwo} batches`);
});

await test('the trace of a request continues in the ledger, in Kafka, and in the batch that applies its events', LIMIT, async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const seeded = await call('/debug/seed', post('{"count":50}', { traceparent: `00-${traceId}-b7ad6b7169203331-01` }));
  assert.equal(seeded.status, 202);
  const find = (service: string, name: string) =>
    spans.find((span) => span.service === service && span.name === name && span.traceId === traceId);
  const continued = await waitFor('the consumer span in the trace of the request', () => find('interest', `process ${TOPIC}`), 20_000);
  const sent = await waitFor('the producer span', () => find('gateway', `send ${TOPIC}`), 20_000);
  const server = await waitFor('the server span', () => find('gateway', 'POST /debug/seed'), 20_000);
  await waitFor('the server span of the ledger', () => find('ledger', 'GET /api/v1/accounts'), 20_000);
  assert.equal(server.parentSpanId, 'b7ad6b7169203331');
  assert.equal(sent.parentSpanId, server.spanId);
  assert.equal(continued.parentSpanId, sent.spanId, 'the consumer continues the span that the record names');
  const batch = await waitFor('the batch span with a link to the producer', () =>
    spans.find((span) => span.name === `process batch ${TOPIC}` && span.links?.some((link) => link.spanId === sent.spanId)),
  );
  assert.equal(continued.links?.[0]?.spanId, batch.spanId, 'and links to the batch');
});

await test('serves account, balance and statement', LIMIT, async () => {
  const account = await call('/api/v1/accounts/acc-0000001');
  assert.equal(account.status, 200);
  assert.equal(account.body['kind'], 'customer');
  const balance = await call('/api/v1/accounts/acc-0000001/balance');
  assert.equal(balance.body['balanceMinor'], account.body['balanceMinor']);
  const statement = await call('/api/v1/accounts/acc-0000001/statement?limit=500');
  const lines = statement.body['lines'];
  assert.ok(Array.isArray(lines));
  const sum = lines.reduce((total: bigint, line: { amountMinor: string }) => total + BigInt(line.amountMinor), 0n);
  assert.equal(String(sum), balance.body['balanceMinor'], 'the statement adds up to the balance');
  assert.equal(lines.at(-1).kind, 'opening', 'newest first');
});

const refused: { name: string; path: string; init?: Init; port?: number; status: number; code: string; detail: RegExp }[] = [
  { name: 'unknown account', path: '/api/v1/accounts/nobody', status: 404, code: 'account_not_found', detail: /no account nobody/ },
  {
    name: 'no account id',
    path: '/api/v1/accounts/a%20b',
    status: 400,
    code: 'validation_failed',
    detail: /path.id: must be an account id/,
  },
  {
    name: 'a page that begins at a NUL character',
    path: '/api/v1/accounts?after=%00',
    status: 400,
    code: 'validation_failed',
    detail: /NUL/,
  },
  {
    name: 'a page that begins at something else than an id',
    path: '/api/v1/accounts?after=a%20b',
    status: 400,
    code: 'validation_failed',
    detail: /query.after: must be an account id/,
  },
  { name: 'unknown path', path: '/nothing', status: 404, code: 'not_found', detail: /undefined/ },
  {
    name: 'seed of nothing',
    path: '/debug/seed',
    init: post('{"count":0}'),
    status: 400,
    code: 'validation_failed',
    detail: /body.count: must be at least 1/,
  },
  {
    name: 'seed of too much',
    path: '/debug/seed',
    init: post('{"count":1000001}'),
    status: 400,
    code: 'validation_failed',
    detail: /at most 1000000/,
  },
  { name: 'seed without a count', path: '/debug/seed', init: post('{}'), status: 400, code: 'validation_failed', detail: /body.count/ },
  { name: 'seed that is not JSON', path: '/debug/seed', init: post('{"count":'), status: 400, code: 'validation_failed', detail: /JSON/ },
  {
    name: 'seed where it is not enabled',
    path: '/debug/seed',
    init: post('{"count":1}'),
    port: closedPort,
    status: 404,
    code: 'seed_not_enabled',
    detail: /debugSeed.enabled to true/,
  },
];
for (const { name, path, init, port, status, code, detail } of refused) {
  await test(`refused: ${name}`, LIMIT, async () => {
    const answer = await call(path, init, port);
    assert.equal(answer.status, status);
    assert.match(answer.type ?? '', /^application\/problem\+json/);
    assert.equal(answer.body['code'], code);
    assert.match(String(answer.body['detail']), detail);
  });
}

await test('client errors and short client deadlines do not open the circuit', LIMIT, async () => {
  for (let round = 0; round < 6; round++) {
    await call('/api/v1/accounts/nobody');
    await call('/api/v1/accounts?after=%00');
    const hurried = await call('/api/v1/accounts?limit=10000', { headers: { 'x-request-timeout-ms': '1' } });
    assert.equal(hurried.status, 503);
  }
  assert.equal(await gateway.metric('circuit_breaker_state', 'ledger'), 0);
  assert.equal((await call('/api/v1/accounts/acc-0000001')).status, 200);
  assert.equal(
    (await call('/api/v1/accounts?after=%00', { headers: { 'x-api-key': LEDGER_KEY } }, ledgerPort)).status,
    400,
    'the ledger itself refuses the NUL character as well',
  );
});

await test('serves an OpenAPI description of its paths', LIMIT, async () => {
  const { body } = await call('/openapi.json');
  const { paths } = body;
  assert.ok(typeof paths === 'object' && paths !== null);
  assert.deepEqual(Object.keys(paths).toSorted(), [
    '/api/v1/accounts',
    '/api/v1/accounts/{id}',
    '/api/v1/accounts/{id}/balance',
    '/api/v1/accounts/{id}/statement',
    '/api/v1/ledger/check',
    '/debug/seed',
  ]);
});

await test('the exporter reports lag by partition, brokers and members', LIMIT, async () => {
  await waitFor(
    'a reading after the drain',
    async () => (await exporter.metric('kafka_consumergroup_current_offset', 'interest-batch')) === 10_050,
  );
  assert.equal(await exporter.metric('kafka_brokers'), 1);
  assert.equal(await exporter.metric('kafka_consumergroup_lag', 'interest-batch'), 0);
  assert.equal(await exporter.metric('kafka_consumergroup_members', 'interest-batch'), 1);
  assert.equal(await exporter.metric('kafka_topic_partitions', TOPIC), 13, 'twelve, and one of the dead-letter topic');
});

await test('answers within the deadline while the ledger is frozen, and at once when the circuit is open', LIMIT, async () => {
  ledger.signal('SIGSTOP');
  try {
    const startedAt = performance.now();
    const first = await call('/api/v1/accounts/acc-0000001');
    const seconds = (performance.now() - startedAt) / 1000;
    assert.equal(first.status, 503);
    assert.ok(seconds < 5.5, `answered after ${seconds.toFixed(1)} s; the deadline is 5 s`);
    const short = performance.now();
    const impatient = await call('/api/v1/accounts/acc-0000001', { headers: { 'x-request-timeout-ms': '300' } });
    assert.equal(impatient.status, 503);
    assert.ok(performance.now() - short < 2_000, "the caller's own deadline holds");
    await waitFor('the circuit to open', async () => {
      await call('/api/v1/accounts/acc-0000001');
      return (await gateway.metric('circuit_breaker_state', 'ledger')) === 1;
    });
    const open = performance.now();
    assert.equal((await call('/api/v1/accounts/acc-0000001')).body['code'], 'ledger_unavailable');
    assert.ok(performance.now() - open < 1_000, 'answered at once');
  } finally {
    ledger.signal('SIGCONT');
  }
  await waitFor('the gateway to answer again', async () => (await call('/api/v1/accounts/acc-0000001')).status === 200);
});

await test('runs one check of the ledger at a time', LIMIT, async () => {
  const before = await ledger.metric('db_calls_total', 'operation="check ledger"');
  const checks = await Promise.all(Array.from({ length: 20 }, () => call('/api/v1/ledger/check')));
  assert.ok(checks.every(({ body }) => body['ok'] === true));
  const runs = (await ledger.metric('db_calls_total', 'operation="check ledger"')) - before;
  assert.ok(runs < 10, `20 requests at once caused ${runs} scans`);
});

await test('answers 503 at once while the ledger is down, and recovers with it', LIMIT, async () => {
  await ledger.end('SIGTERM');
  const away = await call('/api/v1/accounts/acc-0000001');
  assert.equal(away.status, 503);
  assert.equal(away.body['code'], 'ledger_unavailable');
  for (let attempt = 0; attempt < 3; attempt++) await call('/api/v1/accounts/acc-0000001');
  assert.equal(await gateway.metric('circuit_breaker_state', 'ledger'), 1, 'the circuit is open');
  await (await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: LEDGER_KEY })).ready();
  await waitFor('the gateway to answer again', async () => (await call('/api/v1/accounts/acc-0000001')).status === 200);
});

await test('exits with 78 for an invalid configuration and names the accepted values', LIMIT, async () => {
  const broken = await platform.run('interest', {
    ...platform.env('interest'),
    KAFKA_BROKERS: 'kafka',
    INTEREST_BATCH_MAX_RECORDS: '9999',
  });
  await waitFor('the process to end', () => broken.exitCode !== null);
  assert.equal(broken.exitCode, 78);
  assert.match(broken.log, /KAFKA_BROKERS is "kafka": write a comma list of host:port/);
  assert.match(broken.log, /INTEREST_BATCH_MAX_RECORDS is "9999": write a whole number from 1 to 5000/);
});

await platform.stop();
collector.close();

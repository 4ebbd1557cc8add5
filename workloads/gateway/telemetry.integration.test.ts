import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { test } from 'node:test';
import { attributesOf, OtlpReceiver } from '../shared/testing/otlp-receiver.ts';
import type { ReceivedSpan } from '../shared/testing/otlp-receiver.ts';
import { recordOf, TestPlatform, TOPIC } from '../shared/testing/platform.ts';
import { SERIES_BUDGETS, seriesOf } from '../shared/testing/series.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort } from '../shared/testing/workload.ts';
import type { Workload } from '../shared/testing/workload.ts';

// What the processes emit: spans, records and series, under load and under hostile input.

const LIMIT = { timeout: 300_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';
/** Seconds; a histogram that measures a latency of more than milliseconds has them as bounds. */
const TARGETS = [0.2, 0.5, 1, 2, 5];
const [CLIENT, PRODUCER, CONSUMER] = [3, 4, 5];

const receiver = await OtlpReceiver.start();
const platform = await TestPlatform.start(200);
const [ledgerPort, gatewayPort] = [await freePort(), await freePort()];
const shared = { ...platform.env('ledger'), OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
const ledger = await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
const gateway = await platform.run('gateway', {
  ...shared,
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  API_KEY: KEY,
  LEDGER_API_KEY: LEDGER_KEY,
  PORT: String(gatewayPort),
  DEBUG_SEED_ENABLED: 'true',
  AUTH_FAILURES_PER_MINUTE: '1000000',
  REQUESTS_PER_SECOND: '1000000',
});
const interest = await platform.consumer({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
const exporter = await platform.run('kafka-exporter', shared);
const processes = { gateway, ledger, interest, 'kafka-exporter': exporter };
await Promise.all(Object.values(processes).map((workload) => workload.ready()));

function ask(
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
) {
  return new Promise<number>((resolve, reject) => {
    const sent = request({ port: gatewayPort, path, method, headers: { 'x-api-key': KEY, ...headers } }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject).end(body);
  });
}

const seed = (count: number, headers: Record<string, string> = {}) =>
  ask('/debug/seed', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ count }) });

interface Line {
  level: string;
  message: string;
  trace_id?: string;
  span_id?: string;
  [field: string]: unknown;
}

const linesOf = (workload: Workload): Line[] =>
  workload.log
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Line);

async function exposition(workload: Workload, accept = 'text/plain'): Promise<string> {
  return (await fetch(`${workload.metricsUrl}/metrics`, { headers: { accept } })).text();
}

const find = (what: string, match: (span: ReceivedSpan) => boolean) => waitFor(what, () => receiver.spans.find(match), 60_000);

await test('one request is one trace whose id every process logs, with the ids of its objects', LIMIT, async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
  await waitFor('an answer', async () => (await ask('/api/v1/accounts/acc-0000001/balance', { headers })) === 200);
  for (const workload of [gateway, ledger]) {
    const line = await waitFor(`a record of ${workload.name}`, () =>
      linesOf(workload).find((one) => one.trace_id === traceId && one['status'] === 200),
    );
    assert.deepEqual([line.level, line['account_id'], line['route']], ['info', 'acc-0000001', '/api/v1/accounts/{id}/balance']);
    const span = await find('its span', ({ spanId }) => spanId === line.span_id);
    assert.equal(span.service, workload.name);
  }
  await waitFor('the seed', async () => (await seed(50, headers)) === 202);
  const batch = await waitFor('the record of the batch', () =>
    linesOf(interest).find((line) => line.message === 'batch applied' && [line['producer_traces']].flat().includes(traceId)),
  );
  assert.equal(batch.level, 'info');
  const span = await find('the span of the batch', ({ spanId }) => spanId === batch.span_id);
  assert.equal(span.traceId, batch.trace_id);
  assert.ok(span.links?.some((link) => link.traceId === traceId));
});

await test('spans have the attributes of the semantic conventions', LIMIT, async () => {
  await waitFor('an answer', async () => (await ask('/api/v1/accounts/none')) === 404);
  const rows: [string, (span: ReceivedSpan) => boolean, Record<string, string>][] = [
    [
      'HTTP client',
      ({ service, kind, name }) => service === 'gateway' && kind === CLIENT && name === 'GET /api/v1/accounts/{id}',
      {
        'http.request.method': 'GET',
        'http.response.status_code': '404',
        'error.type': '404',
        'url.full': `http://127.0.0.1:${ledgerPort}/api/v1/accounts/none`,
        'url.template': '/api/v1/accounts/{id}',
        'server.address': '127.0.0.1',
        'server.port': String(ledgerPort),
      },
    ],
    [
      'database client',
      ({ service, name }) => service === 'ledger' && name === 'read account',
      { 'db.system.name': 'postgresql', 'db.namespace': 'ledger', 'db.query.summary': 'read account' },
    ],
    [
      'producer',
      ({ kind }) => kind === PRODUCER,
      {
        'messaging.system.name': 'kafka',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': TOPIC,
      },
    ],
    [
      'consumer',
      ({ kind, name }) => kind === CONSUMER && name === `process batch ${TOPIC}`,
      {
        'messaging.system.name': 'kafka',
        'messaging.operation.type': 'process',
        'messaging.destination.name': TOPIC,
        'messaging.consumer.group.name': 'interest-batch',
      },
    ],
  ];
  for (const [what, match, expected] of rows) {
    const attributes = attributesOf(await find(`the span of the ${what}`, match));
    for (const [name, value] of Object.entries(expected)) assert.equal(String(attributes[name]), value, `${what}: ${name}`);
  }
  const query = attributesOf(await find('a statement', ({ name }) => name === 'read account'))['db.query.text'];
  assert.match(String(query), /WHERE id = \$1$/, 'parameters, no values');
});

await test('hostile input makes no series beyond the budget of a process', LIMIT, async () => {
  const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'PURGE', 'LOCK', 'SEARCH', 'REPORT', 'UNLINK'];
  const answered = new Map<number, number>();
  for (let round = 0; round < 40; round++) {
    const requests = methods.flatMap((method, index) => [
      ask(`/nowhere/${round}-${index}`, { method, headers: { 'content-length': '0' } }),
      ask(`/api/v1/accounts/hostile-${round}-${index}`, { headers: { 'x-request-timeout-ms': String(round + 1_000) } }),
      ask(`/api/v1/accounts?limit=x${round}`, { headers: { 'x-api-key': `wrong-${round}-${index}-0123456789012345` } }),
    ]);
    for (const status of await Promise.all(requests)) answered.set(status, (answered.get(status) ?? 0) + 1);
  }
  assert.ok((answered.get(404) ?? 0) > 100 && (answered.get(401) ?? 0) > 100, JSON.stringify([...answered]));
  const letters = Array.from({ length: 2_000 }, (_value, index) => ({
    key: `k${index}`,
    value: `{"hostile":${index}`,
    headers: { traceparent: `x${index}` },
  }));
  const unknown = Array.from({ length: 500 }, (_value, index) =>
    recordOf(platform.event(index, { accountId: `unknown-${index}`, currency: 'XXX' })),
  );
  await platform.produce([...letters, ...unknown]);
  await platform.drained();
  const counts = new Map<string, number>();
  for (const [name, workload] of Object.entries(processes)) {
    const series = seriesOf(await exposition(workload));
    counts.set(name, series.length);
    for (const text of ['nowhere', 'hostile', 'unknown-', 'PURGE'])
      assert.ok(!series.some((one) => one.includes(text)), `${name}: ${text}`);
  }
  const text = [...counts].map(([name, count]) => `${name} ${count} of ${SERIES_BUDGETS[name]}`).join(', ');
  console.log(`series: ${text}`);
  for (const [name, count] of counts) assert.ok(count <= (SERIES_BUDGETS[name] ?? 0), text);
});

await test('the budgets are those of the documentation', async () => {
  const page = await readFile(new URL('../../docs/observability.md', import.meta.url), 'utf8');
  for (const [name, budget] of Object.entries(SERIES_BUDGETS)) {
    assert.match(page, new RegExp(`^\\| ${name} \\| ${budget.toLocaleString('en')} \\|`, 'm'));
  }
});

await test('the metrics of the requirements are there, in both formats', LIMIT, async () => {
  const common = [
    'process_cpu_seconds_total',
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
    'nodejs_heap_size_limit_bytes',
  ].concat('otel_spans_dropped_total', 'otel_spans_exported_total', 'otel_spans_queued');
  const http = ['http_requests_total', 'http_request_duration_seconds_count', 'http_authentications_total'];
  const database = ['db_pool_connections', 'db_calls_total', 'db_call_duration_seconds_count'];
  const names: Record<keyof typeof processes, string[]> = {
    gateway: [...http, 'kafka_client_messages_total', 'circuit_breaker_state'],
    ledger: [...http, ...database, 'balance_queries_total', 'statement_queries_total'],
    interest: [
      ...database,
      'interest_calculation_total',
      'interest_calculation_latency_seconds_count',
      'interest_batch_size_count',
      'interest_batch_duration_seconds_count',
      'interest_batch_db_calls_count',
      'interest_batch_fallback_total',
      'interest_dead_letters_total',
      'kafka_client_messages_total',
      'consumer_lag_seconds',
      'kafka_consumer_group_joins_total',
    ],
    'kafka-exporter': ['kafka_brokers', 'kafka_topic_partitions', 'kafka_consumergroup_lag', 'kafka_consumergroup_members'],
  };
  // The exporter reads the groups every few seconds.
  await waitFor('the lag of a group', async () =>
    seriesOf(await exposition(processes['kafka-exporter'], 'text/plain')).some((one) => one.startsWith('kafka_consumergroup_lag{')),
  );
  for (const accept of ['text/plain', 'application/openmetrics-text;version=1.0.0']) {
    for (const [name, workload] of Object.entries(processes)) {
      const series = seriesOf(await exposition(workload, accept));
      for (const expected of [...common, ...names[name as keyof typeof processes]]) {
        assert.ok(
          series.some((one) => one.startsWith(`${expected}{`)),
          `${name} has no ${expected} as ${accept}`,
        );
      }
    }
  }
});

await test('the latency targets are bounds of every histogram of seconds', LIMIT, async () => {
  for (const [name, workload] of Object.entries(processes)) {
    const text = await exposition(workload);
    const bounds = Map.groupBy(text.matchAll(/^(\w+_seconds)_bucket\{le="([^"]+)"/gm), ([, metric = '']) => metric);
    for (const [metric, matches] of bounds) {
      if (metric === 'interest_calculation_latency_seconds' || metric === 'nodejs_gc_duration_seconds') continue;
      for (const target of TARGETS)
        assert.ok(
          matches.some(([, , le]) => Number(le) === target),
          `${name} ${metric}: ${target} s`,
        );
    }
  }
});

await test('durations of requests, statements and batches have exemplars', LIMIT, async () => {
  const rows: [Workload, string][] = [
    [gateway, 'http_request_duration_seconds'],
    [ledger, 'db_call_duration_seconds'],
    [interest, 'interest_batch_duration_seconds'],
    [interest, 'interest_batch_size'],
  ];
  for (const [workload, metric] of rows) {
    const text = await exposition(workload, 'application/openmetrics-text;version=1.0.0');
    assert.match(
      text,
      new RegExp(`^${metric}_bucket\\{.*\\} \\d+ # \\{trace_id="[0-9a-f]{32}",span_id="[0-9a-f]{16}"\\}`, 'm'),
      workload.name,
    );
  }
});

await test('no span is lost: under the load, and with those that wait when the processes stop', LIMIT, async () => {
  for (const workload of [gateway, ledger, interest]) assert.equal(await workload.metric('otel_spans_dropped_total'), 0, workload.name);
  assert.equal(await seed(10_000), 202);
  await platform.drained();
  receiver.delayMs = 500;
  const before = new Set(linesOf(gateway).map(({ span_id: id }) => id));
  await Promise.all(Array.from({ length: 300 }, (_value, index) => ask(`/api/v1/accounts/acc-${String(index + 1).padStart(7, '0')}`)));
  for (const workload of [gateway, interest, ledger]) assert.equal(await workload.end('SIGTERM'), 0);
  const wanted = [...linesOf(gateway), ...linesOf(ledger), ...linesOf(interest)].filter(
    ({ span_id: id }) => id !== undefined && !before.has(id),
  );
  const received = new Set(receiver.spans.map(({ spanId }) => spanId));
  const lost = wanted.filter(({ span_id: id = '' }) => !received.has(id));
  assert.ok(wanted.length >= 600, `${wanted.length}`);
  assert.deepEqual(lost, []);
  assert.doesNotMatch(gateway.log + ledger.log + interest.log, /spans were lost/);
});

await platform.stop();
await receiver.kill();

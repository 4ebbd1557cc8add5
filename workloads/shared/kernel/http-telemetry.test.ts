import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { DatabaseError } from 'pg';
import { z } from 'zod';
import { attributesOf, OtlpReceiver } from '../testing/otlp-receiver.ts';
import { waitFor } from '../testing/wait.ts';
import { answers, HttpServer } from './http.ts';
import { createLogger } from './log.ts';
import { Metrics } from './metrics.ts';
import { Problem, PROBLEMS } from './problems.ts';
import { startTelemetry } from './telemetry.ts';

const SERVER = 2;
const ERROR = 2;
const PUBLIC = { public: 'a test' };

type Gate = PromiseWithResolvers<void>;

interface Line {
  level: string;
  message: string;
  trace_id?: string;
  span_id?: string;
  status: number;
  [field: string]: unknown;
}

const receiver = await OtlpReceiver.start();
const metrics = new Metrics({});
const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 1, endpoint: receiver.url }, metrics);
const lines: Line[] = [];
const identity = { service: 'test', platform: 'test', namespace: 'test', pod: 'test' };
const log = createLogger(identity, 'info', { write: (line) => void lines.push(JSON.parse(line) as Line) });
const http = await HttpServer.create('test', { log, metrics }, { maxInFlight: 10 });
const response = answers(200, z.object({}));
const throwing = (path: string, error: () => Error) =>
  http.app.get(path, { config: PUBLIC, schema: { response } }, async () => {
    throw error();
  });
http.app.get('/ok/:id', { config: { ...PUBLIC, ids: { id: 'account_id' } }, schema: { response } }, async () => {
  log.info('inside');
  return {};
});
http.app.post('/body', { config: PUBLIC, schema: { body: z.object({ a: z.string() }), response } }, async () => ({}));
throwing('/limited', () => new Problem(PROBLEMS.rate_limited));
throwing('/defect', () => new TypeError('x is undefined'));
throwing('/database', () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
throwing('/terminated', () => {
  const error = new DatabaseError('terminating connection due to administrator command', 1, 'error');
  error.code = '57P01';
  return error;
});
const [started, released, answered] = [0, 1, 2].map(() => Promise.withResolvers<void>()) as [Gate, Gate, Gate];
http.app.get('/slow', { config: PUBLIC, schema: { response } }, async () => {
  started.resolve();
  await released.promise;
  setImmediate(() => answered.resolve());
  return {};
});
const url = (await http.listen(0)).replace('0.0.0.0', '127.0.0.1');

const rows: [string, string, RequestInit | undefined, number, string, string | undefined][] = [
  ['an answer', '/ok/acc-1', undefined, 200, 'info', undefined],
  ['an unknown path', '/nowhere', undefined, 404, 'warn', 'not_found'],
  [
    'a body that is not valid',
    '/body',
    { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' },
    400,
    'warn',
    'validation_failed',
  ],
  ['a client above its limit', '/limited', undefined, 429, 'warn', 'rate_limited'],
  ['a defect', '/defect', undefined, 500, 'error', 'internal'],
  ['a database that is away', '/database', undefined, 503, 'error', 'database_unavailable'],
  ['a lost database connection', '/terminated', undefined, 503, 'error', 'database_unavailable'],
];
for (const [what, path, init, status, level, code] of rows) {
  await test(`${what}: ${status}, one record of level ${level} with the ids of its span`, async () => {
    lines.length = 0;
    receiver.spans.length = 0;
    assert.equal((await fetch(`${url}${path}`, init)).status, status);
    const record = await waitFor('the record', () => lines.find((line) => line.status === status));
    assert.deepEqual([record.level, record['code']], [level, code]);
    assert.equal(lines.filter((line) => line.level === 'error' || line.level === 'warn').length, level === 'info' ? 0 : 1);
    for (const line of lines) assert.deepEqual([line.trace_id, line.span_id], [record.trace_id, record.span_id], JSON.stringify(line));
    const span = await waitFor('the span', () => receiver.spans.find(({ spanId }) => spanId === record.span_id));
    assert.equal(span.traceId, record.trace_id);
    assert.equal(span.kind, SERVER);
    assert.equal(span.status?.code ?? 0, status >= 500 ? ERROR : 0, 'only the failures of the server are errors of its span');
    const attributes = attributesOf(span);
    assert.equal(Number(attributes['http.response.status_code']), status);
    assert.equal(attributes['url.path'], path);
    assert.equal(attributes['error.type'], status >= 500 ? code : undefined);
    assert.equal('http.route' in attributes, status !== 404);
  });
}

await test('the id in a path is a field of the record and an attribute of the span; what is none is left out', async () => {
  lines.length = 0;
  receiver.spans.length = 0;
  await fetch(`${url}/ok/acc-0000007`);
  await fetch(`${url}/ok/${'x'.repeat(90)}`);
  await waitFor('the records', () => lines.filter(({ status }) => status === 200).length === 2);
  assert.deepEqual(
    lines.filter(({ status }) => status === 200).map((line) => line['account_id']),
    ['acc-0000007', undefined],
  );
  const spans = await waitFor('the spans', () => receiver.spans.length === 2 && receiver.spans);
  assert.deepEqual(
    spans.map((span) => [span.name, attributesOf(span)['bss.account_id']]),
    [
      ['GET /ok/{id}', 'acc-0000007'],
      ['GET /ok/{id}', undefined],
    ],
  );
});

await test('a client that leaves before the answer is counted as 499, and its span ends', async () => {
  lines.length = 0;
  receiver.spans.length = 0;
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write('GET /slow HTTP/1.1\r\nhost: test\r\n\r\n');
  await started.promise;
  socket.destroy();
  const record = await waitFor('the record', () => lines.find(({ status }) => status === 499));
  assert.equal(record.level, 'warn');
  const span = await waitFor('the span', () => receiver.spans.find(({ name }) => name === 'GET /slow'));
  assert.equal(attributesOf(span)['error.type'], 'client_closed_request');
  assert.equal(span.status?.code ?? 0, 0);
  released.resolve();
  await answered.promise;
  const { body } = await metrics.expose();
  assert.match(body, /^http_requests_total\{method="GET",route="\/slow",status="499"\} 1$/m);
  assert.doesNotMatch(body, /route="\/slow",status="200"/);
});

await test('a method outside of the standard has no series of its own', async () => {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write('PROPFIND /nowhere HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n');
  await text(socket);
  const { body } = await waitFor('the series', async () => {
    const exposed = await metrics.expose();
    return exposed.body.includes('method="_OTHER"') && exposed;
  });
  assert.doesNotMatch(body, /PROPFIND/);
});

await test('an exemplar of the duration names the span of a request', async () => {
  lines.length = 0;
  await fetch(`${url}/ok/acc-1`);
  const record = await waitFor('the record', () => lines.find(({ status }) => status === 200));
  const { body } = await metrics.expose('application/openmetrics-text');
  const exemplars = body
    .split('\n')
    .filter((line) => line.includes('route="/ok/{id}"') && line.includes(`# {trace_id="${record.trace_id}"`));
  assert.equal(exemplars.length, 1);
});

await http.app.close();
await stop();
await receiver.kill();

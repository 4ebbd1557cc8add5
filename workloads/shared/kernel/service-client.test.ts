import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { test } from 'node:test';
import { z } from 'zod';
import { FaultProxy } from '../testing/fault-proxy.ts';
import { withDeadline } from './deadline.ts';
import { answers, HttpServer, TIMEOUT_HEADER } from './http.ts';
import { createLogger } from './log.ts';
import { Metrics } from './metrics.ts';
import { defineProblems, Problem } from './problems.ts';
import { ServiceClient, type ForwardedAnswer } from './service-client.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
/** A failed test leaves its servers open. */
const LIMIT = { timeout: 20_000 };
const PUBLIC = { public: 'a test' };
const OWN = defineProblems({
  busy: { status: 409, title: 'Another request is in progress' },
  broken: { status: 500, title: 'The service is broken' },
  beyond_unavailable: { status: 503, title: 'The service behind does not answer' },
  service_unavailable: { status: 503, title: 'The service does not answer' },
});
const body = z.object({ n: z.int() });

/** A service behind a proxy that can lose answers, its client, and the requests that it has seen. */
async function start(name = 'service', metrics = new Metrics({})) {
  const seen: { n: number; timeout: string | undefined; key: string | undefined }[] = [];
  const server = await HttpServer.create('test', { log, metrics: new Metrics({}) }, { maxInFlight: 100 });
  server.app.post('/things', { config: PUBLIC, schema: { body, response: answers(201, body) } }, async (request, reply) => {
    const { [TIMEOUT_HEADER]: timeout, authorization: key } = request.headers;
    seen.push({ n: request.body.n, timeout: [timeout].flat()[0], key });
    if (request.body.n === 409) throw new Problem(OWN.busy, 'Wait.', { retryAfterSeconds: 7 });
    if (request.body.n === 500) throw new Problem(OWN.broken);
    if (request.body.n === 503) throw new Problem(OWN.beyond_unavailable);
    return reply.status(201).header('x-note', 'made').send({ n: request.body.n });
  });
  const address = new URL(await server.listen(0));
  const proxy = await FaultProxy.start({ host: '127.0.0.1', port: Number(address.port) });
  const url = `http://${proxy.host}:${proxy.port}`;
  const passed = [OWN.beyond_unavailable];
  const client = new ServiceClient({ name, url, apiKey: 'secret', unavailable: OWN.service_unavailable, passed }, log, metrics);
  const post = (n: number, idempotent = true, shape = body) => client.post({ path: '/things' }, { n }, shape, { idempotent });
  const stop = async (): Promise<void> => {
    await proxy.stop();
    await server.app.close();
  };
  return { seen, proxy, metrics, post, stop };
}

const code = (expected: string) => (error: unknown) => error instanceof Problem && error.code === expected;
const POST = (chunk: Buffer): boolean => chunk.includes('POST ');

await test('a POST has the body, the key, the time that is left, and an answer with status and headers', LIMIT, async () => {
  const { seen, post, stop } = await start();
  const answer = await withDeadline(1_500, () => post(1));
  assert.deepEqual([answer.status, answer.headers.get('x-note'), answer.body], [201, 'made', { n: 1 }]);
  assert.equal(seen[0]?.key, 'Bearer secret');
  const timeout = Number(seen[0]?.timeout);
  assert.ok(timeout > 1_000 && timeout <= 1_500, String(timeout));
  await stop();
});

await test('only an idempotent POST is sent again when its answer is lost', LIMIT, async () => {
  const { seen, proxy, post, stop } = await start();
  void proxy.dropAnswers(POST);
  assert.equal((await post(2)).status, 201);
  assert.deepEqual(
    seen.map(({ n }) => n),
    [2, 2],
  );
  void proxy.dropAnswers(POST);
  await assert.rejects(post(3, false), code('service_unavailable'));
  assert.deepEqual(
    seen.map(({ n }) => n),
    [2, 2, 3],
  );
  await stop();
});

await test("a problem of the service is the caller's answer, with its Retry-After", async () => {
  const { seen, post, stop } = await start();
  await assert.rejects(post(409), (error) => code('busy')(error) && error instanceof Problem && error.retryAfterSeconds === 7);
  assert.equal(seen.length, 1);
  await stop();
});

await test('failures are retried, and open the circuit of that service alone', LIMIT, async () => {
  const metrics = new Metrics({});
  const [broken, sound] = [await start('broken', metrics), await start('sound', metrics)];
  await assert.rejects(broken.post(500), code('service_unavailable'));
  assert.equal(broken.seen.length, 3, 'two retries');
  await assert.rejects(broken.post(500), code('service_unavailable'));
  const before = broken.seen.length;
  await assert.rejects(broken.post(1), code('service_unavailable'));
  assert.equal(broken.seen.length, before, 'the circuit is open');
  assert.equal((await sound.post(1)).status, 201);
  const { body: text } = await metrics.expose();
  assert.match(text, /circuit_breaker_state\{connector="broken"\} 1/);
  assert.match(text, /circuit_breaker_state\{connector="sound"\} 0/);
  await Promise.all([broken.stop(), sound.stop()]);
});

await test('what the service reports about another one is passed on, and does not open its circuit', LIMIT, async () => {
  const { seen, post, stop } = await start();
  for (let round = 0; round < 8; round++) await assert.rejects(post(503), code('beyond_unavailable'));
  assert.equal(seen.length, 8, 'none was retried');
  assert.equal((await post(1)).status, 201);
  await stop();
});

await test('an answer of another shape counts as a failure of the service', LIMIT, async () => {
  const { post, stop } = await start();
  await assert.rejects(post(4, false, body.extend({ more: z.string() })), code('service_unavailable'));
  await stop();
});

/** A service with answers of every kind to forward, and its client. */
async function startForwarding() {
  const server = await HttpServer.create('test', { log, metrics: new Metrics({}) }, { maxInFlight: 100 });
  const { app } = server;
  app.patch('/things/:id', { config: PUBLIC, schema: { body } }, (request, reply) => {
    if (request.headers['if-match'] !== '"1"') throw new Problem(OWN.busy, 'Read again.', { allowed: ['a'], headers: { etag: '"2"' } });
    // Whatever a client sees depends on no serializer of the gateway.
    return reply.header('etag', '"2"').type('application/json').send('{"n": 1,  "more":[]}');
  });
  app.delete('/things/:id', { config: PUBLIC }, (_request, reply) => reply.status(204).send());
  app.get('/things/:id', { config: PUBLIC }, (_request, reply) => reply.status(304).header('etag', '"2"').send());
  app.get('/page', { config: PUBLIC }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(Readable.from(['<p>', 'ä', '</p>'])),
  );
  const url = await server.listen(0);
  const options = { name: 'service', url, apiKey: 'secret', unavailable: OWN.service_unavailable, keptHeaders: ['etag'] };
  return { client: new ServiceClient(options, log, new Metrics({})), stop: () => app.close() };
}

/** A body that is complete. */
function contentOf({ body: content }: ForwardedAnswer): string {
  assert.ok(Buffer.isBuffer(content));
  return content.toString();
}

const CHANGE = { target: { path: '/things/1?a=b', template: '/things/{id}' }, idempotent: true } as const;

await test('a forwarded answer has the status, the headers and the bytes of the service', LIMIT, async () => {
  const { client, stop } = await startForwarding();
  const changed = await client.forward({ ...CHANGE, method: 'PATCH', headers: { 'if-match': '"1"' }, body: { n: 1 } });
  assert.deepEqual([changed.status, changed.headers.get('etag'), contentOf(changed)], [200, '"2"', '{"n": 1,  "more":[]}']);
  const removed = await client.forward({ ...CHANGE, method: 'DELETE', headers: {} });
  assert.deepEqual([removed.status, contentOf(removed)], [204, '']);
  const unchanged = await client.forward({ ...CHANGE, method: 'GET', headers: { 'if-none-match': '"2"' } });
  assert.deepEqual([unchanged.status, unchanged.headers.get('etag')], [304, '"2"']);
  await stop();
});

await test('a body that is not JSON is forwarded as a stream', LIMIT, async () => {
  const { client, stop } = await startForwarding();
  const page = await client.forward({ target: { path: '/page' }, method: 'GET', headers: {}, idempotent: true });
  assert.ok(page.body instanceof Readable);
  assert.equal(await textOf(page.body), '<p>ä</p>');
  await stop();
});

await test('a problem that is forwarded keeps what is allowed and the headers that the client names', LIMIT, async () => {
  const { client, stop } = await startForwarding();
  const refused = client.forward({ ...CHANGE, method: 'PATCH', headers: {}, body: { n: 1 } });
  await assert.rejects(refused, (error) => {
    assert.ok(error instanceof Problem);
    assert.deepEqual([error.code, error.allowed, error.headers], ['busy', ['a'], { etag: '"2"' }]);
    return true;
  });
  await stop();
});

import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { remainingMs } from './deadline.ts';
import { answers, HttpServer, TIMEOUT_HEADER, type HttpOptions } from './http.ts';
import { createLogger } from './log.ts';
import { Metrics } from './metrics.ts';
import { defineProblems, problemBody, PROBLEMS } from './problems.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
const create = (options: Partial<HttpOptions> = {}) =>
  HttpServer.create('test', { log, metrics: new Metrics({}) }, { maxInFlight: 100, ...options });

/** These tests are about everything but authentication. */
const PUBLIC = { public: 'a test' };

function ask(url: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => response.resume().once('end', () => resolve(response))).once('error', reject);
  });
}

await test('while draining, clients with kept connections get an answer that closes them, and none is refused', async () => {
  const http = await create();
  http.app.get('/', { config: PUBLIC, schema: { response: answers(200, z.object({})) } }, async () => {
    await delay(20);
    return {};
  });
  const address = await http.listen(0);
  let served = 0;
  let closed = false;
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (;;) {
      const response = await ask(address.replace('0.0.0.0', '127.0.0.1'), agent);
      assert.equal(response.statusCode, 200);
      served += 1;
      if (response.headers.connection === 'close') return closed;
      await delay(5);
    }
  };
  const clients = [client(), client(), client(), client()];
  while (served < 20) await delay(5);
  const end = http.close().then(() => (closed = true));
  assert.deepEqual(await Promise.all(clients), [false, false, false, false], 'each was told to close while the server still served');
  await end;
  await assert.rejects(ask(address, new Agent()), /ECONNREFUSED/);
});

const OWN = defineProblems({
  account_not_found: { status: 404, title: 'No account' },
  product_not_found: { status: 404, title: 'No product' },
});

/** The parts of an OpenAPI document that these tests read. */
interface Described {
  responses: Record<string, { description: string; content: Record<string, { schema: { properties: { code: { enum: string[] } } } }> }>;
}
interface OpenApi {
  paths: Record<string, { get?: Described; post?: Described }>;
}

await test('OpenAPI lists every problem of a route, also those that share a status', async () => {
  const { app } = await create();
  app.get(
    '/x',
    { config: PUBLIC, schema: { response: answers(200, z.object({}), OWN.account_not_found, OWN.product_not_found) } },
    async () => ({}),
  );
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>();
  const { responses } = paths['/x']?.get ?? { responses: {} };
  const codes = (status: string) => responses[status]?.content['application/problem+json']?.schema.properties.code.enum;
  assert.deepEqual(codes('404'), ['account_not_found', 'product_not_found']);
  assert.deepEqual(codes('503'), ['issuer_unavailable', 'deadline_exceeded', 'overloaded']);
  assert.match(responses['404']?.description ?? '', /No account.*No product/);
  const page = await app.inject('/docs/');
  assert.equal(page.statusCode, 200);
  assert.match(page.body, /<html/i, 'and a page shows it');
  await app.close();
});

await test('OpenAPI says that a body may be too large or of another type, where there is one', async () => {
  const { app } = await create();
  const response = answers(200, z.object({}));
  app.post('/x', { config: PUBLIC, schema: { body: z.object({}), response } }, async () => ({}));
  app.get('/x', { config: PUBLIC, schema: { response } }, async () => ({}));
  const { paths } = (await app.inject('/openapi.json')).json<OpenApi>();
  const codes = (method: 'get' | 'post', status: string) =>
    paths['/x']?.[method]?.responses[status]?.content['application/problem+json']?.schema.properties.code.enum;
  assert.deepEqual([codes('post', '413'), codes('post', '415')], [['payload_too_large'], ['unsupported_media_type']]);
  assert.deepEqual([codes('get', '413'), codes('get', '415')], [undefined, undefined]);
  await app.close();
});

await test('every method validates path, query and body, and names each invalid field', async () => {
  const { app } = await create();
  const schema = {
    params: z.object({ id: z.string().regex(/^\d+$/, 'must be digits') }),
    querystring: z.object({ limit: z.coerce.number().max(5, 'must be at most 5').default(1) }),
    body: z.object({ name: z.string('must be a string') }),
    response: answers(200, z.object({ id: z.string(), limit: z.number(), name: z.string() })),
  };
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    app.route({
      method,
      url: '/things/:id',
      config: PUBLIC,
      schema,
      handler: async ({ params, query, body }) => ({ ...params, ...query, ...body }),
    });
  }
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    const good = await app.inject({ method, url: '/things/7?limit=2', body: { name: 'n' } });
    assert.deepEqual(good.json(), { id: '7', limit: 2, name: 'n' }, method);
    const bad: [string, object, RegExp][] = [
      ['/things/x', { name: 'n' }, /^path\.id: must be digits$/],
      ['/things/7?limit=6', { name: 'n' }, /^query\.limit: must be at most 5$/],
      ['/things/7', {}, /^body\.name: must be a string$/],
    ];
    for (const [url, body, detail] of bad) {
      const answer = await app.inject({ method, url, body });
      assert.equal(answer.statusCode, 400, method);
      assert.match(problemBody.parse(answer.json()).detail ?? '', detail);
    }
  }
  await app.close();
});

await test('bad input is a problem of the client, never of the service', async () => {
  const { app } = await create();
  app.post('/x', { config: PUBLIC, schema: { body: z.object({}), response: answers(200, z.object({})) } }, async () => ({}));
  const json = { 'content-type': 'application/json' };
  const rows: [string, { method?: 'GET' | 'POST'; url: string; headers?: Record<string, string>; body?: string }, number, string][] = [
    ['a NUL character', { method: 'POST', url: '/x?after=%00', headers: json, body: '{}' }, 400, 'validation_failed'],
    ['an address that is not UTF-8', { url: '/%ff%zz' }, 400, 'validation_failed'],
    ['a body that is not JSON', { method: 'POST', url: '/x', headers: json, body: '{"a":' }, 400, 'validation_failed'],
    [
      'a body of another type',
      { method: 'POST', url: '/x', headers: { 'content-type': 'text/xml' }, body: '<a/>' },
      415,
      'unsupported_media_type',
    ],
    [
      'a body above the limit',
      { method: 'POST', url: '/x', headers: json, body: `{"a":"${'x'.repeat(70_000)}"}` },
      413,
      'payload_too_large',
    ],
  ];
  for (const [what, request, status, code] of rows) {
    const answer = await app.inject({ method: 'GET', ...request });
    assert.equal(answer.statusCode, status, what);
    assert.equal(problemBody.parse(answer.json()).code, code, what);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/, what);
  }
  await app.close();
});

await test('an answer that does not match its schema is a failure of the service', async () => {
  const { app } = await create();
  app.get(
    '/x',
    { config: PUBLIC, schema: { response: answers(200, z.object({ name: z.string() })) } },
    async () => JSON.parse('{"name":1}') as { name: string },
  );
  const answer = await app.inject('/x');
  assert.equal(answer.statusCode, 500);
  assert.equal(answer.json().code, 'internal');
  await app.close();
});

await test('a request that exceeds its deadline is answered with 503, by the earlier of the limits of route and caller', async () => {
  const { app } = await create();
  const seen: number[] = [];
  const handler = async () => {
    seen.push(remainingMs());
    await delay(1_500);
    return {};
  };
  app.get('/slow', { handlerTimeout: 300, config: PUBLIC, schema: { response: answers(200, z.object({})) } }, handler);
  for (const [header, limit] of [
    [undefined, 300],
    ['100', 100],
    ['60000', 300],
  ] as const) {
    const startedAt = performance.now();
    const answer = await app.inject({ url: '/slow', headers: header === undefined ? {} : { [TIMEOUT_HEADER]: header } });
    const ms = performance.now() - startedAt;
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.json().code, 'deadline_exceeded');
    assert.equal(answer.headers['retry-after'], '1');
    assert.ok(ms >= limit - 10 && ms < 1_400, `answered after ${ms} ms, limit ${limit} ms`);
    assert.ok((seen.at(-1) ?? 0) <= limit && (seen.at(-1) ?? 0) > 0, 'the handler sees how much time is left');
  }
  await app.close();
});

await test('a body that arrives in pieces does not lose the deadline', async () => {
  const http = await create();
  http.app.post(
    '/x',
    { config: PUBLIC, schema: { body: z.object({ a: z.string() }), response: answers(200, z.object({ left: z.number() })) } },
    async () => ({
      left: remainingMs() === Infinity ? -1 : remainingMs(),
    }),
  );
  const url = (await http.listen(0)).replace('0.0.0.0', '127.0.0.1');
  const pieces = new ReadableStream({
    async start(controller) {
      controller.enqueue(Buffer.from('{"a":"'));
      await delay(100);
      controller.enqueue(Buffer.from('x"}'));
      controller.close();
    },
  });
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: pieces, duplex: 'half' } as RequestInit;
  const { left } = z.object({ left: z.number() }).parse(await (await fetch(`${url}/x`, init)).json());
  assert.ok(left > 0 && left < 5_000, `${left}`);
  await http.app.close();
});

await test('requests beyond the cap are answered with 503 and Retry-After, and the cap is released', async () => {
  const http = await create({ maxInFlight: 2 });
  const release = Promise.withResolvers<void>();
  http.app.get('/x', { config: PUBLIC, schema: { response: answers(200, z.object({})) } }, async () => {
    await release.promise;
    return {};
  });
  const url = `${(await http.listen(0)).replace('0.0.0.0', '127.0.0.1')}/x`;
  const held = [fetch(url), fetch(url)];
  let refused: Response | undefined;
  while (refused === undefined) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(100) }).catch(() => undefined);
    if (answer) refused = answer;
  }
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '1');
  assert.equal(problemBody.parse(await refused.json()).code, PROBLEMS.overloaded.code);
  release.resolve();
  assert.deepEqual(
    (await Promise.all(held)).map(({ status }) => status),
    [200, 200],
  );
  assert.equal((await fetch(url)).status, 200);
  await http.app.close();
});

await test('a client above its rate is answered with 429 and Retry-After', async () => {
  const { app } = await create({ requestsPerSecond: 3 });
  app.get('/x', { config: PUBLIC, schema: { response: answers(200, z.object({})) } }, async () => ({}));
  const all = [];
  for (let number = 0; number < 5; number++) all.push(await app.inject('/x'));
  assert.deepEqual(
    all.map(({ statusCode }) => statusCode),
    [200, 200, 200, 429, 429],
  );
  const refused = all.find(({ statusCode }) => statusCode === 429);
  assert.equal(refused?.json().code, 'rate_limited');
  assert.equal(refused?.headers['retry-after'], '1');
  await app.close();
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { answers, HttpServer, type HttpOptions } from '../http.ts';
import { createLogger } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { problemBody } from '../problems.ts';
import { sha256 } from './api-keys.ts';
import { Authentication } from './authentication.ts';
import type { Scope } from './client.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
const READER = 'a-key-of-thirty-two-characters-00';
const ADMIN = 'b-key-of-thirty-two-characters-00';
const keys = [
  { id: 'reader', hash: sha256(READER), scopes: ['ledger:read'] },
  { id: 'admin', hash: sha256(ADMIN), scopes: ['*'] },
];
const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const schema = { response: answers(200, z.object({})) };

async function create(options: Partial<HttpOptions> = {}) {
  const metrics = new Metrics({});
  const server = await HttpServer.create(
    'test',
    { log, metrics },
    { maxInFlight: 100, authentication: new Authentication({ keys }), ...options },
  );
  const { app } = server;
  app.get('/read', { config: { scopes: ['ledger:read'] }, schema }, async () => ({}));
  app.get('/check', { config: { scopes: ['ledger:admin'] }, schema }, async () => ({}));
  app.get('/public', { config: { public: 'a test' }, schema }, async () => ({}));
  const counted = async (result: string) => {
    const line = (await metrics.expose()).body.split('\n').find((one) => one.startsWith(`http_authentications_total{result="${result}"`));
    return Number(line?.split(' ').at(-1));
  };
  return { app, server, counted };
}

const rows: [string, { url: string; headers?: Record<string, string> }, number, RegExp | undefined][] = [
  ['a key with the scope', { url: '/read', headers: bearer(READER) }, 200, undefined],
  ['a key in its own header', { url: '/read', headers: { 'x-api-key': READER } }, 200, undefined],
  ['a key with every scope', { url: '/check', headers: bearer(ADMIN) }, 200, undefined],
  ['no credential', { url: '/read' }, 401, /^Bearer realm="bss-platform"$/],
  ['a wrong key', { url: '/read', headers: bearer(`${READER}x`) }, 401, /^Bearer realm="bss-platform", error="invalid_token"$/],
  ['a malformed header', { url: '/read', headers: { authorization: READER } }, 401, /invalid_token/],
  ['a key without the scope', { url: '/check', headers: bearer(READER) }, 403, /error="insufficient_scope", scope="ledger:admin"$/],
  ['a public route', { url: '/public' }, 200, undefined],
  ['a public route with a wrong key', { url: '/public', headers: bearer('wrong') }, 200, undefined],
  ['the OpenAPI document', { url: '/openapi.json' }, 200, undefined],
  ['its page', { url: '/docs/' }, 200, undefined],
  ['an unknown path', { url: '/unknown' }, 404, undefined],
];
for (const [what, request, status, challenge] of rows) {
  await test(`${what} is answered with ${status}`, async () => {
    const { app } = await create();
    const answer = await app.inject(request);
    assert.equal(answer.statusCode, status);
    const given = answer.headers['www-authenticate'];
    if (challenge) assert.match(String(given), challenge);
    else assert.equal(given, undefined);
    if (status >= 400) {
      assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
      const code = { 401: 'unauthorized', 403: 'forbidden' }[status] ?? 'not_found';
      assert.equal(problemBody.parse(answer.json()).code, code);
      assert.ok(!answer.body.includes(READER), 'the credential is not repeated');
    }
    await app.close();
  });
}

await test('HEAD requires what GET requires', async () => {
  const { app } = await create();
  assert.equal((await app.inject({ method: 'HEAD', url: '/read' })).statusCode, 401);
  assert.equal((await app.inject({ method: 'HEAD', url: '/read', headers: bearer(READER) })).statusCode, 200);
  await app.close();
});

await test('a server without accepted credentials refuses every route with scopes', async () => {
  const { app } = await create({ authentication: new Authentication({}) });
  assert.equal((await app.inject({ url: '/read', headers: bearer(READER) })).statusCode, 401);
  await app.close();
});

await test('a route without scopes and without a reason to be public cannot be registered', async () => {
  const { app } = await create();
  const add = (config: { scopes?: Scope[]; public?: string } | undefined) =>
    app.get('/x', { ...(config ? { config } : {}), schema }, async () => ({}));
  assert.throws(() => add(undefined), /GET \/x: declare either config.scopes/);
  assert.throws(() => add({ scopes: [] }), /declare either/);
  assert.throws(() => add({ scopes: ['ledger:read'], public: 'both' }), /declare either/);
  await app.close();
});

await test('OpenAPI shows the security schemes, the scopes of each operation, and the answers 401 and 403', async () => {
  const { app } = await create();
  const document = (await app.inject('/openapi.json')).json<{
    components: { securitySchemes: Record<string, { type: string }> };
    paths: Record<string, { get: { security?: object[]; responses: Record<string, { description: string }> } }>;
  }>();
  assert.deepEqual(Object.keys(document.components.securitySchemes), ['bearer', 'apiKey']);
  assert.deepEqual(document.paths['/check']?.get.security, [{ bearer: ['ledger:admin'] }, { apiKey: ['ledger:admin'] }]);
  assert.equal(document.paths['/public']?.get.security, undefined);
  assert.match(document.paths['/check']?.get.responses['401']?.description ?? '', /unauthorized/);
  assert.match(document.paths['/check']?.get.responses['403']?.description ?? '', /forbidden/);
  await app.close();
});

await test('without a credential a request has the anonymous scopes; a wrong credential is rejected all the same', async () => {
  const { app, counted } = await create({ authentication: new Authentication({ keys, anonymousScopes: ['ledger:read'] }) });
  const status = async (url: string, headers = {}) => (await app.inject({ url, headers })).statusCode;
  assert.equal(await status('/read'), 200);
  assert.equal(await status('/check'), 401);
  assert.equal(await status('/check', bearer(ADMIN)), 200);
  assert.equal(await status('/read', bearer('wrong')), 401);
  assert.equal(await counted('anonymous'), 1);
  await app.close();
});

await test('the rate limit holds for each client, not for the address that clients share', async () => {
  const { app } = await create({ requestsPerSecond: 3 });
  const statuses = async (headers: Record<string, string>) => {
    const all = [];
    for (let number = 0; number < 5; number++) all.push((await app.inject({ url: '/read', headers })).statusCode);
    return all;
  };
  assert.deepEqual(await statuses(bearer(READER)), [200, 200, 200, 429, 429]);
  assert.deepEqual(await statuses({ 'x-api-key': ADMIN }), [200, 200, 200, 429, 429]);
  await app.close();
});

await test('failed authentications are limited by address, and a valid credential of the same address is still accepted', async () => {
  const { app, counted } = await create({ authFailuresPerMinute: 3 });
  const attempt = async (key: string, remoteAddress = '192.0.2.1') =>
    await app.inject({ url: '/read', headers: bearer(key), remoteAddress });
  const statuses = [];
  for (let number = 0; number < 5; number++) statuses.push((await attempt(`wrong-${number}`)).statusCode);
  assert.deepEqual(statuses, [401, 401, 401, 429, 429]);
  assert.ok(Number((await attempt('wrong')).headers['retry-after']) > 0);
  assert.equal((await attempt(READER)).statusCode, 200);
  assert.equal((await attempt('wrong', '192.0.2.2')).statusCode, 401, 'another address');
  assert.equal((await attempt('wrong', '2001:db8::1')).statusCode, 401);
  for (const host of [2, 3]) assert.equal((await attempt('wrong', `2001:db8::${host}`)).statusCode, 401);
  assert.equal((await attempt('wrong', '2001:db8::4')).statusCode, 429, 'addresses of one IPv6 network count together');
  assert.equal(await counted('limited'), 4);
  assert.equal(await counted('accepted'), 1);
  await app.close();
});

const forwarded: [string, string[], string, number][] = [
  ['without trusted proxies the header means nothing', [], '10.0.0.1', 429],
  ['of a trusted proxy the header names the client', ['10.0.0.0/8'], '10.0.0.1', 401],
  ['of any other sender it means nothing', ['10.0.0.0/8'], '192.0.2.9', 429],
];
for (const [what, trustedProxies, remoteAddress, status] of forwarded) {
  await test(`X-Forwarded-For: ${what}`, async () => {
    const { app } = await create({ authFailuresPerMinute: 3, trustedProxies });
    const from = async (client: string) =>
      (await app.inject({ url: '/read', headers: { 'x-forwarded-for': client }, remoteAddress })).statusCode;
    for (let number = 1; number <= 3; number++) await from(`198.51.100.${number}`);
    assert.equal(await from('198.51.100.4'), status);
    await app.close();
  });
}

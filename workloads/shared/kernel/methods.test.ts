import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { answers, HttpServer } from './http.ts';
import { createLogger } from './log.ts';
import { methodsOf } from './methods.ts';
import { Metrics } from './metrics.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

const ROUTES = [
  { method: 'GET', url: '/a/:id' },
  { method: 'HEAD', url: '/a/:id' },
  { method: 'POST', url: '/a.b' },
  { method: 'POST', url: '/a/summary' },
];
const PATHS: [reason: string, path: string, methods: string[]][] = [
  ['a parameter', '/a/7', ['GET', 'HEAD']],
  ['a trailing slash', '/a/7/', ['GET', 'HEAD']],
  ['a parameter has one segment', '/a/7/8', []],
  ['a dot stands for itself', '/axb', []],
  ['a fixed path', '/a.b', ['POST']],
  ['a fixed path that a parameter would match too', '/a/summary', ['POST']],
  ['an unknown path', '/b', []],
];
for (const [reason, path, methods] of PATHS)
  test(`methods: ${reason}`, () => {
    assert.deepEqual(methodsOf(ROUTES, path), methods);
  });

/** QUERY and TRACE are no methods of fastify's own shorthands, and QUERY demands a body. */
const REQUESTS: [method: string, url: string, status: number, allow: string | null][] = [
  ['GET', '/a/7', 200, null],
  ['DELETE', '/a/7', 405, 'GET, HEAD'],
  ['POST', '/a/7', 405, 'GET, HEAD'],
  ['QUERY', '/a/7?x=1', 405, 'GET, HEAD'],
  ['TRACE', '/a/7', 405, 'GET, HEAD'],
  ['OPTIONS', '/a/7', 405, 'GET, HEAD'],
  ['GET', '/b', 404, null],
  ['QUERY', '/b', 404, null],
];
const server = await HttpServer.create('test', { log, metrics: new Metrics({}) }, { maxInFlight: 10 });
server.app.get('/a/:id', { config: { public: 'a test' }, schema: { response: answers(200, z.object({})) } }, async () => ({}));
for (const [method, url, status, allow] of REQUESTS)
  await test(`${method} ${url} is answered with ${status}`, async () => {
    const answer = await server.app.inject({ method: method as 'GET', url });
    assert.equal(answer.statusCode, status, answer.body);
    assert.equal(answer.headers.allow ?? null, allow);
    const code = { 404: 'not_found', 405: 'method_not_allowed' }[status];
    if (code !== undefined) assert.equal(answer.json<{ code: string }>().code, code);
  });
await server.app.close();

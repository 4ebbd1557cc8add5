import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { HttpClient, HttpTimeout } from './http-client.ts';
import type { HttpAnswer } from './http-client.ts';

const LIMIT = { timeout: 20_000 };

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
  return text;
}

const whole = async (answer: Promise<HttpAnswer>): Promise<Buffer> => (await answer).bytes();

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await textOf(request);
  const { method, url, headers } = request;
  response.writeHead(201, { 'x-note': body === 'größe' ? 'whole' : 'cut', 'set-cookie': ['a', 'b'] });
  response.end(JSON.stringify({ method, url, key: headers['x-key'], length: headers['content-length'] }));
}

await test('sends method, path, headers and body, and keeps its connection', LIMIT, async () => {
  const sockets = new Set<unknown>();
  const { base, stop } = await serve((request, response) => {
    sockets.add(request.socket);
    void echo(request, response);
  });
  const client = new HttpClient(`${base}/api/`);
  for (let round = 0; round < 3; round += 1) {
    const answer = await client.send({ method: 'POST', path: '/things?n=1', headers: { 'x-key': 'k' }, body: 'größe', limitMs: 5_000 });
    assert.equal(answer.status, 201);
    assert.deepEqual(
      [answer.headers.get('x-note'), answer.headers.get('set-cookie'), answer.headers.get('x-none')],
      ['whole', 'a, b', null],
    );
    assert.deepEqual(JSON.parse((await answer.bytes()).toString()), { method: 'POST', url: '/api/things?n=1', key: 'k', length: '7' });
  }
  assert.equal(sockets.size, 1);
  stop();
});

await test('rejects when there is no answer, or no end of it, within the limit', LIMIT, async () => {
  const { base, stop } = await serve((request, response) => {
    if (request.url === '/begun') response.write('{"n":');
  });
  const client = new HttpClient(base);
  for (const path of ['/silent', '/begun']) {
    await assert.rejects(whole(client.send({ method: 'GET', path, headers: {}, limitMs: 100 })), HttpTimeout, path);
  }
  stop();
});

await test('rejects when the connection is refused, or ends within the answer', LIMIT, async () => {
  const { base, stop } = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy());
  });
  const request = { method: 'GET', path: '/', headers: {}, limitMs: 5_000 } as const;
  await assert.rejects(whole(new HttpClient(base).send(request)), { code: 'ECONNRESET' });
  stop();
  await assert.rejects(new HttpClient(base).send(request), { code: 'ECONNREFUSED' });
});

await test('a body that is read as a stream fails when the limit is over', LIMIT, async () => {
  const { base, stop } = await serve((_request, response) => {
    response.writeHead(200).write('begun');
  });
  const { body } = await new HttpClient(base).send({ method: 'GET', path: '/', headers: {}, limitMs: 200 });
  await assert.rejects(body.toArray());
  stop();
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { FaultProxy } from './fault-proxy.ts';
import { waitFor } from './wait.ts';

/** What the server has received, on all connections. */
let received = '';
const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    received += chunk.toString();
    socket.write(`re:${chunk.toString()}`);
  });
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const proxy = await FaultProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
after(async () => {
  await proxy.stop();
  server.close();
});

function client(): Socket {
  return connect(proxy.port, proxy.host).on('error', () => undefined);
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  return String((await once(socket, 'data'))[0]);
}

test('a cut ends the connections, and new ones until it is over', async () => {
  const first = client();
  assert.equal(await ask(first, 'one'), 're:one');
  const ended = once(first, 'close');
  proxy.cut();
  await ended;
  await once(client(), 'close');
  proxy.restore();
  const next = client();
  assert.equal(await ask(next, 'two'), 're:two');
  next.destroy();
});

test('silence delivers nothing until it is over, and then also what a client has sent that is gone', async () => {
  const [open, gone] = [client(), client()];
  await Promise.all([ask(open, 'a'), ask(gone, 'b')]);
  received = '';
  proxy.silence();
  const answer = ask(open, 'late');
  await new Promise((resolve) => gone.end('last words', () => resolve(undefined)));
  const fresh = client();
  const accepted = ask(fresh, 'new');
  // A round trip past the proxy: what it would have forwarded has arrived.
  const direct = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await ask(direct, '.');
  await ask(direct, '.');
  assert.equal(received, '..');
  proxy.restore();
  assert.deepEqual(await Promise.all([answer, accepted]), ['re:late', 're:new']);
  await waitFor('the words of the client that is gone', () => received.includes('last words'));
  for (const socket of [open, fresh, direct]) socket.destroy();
});

test('a lost answer: the server has received the request, and the connection ends', async () => {
  const socket = client();
  received = '';
  const dropped = proxy.dropAnswers(() => true);
  socket.write('pay');
  await Promise.all([dropped, once(socket, 'close')]);
  assert.equal(received, 'pay');
});

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, test } from 'node:test';
import { listenOnLoopback, portCandidates } from './loopback.ts';

const open: Server[] = [];
after(() => Promise.all(open.map((one) => new Promise((resolve) => one.close(resolve)))));

function server(): Server {
  const created = createServer();
  open.push(created);
  return created;
}

test('a target has the same ports at each start, and other targets and clusters have others', () => {
  const ports = portCandidates('bss', 'demo-gateway.bss.svc.cluster.local', 8080);
  assert.deepEqual(portCandidates('bss', 'demo-gateway.bss.svc.cluster.local', 8080), ports);
  assert.equal(new Set(ports).size, ports.length);
  for (const port of ports) assert.ok(port >= 20_000 && port < 30_000, `${port}`);
  assert.notEqual(portCandidates('two', 'demo-gateway.bss.svc.cluster.local', 8080)[0], ports[0]);
  assert.notEqual(portCandidates('bss', 'demo-gateway.bss.svc.cluster.local', 8081)[0], ports[0]);
});

test('listens on the first free candidate, and on any port when none is free', async () => {
  const taken = await listenOnLoopback(server(), []);
  const free = await listenOnLoopback(server(), portCandidates('loopback-test', `${process.pid}`, 1));
  assert.ok(portCandidates('loopback-test', `${process.pid}`, 1).includes(free));
  const other = await listenOnLoopback(server(), [taken, free]);
  assert.ok(other > 0 && other !== taken && other !== free);
});

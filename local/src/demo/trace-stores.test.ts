import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { readJson } from './trace-stores.ts';

test('a request without an answer ends', { timeout: 30_000 }, async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await assert.rejects(readJson(`http://127.0.0.1:${port}/`, 50), { name: 'TimeoutError' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

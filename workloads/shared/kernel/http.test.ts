import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { HttpApi } from './http.ts';
import { createLogger } from './log.ts';
import { Metrics } from './metrics.ts';

function ask(url: string, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => response.resume().once('end', () => resolve(response))).once('error', reject);
  });
}

await test('clients that keep their connections are sent elsewhere before it closes, and none is refused', async () => {
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const api = new HttpApi('test', { log, metrics: new Metrics({}) });
  const answer = async () => {
    await pause(20);
    return {};
  };
  api.route({ method: 'GET', path: '/', summary: 'Takes its time', response: z.object({}), handle: answer });
  const address = await api.listen(0);
  let served = 0;
  let closed = false;
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (;;) {
      const response = await ask(address.replace('0.0.0.0', '127.0.0.1'), agent);
      assert.equal(response.statusCode, 200);
      served += 1;
      if (response.headers.connection === 'close') return closed;
      await pause(5);
    }
  };
  const clients = [client(), client(), client(), client()];
  while (served < 20) await pause(5);
  const end = api.close().then(() => (closed = true));
  assert.deepEqual(await Promise.all(clients), [false, false, false, false], 'each was told while it still served');
  await end;
  await assert.rejects(ask(address, new Agent()), /ECONNREFUSED/);
});

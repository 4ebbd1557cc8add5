import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../testing/wait.ts';
import { createLogger } from '../log.ts';
import { Warming } from './warming.ts';
import type { WarmingOptions } from './warming.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

function warming(change: Partial<WarmingOptions> = {}): { warmed: string[]; keys: number[]; warming: Warming } {
  const [warmed, keys]: [string[], number[]] = [[], []];
  const created = new Warming({
    log,
    intervalMs: 60_000,
    hotKeys: () => ['customer:1', 'order:5', 'customer:1:orders', 'customer:2'],
    customerOf: (key) => /^customer:(\d+)/.exec(key)?.[1],
    warmUpCustomerData: (id) => Promise.resolve(warmed.push(id)).then(() => 4),
    onWarmed: (count) => void keys.push(count),
    ...change,
  });
  return { warmed, keys, warming: created };
}

await test('a round warms each customer of the hot keys once, and the other keys not', async () => {
  const { warmed, keys, warming: created } = warming();
  assert.equal(await created.round(), 2);
  assert.deepEqual(
    [warmed, keys],
    [
      ['1', '2'],
      [4, 4],
    ],
  );
});

await test('rounds follow at the interval, and the stop ends them', async () => {
  const { warmed, warming: created } = warming({ intervalMs: 5 });
  created.start();
  await waitFor('two rounds', () => warmed.length >= 4);
  await created.stop();
  const { length } = warmed;
  await created.round();
  assert.equal(warmed.length, length, 'nothing is warmed after the stop');
});

await test('a load of a hot entry warms the other entries of its customer, and one that fails does not end that', async () => {
  const seen: string[] = [];
  const { warming: created } = warming({
    warmUpCustomerData: (id) => (seen.push(id), id === '7' ? Promise.reject(new Error('no database')) : Promise.resolve(1)),
  });
  created.start();
  created.request('customer:7:orders');
  created.request('order:5');
  await waitFor('the first', () => seen.length === 1);
  created.request('customer:8');
  await waitFor('the second', () => seen.length === 2);
  await created.stop();
  assert.deepEqual(seen, ['7', '8']);
});

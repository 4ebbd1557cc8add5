import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics } from '../metrics.ts';
import { LagSeconds } from './lag.ts';

function create() {
  const clock = { now: 100_000 };
  const metrics = new Metrics({});
  return { clock, metrics, lag: new LagSeconds(metrics, 't', () => clock.now) };
}

await test('the lag grows from the first record fetched until it is applied', () => {
  const { clock, lag } = create();
  lag.assigned([0, 1]);
  assert.deepEqual(
    [...lag.read()],
    [
      [0, 0],
      [1, 0],
    ],
  );
  lag.fetched(0, '98000');
  assert.equal(lag.read().get(0), 2);
  clock.now += 5_000;
  lag.fetched(0, '101000');
  assert.equal(lag.read().get(0), 7, 'a later fetch does not make the first record younger');
  lag.applied(0, '98500', false);
  assert.equal(lag.read().get(0), 0);
});

await test('a member that is behind counts from the last record applied, also between two fetches', () => {
  const { clock, lag } = create();
  lag.assigned([0]);
  lag.fetched(0, '90000');
  lag.applied(0, '95000', true);
  clock.now += 1_000;
  assert.equal(lag.read().get(0), 6);
  lag.fetched(0, '95010');
  lag.applied(0, '100900', false);
  assert.equal(lag.read().get(0), 0);
});

await test('a partition that is gone has no series, and one that is kept keeps its lag; clocks that differ give no negative lag', async () => {
  const { lag, metrics } = create();
  lag.assigned([0, 1]);
  lag.fetched(0, '99000');
  lag.fetched(1, '999999');
  assert.equal(lag.read().get(1), 0);
  lag.assigned([0, 2]);
  lag.fetched(1, '90000');
  const { body } = await metrics.expose();
  assert.deepEqual(body.match(/^consumer_lag_seconds.*$/gm), [
    'consumer_lag_seconds{topic="t",partition="0"} 1',
    'consumer_lag_seconds{topic="t",partition="2"} 0',
  ]);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { waitFor } from '../testing/wait.ts';
import { createLogger } from './log.ts';
import { repeat } from './repeat.ts';

const identity = { service: 'test', platform: 'test', namespace: 'test', pod: 'test' };
const log = createLogger(identity, 'silent');
const HOUR_MS = 3_600_000;

test('a round that has more to do is followed at once, and any other one after the interval', async () => {
  const work = [true, true, false];
  let rounds = 0;
  const stop = repeat({
    log,
    what: 'test',
    intervalMs: HOUR_MS,
    round: async () => {
      rounds += 1;
      return work.shift() ?? true;
    },
  });
  await waitFor('three rounds', () => rounds === 3);
  await stop();
  assert.equal(rounds, 3, 'the stop ends the delay, and no round follows');
});

test('a failed round is logged and retried, with a delay that doubles up to the longest', async () => {
  const lines: string[] = [];
  const logged = createLogger(identity, 'warn', { write: (line: string) => void lines.push(line) });
  const at: number[] = [];
  const stop = repeat({
    log: logged,
    what: 'do it',
    intervalMs: 10,
    maxIntervalMs: 40,
    round: () => {
      at.push(performance.now());
      return Promise.reject(new Error('no database'));
    },
  });
  await waitFor('six rounds', () => at.length === 6);
  await stop();
  const delays = at.slice(1).map((moment, index) => moment - (at[index] ?? 0));
  [20, 40, 40, 40, 40].forEach((least, index) => assert.ok((delays[index] ?? 0) >= least - 2, `${index}: ${delays.join(' ')}`));
  assert.match(lines[0] ?? '', /failed to do it; retrying/);
  assert.match(lines[0] ?? '', /no database/);
});

test('the stop waits for the round in progress, and its failure after the stop is not logged', async () => {
  const lines: string[] = [];
  const logged = createLogger(identity, 'warn', { write: (line: string) => void lines.push(line) });
  let fail: (error: Error) => void = () => undefined;
  let began = false;
  const stop = repeat({
    log: logged,
    what: 'wait',
    intervalMs: 1,
    round: (signal) =>
      new Promise((_resolve, reject) => {
        began = true;
        fail = reject;
        signal.addEventListener('abort', () => setImmediate(() => fail(new Error('stopped'))));
      }),
  });
  await waitFor('the round to begin', () => began);
  let stopped = false;
  const stopping = stop().then(() => (stopped = true));
  await Promise.resolve();
  assert.equal(stopped, false);
  await stopping;
  assert.deepEqual(lines, []);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { waitFor } from '../testing/wait.ts';
import { createLogger } from './log.ts';
import { PollLoop } from './poll-loop.ts';
import type { PollLoopOptions } from './poll-loop.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

const unexpected = (error: unknown): void => assert.fail(String(error));

function loop(pass: PollLoopOptions['pass'], change: Partial<PollLoopOptions> = {}): PollLoop {
  const options = {
    log,
    what: 'test',
    minDelayMs: 1,
    maxDelayMs: 5,
    maxRetryDelayMs: 5,
    retryable: () => true,
    onFatal: unexpected,
    pass,
  };
  return new PollLoop({ ...options, ...change });
}

test('passes follow at once while there is work, and after the delay when there is none', async () => {
  const work = [true, true, false];
  let passes = 0;
  const polling = loop(
    () => {
      passes += 1;
      return Promise.resolve(work.shift() ?? false);
    },
    { minDelayMs: 60_000, maxDelayMs: 60_000 },
  );
  polling.start();
  await waitFor('three passes', () => passes === 3);
  assert.equal(polling.notReady(), undefined);
  await polling.stop();
  assert.equal(passes, 3, 'the stop ends the delay, and no pass follows');
});

test('retries a failed pass, and is not ready meanwhile', async () => {
  let broken = true;
  let failed = 0;
  const polling = loop(() => {
    failed += broken ? 1 : 0;
    return broken ? Promise.reject(new Error('away')) : Promise.resolve(false);
  });
  assert.equal(polling.notReady(), 'no pass has succeeded yet');
  polling.start();
  await waitFor('a retry', () => failed >= 2);
  assert.equal(polling.notReady(), 'cannot test: away');
  broken = false;
  await waitFor('a pass that succeeds', () => polling.notReady() === undefined);
  await polling.stop();
});

test('ends, and reports it, after an error that no retry can mend', async () => {
  const fatal: unknown[] = [];
  let passes = 0;
  const polling = loop(
    () => {
      passes += 1;
      return Promise.reject(new Error('no right'));
    },
    { retryable: () => false, onFatal: (error) => fatal.push(error) },
  );
  polling.start();
  await waitFor('the end', () => fatal.length > 0);
  await polling.stop();
  assert.deepEqual([passes, String(fatal)], [1, 'Error: no right']);
});

test('the stop waits for the pass in progress, and tells it to end early', async () => {
  const begun = Promise.withResolvers<void>();
  let ended = false;
  const polling = loop(async (signal) => {
    begun.resolve();
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    ended = true;
    return true;
  });
  polling.start();
  await begun.promise;
  await polling.stop();
  assert.ok(ended);
});

test('is not live when no pass ends for a long time', (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const polling = loop(() => Promise.resolve(false));
  assert.equal(polling.notLive(), undefined);
  context.mock.timers.tick(91_000);
  assert.match(polling.notLive() ?? '', /no pass has ended for 91 s/);
});

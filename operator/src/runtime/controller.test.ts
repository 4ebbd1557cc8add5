import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { Controller } from './controller.ts';
import type { Reconcile } from './controller.ts';
import { KubeError } from './errors.ts';
import { Metrics } from './metrics.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { seriesValue } from './testing/harness.ts';
import { WorkQueue } from './workqueue.ts';

interface LogLine {
  level: number;
  msg: string;
  key?: string;
  reconcileId?: string;
}

function build(reconcile: Reconcile, workers = 2) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const lines: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const queue = new WorkQueue({ name: 'test', metrics, clock, baseMs: 100, random: () => 1 });
  const controller = new Controller({ name: 'test', queue, reconcile, metrics, logger, workers, clock });
  const results = (result: string) => seriesValue(metrics, `bss_operator_reconcile_total{controller="test",result="${result}"}`);
  return { clock, queue, controller, results, lines };
}

describe('controller', () => {
  test('initializes a series for every result', async () => {
    const { results } = build(async () => undefined);
    for (const result of ['success', 'requeue_after', 'error']) assert.equal(await results(result), 0, result);
  });

  test('requeues a key after requeueAfterMs', async () => {
    let passes = 0;
    const { clock, queue, controller, results } = build(async () => {
      passes += 1;
      return { requeueAfterMs: 60_000 };
    });
    controller.start();
    queue.add('ns/a');
    await settle();
    assert.equal(passes, 1);
    await clock.advance(59_999);
    assert.equal(passes, 1);
    await clock.advance(1);
    assert.equal(passes, 2);
    assert.equal(await results('requeue_after'), 2);
    await controller.stop();
  });

  test('retries a failure with growing backoff, and resets it after a success', async () => {
    let failing = 3;
    const at: number[] = [];
    const { clock, queue, controller, results } = build(async () => {
      at.push(clock.monotonic());
      if (failing-- > 0) throw new Error('not yet');
    });
    controller.start();
    queue.add('a');
    await clock.advance(10_000);
    assert.deepEqual(at, [0, 100, 300, 700]);
    assert.equal(queue.failures('a'), 0);
    assert.deepEqual([await results('error'), await results('success')], [3, 1]);
    await controller.stop();
  });

  test('waits as long as the server asks', async () => {
    const at: number[] = [];
    const { clock, queue, controller } = build(async () => {
      at.push(clock.monotonic());
      if (at.length === 1) throw new KubeError('busy', { reason: 'TooManyRequests', status: 429, retryAfterMs: 5_000 });
    });
    controller.start();
    queue.add('a');
    await clock.advance(20_000);
    assert.deepEqual(at, [0, 5_000]);
    await controller.stop();
  });

  test('never overlaps passes for one key, and runs different keys concurrently', async () => {
    const running = new Set<string>();
    let most = 0;
    const gates: (() => void)[] = [];
    const { queue, controller } = build(async ({ key }) => {
      assert.ok(!running.has(key), `${key} twice`);
      running.add(key);
      most = Math.max(most, running.size);
      await new Promise<void>((resolve) => gates.push(resolve));
      running.delete(key);
    }, 3);
    controller.start();
    queue.add('a');
    queue.add('b');
    await settle();
    queue.add('a');
    await settle();
    assert.equal(most, 2);
    for (let gate = gates.shift(); gate; gate = gates.shift()) {
      gate();
      await settle();
    }
    await controller.stop();
  });

  test('logs one reconcile id per pass, with the key', async () => {
    const { queue, controller, lines } = build(async ({ logger }) => {
      logger.info('begin');
      logger.info('end');
    });
    controller.start();
    queue.add('ns/a');
    await settle();
    queue.add('ns/a');
    await settle();
    const ids = lines.filter(({ msg }) => msg === 'begin' || msg === 'end').map(({ reconcileId }) => reconcileId);
    assert.equal(ids.length, 4);
    assert.equal(ids[0], ids[1]);
    assert.equal(ids[2], ids[3]);
    assert.notEqual(ids[0], ids[2]);
    assert.ok(lines.every(({ key }) => key === 'ns/a'));
    await controller.stop();
  });

  test('waits on stop for the pass in progress, and aborts it after the grace period', async () => {
    let aborted = false;
    const { clock, queue, controller } = build(
      ({ signal }) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            resolve();
          });
        }),
    );
    controller.start();
    queue.add('a');
    await settle();
    const stopped = controller.stop(5_000);
    await clock.advance(4_999);
    assert.equal(aborted, false);
    await clock.advance(1);
    await stopped;
    assert.equal(aborted, true);
  });
});

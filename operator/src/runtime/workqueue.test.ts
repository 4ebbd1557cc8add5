import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backoffDelay } from './backoff.ts';
import { Metrics } from './metrics.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { seriesValue } from './testing/harness.ts';
import { WorkQueue } from './workqueue.ts';

function build(random = () => 1): { queue: WorkQueue; clock: FakeClock; metrics: Metrics } {
  const clock = new FakeClock();
  const metrics = new Metrics();
  return { queue: new WorkQueue({ name: 'q', metrics, clock, random, baseMs: 100, maxMs: 1_000 }), clock, metrics };
}

describe('work queue', () => {
  test('returns keys in order, each once', async () => {
    const { queue } = build();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    assert.equal(queue.length, 3);
    assert.deepEqual([await queue.get(), await queue.get(), await queue.get()], ['a', 'b', 'c']);
  });

  test('requeues a key that is added while it is processed', async () => {
    const { queue } = build();
    queue.add('a');
    assert.equal(await queue.get(), 'a');
    queue.add('a');
    queue.add('a');
    assert.equal(queue.length, 0, 'no second worker may have it');
    queue.done('a');
    assert.equal(queue.length, 1);
    assert.equal(await queue.get(), 'a');
    queue.done('a');
    assert.equal(queue.length, 0);
  });

  test('hands the next key to a waiting worker', async () => {
    const { queue } = build();
    const waiting = [queue.get(), queue.get()];
    queue.add('a');
    queue.add('b');
    assert.deepEqual(await Promise.all(waiting), ['a', 'b']);
  });

  test('never loses a key or hands it out twice', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = mulberry(seed);
    const { queue } = build();
    const keys = Array.from({ length: 8 }, (_, index) => `k${index}`);
    const held = new Set<string>();
    const owed = new Set<string>();
    for (let step = 0; step < 5_000; step += 1) {
      const key = keys[Math.floor(random() * keys.length)] ?? 'k0';
      if (random() < 0.5) {
        queue.add(key);
        owed.add(key);
      } else if (queue.length > 0 && random() < 0.6) {
        const taken = await queue.get();
        assert.ok(taken !== undefined && !held.has(taken) && owed.has(taken), `seed ${seed}, step ${step}: ${taken}`);
        held.add(taken);
        owed.delete(taken);
      } else if (held.delete(key)) queue.done(key);
      const ready = [...owed].filter((candidate) => !held.has(candidate));
      assert.equal(queue.length, ready.length, `seed ${seed}, step ${step}`);
    }
  });

  test('uses the earliest of several delays for one key', async () => {
    const { queue, clock } = build();
    queue.addAfter('a', 500);
    queue.addAfter('a', 200);
    queue.addAfter('a', 900);
    await clock.advance(199);
    assert.equal(queue.length, 0);
    await clock.advance(1);
    assert.equal(queue.length, 1);
    await queue.get();
    queue.done('a');
    await clock.advance(10_000);
    assert.equal(queue.length, 0, 'the others are forgotten');
  });

  test('doubles the backoff of a key up to the limit, until forget', async () => {
    const { queue } = build();
    const waits = [1, 2, 3, 4, 5, 6].map(() => queue.addRateLimited('a'));
    assert.deepEqual(waits, [100, 200, 400, 800, 1_000, 1_000]);
    assert.equal(queue.addRateLimited('b'), 100, 'another key has a count of its own');
    queue.forget('a');
    assert.equal(queue.failures('a'), 0);
    assert.equal(queue.addRateLimited('a'), 100);
  });

  test('respects the delay that the server requested', () => {
    const { queue } = build();
    assert.equal(queue.addRateLimited('a', 7_000), 7_000);
  });

  test('ends waiting calls, cancels timers and accepts no keys after shutDown', async () => {
    const { queue, clock } = build();
    queue.addAfter('later', 100);
    const waiting = queue.get();
    queue.shutDown();
    assert.equal(await waiting, undefined);
    queue.add('a');
    queue.addAfter('b', 1);
    await clock.advance(1_000);
    assert.equal(await queue.get(), undefined);
    assert.equal(clock.pending, 0);
  });

  test('exports metrics that start at zero', async () => {
    const { queue, clock, metrics } = build();
    assert.equal(await seriesValue(metrics, 'bss_operator_queue_retries_total{name="q"}'), 0);
    queue.add('a');
    queue.addRateLimited('b');
    assert.equal(await seriesValue(metrics, 'bss_operator_queue_depth{name="q"}'), 1);
    assert.equal(await seriesValue(metrics, 'bss_operator_queue_retries_total{name="q"}'), 1);
    await clock.advance(2_000);
    await queue.get();
    assert.equal(await seriesValue(metrics, 'bss_operator_queue_latency_seconds_sum{name="q"}'), 2);
    await settle();
  });
});

describe('back-off', () => {
  const policy = { baseMs: 100, maxMs: 10_000 };
  const rows: { reason: string; failures: number; random: number; ms: number }[] = [
    { reason: 'the first wait is the base', failures: 1, random: 1, ms: 100 },
    { reason: 'half of it is random', failures: 1, random: 0, ms: 50 },
    { reason: 'it doubles', failures: 4, random: 1, ms: 800 },
    { reason: 'it has a limit', failures: 8, random: 1, ms: 10_000 },
    { reason: 'the limit holds for any number of failures', failures: 100_000, random: 1, ms: 10_000 },
    { reason: 'no failure waits no longer than the first', failures: 0, random: 1, ms: 100 },
  ];
  for (const { reason, failures, random, ms } of rows) {
    test(reason, () =>
      assert.equal(
        backoffDelay(failures, policy, () => random),
        ms,
      ),
    );
  }
});

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'node:test';
import { trace } from '@opentelemetry/api';
import { OtlpReceiver } from '../testing/otlp-receiver.ts';
import { waitFor } from '../testing/wait.ts';
import { Metrics } from './metrics.ts';
import { SpanQueue } from './span-queue.ts';
import { startSpan, startTelemetry } from './telemetry.ts';

const LIMIT = { timeout: 60_000 };

/** A process's telemetry to a receiver of its own. */
async function start() {
  const receiver = await OtlpReceiver.start();
  const metrics = new Metrics({});
  // A process has one provider; the next one is taken only when there is none.
  trace.disable();
  const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 1, endpoint: receiver.url }, metrics);
  const value = async (name: string): Promise<number> => {
    const { body } = await metrics.expose();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1] ?? NaN);
  };
  return { receiver, stop, value };
}

function emit(count: number, from = 0): void {
  for (let index = from; index < from + count; index++) startSpan(`span ${index}`).end();
}

/** Each span once. */
function assertAll(receiver: OtlpReceiver, count: number): void {
  const names = receiver.spans.map(({ name }) => name);
  assert.equal(new Set(names).size, count);
  assert.equal(names.length, count, 'none twice');
}

await test('a burst that a slow receiver takes in is exported as a whole', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  receiver.delayMs = 300;
  emit(8_000);
  await waitFor('the spans', () => receiver.spans.length >= 8_000, 20_000);
  await waitFor('the counter', async () => (await value('otel_spans_exported_total')) === 8_000);
  assert.equal(await value('otel_spans_dropped_total'), 0);
  assertAll(receiver, 8_000);
  await stop();
  await receiver.kill();
});

await test('spans of the time without a receiver are exported once it is back', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  emit(1_000);
  await waitFor('the first spans', () => receiver.spans.length === 1_000);
  await receiver.kill();
  emit(6_000, 1_000);
  await waitFor('a failed export', async () => (await value('otel_spans_queued')) === 6_000);
  // The outage takes longer than one export with its retries, after which the SDK's own processor drops the batch.
  await delay(6_000);
  assert.equal(await value('otel_spans_dropped_total'), 0);
  await receiver.listen();
  await waitFor('the rest', () => receiver.spans.length >= 7_000, 20_000);
  assertAll(receiver, 7_000);
  assert.equal(await value('otel_spans_dropped_total'), 0);
  await stop();
  await receiver.kill();
});

await test('a receiver that asks for a pause gets the batch again; one that refuses it does not', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  receiver.status = 503;
  emit(10);
  await waitFor('a refused export', () => receiver.requests > 0);
  receiver.status = 200;
  await waitFor('the spans', () => receiver.spans.length === 10, 20_000);
  receiver.status = 400;
  emit(5, 10);
  await waitFor('the spans to be given up', async () => (await value('otel_spans_dropped_total')) === 5, 20_000);
  assert.equal(await value('otel_spans_queued'), 0);
  await stop();
  await receiver.kill();
});

await test('a full queue drops what comes on top, and counts it', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  receiver.delayMs = 2_000;
  emit(10_000);
  assert.equal(await value('otel_spans_dropped_total'), 10_000 - 8_192);
  await waitFor('the spans that had room', () => receiver.spans.length === 8_192, 20_000);
  await stop();
  await receiver.kill();
});

await test('the shutdown exports what waits', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  receiver.delayMs = 200;
  emit(5_000);
  await stop();
  assertAll(receiver, 5_000);
  assert.equal(await value('otel_spans_dropped_total'), 0);
  await receiver.kill();
});

await test('the shutdown ends within its limit, and counts what the receiver did not accept', LIMIT, async () => {
  const { receiver, stop, value } = await start();
  await receiver.kill();
  emit(700);
  const startedAt = performance.now();
  await stop();
  const ms = performance.now() - startedAt;
  assert.ok(ms > 3_000 && ms < 7_000, `${ms} ms`);
  assert.equal(await value('otel_spans_dropped_total'), 700);
});

await test('a flush resolves when what waits is exported', LIMIT, async () => {
  const done: (() => void)[] = [];
  const counted = { exported: 0, dropped: 0 };
  const exporter = {
    export: (_spans: unknown, result: (outcome: { code: number }) => void) => void done.push(() => result({ code: 0 })),
    shutdown: async () => {},
  };
  const queue = new SpanQueue(exporter, {
    exported: (spans) => (counted.exported += spans),
    dropped: (spans) => (counted.dropped += spans),
  });
  const span = (traceFlags: number) => ({ spanContext: () => ({ traceFlags }) }) as never;
  queue.onEnd(span(1));
  queue.onEnd(span(0));
  let flushed = false;
  const flush = queue.forceFlush().then(() => (flushed = true));
  await delay(20);
  assert.deepEqual([done.length, flushed, queue.size], [1, false, 1], 'a span that is not sampled is not exported');
  done[0]?.();
  await flush;
  assert.deepEqual(counted, { exported: 1, dropped: 0 });
  await queue.forceFlush();
});

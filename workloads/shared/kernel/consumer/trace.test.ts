import assert from 'node:assert/strict';
import test from 'node:test';
import { consumed } from '../../testing/record.ts';
import { Metrics } from '../metrics.ts';
import { startTelemetry } from '../telemetry.ts';
import { producerContexts, tracesOf } from './trace.ts';

const record = (offset: bigint, traceparent?: string) => ({ record: consumed({ offset, traceparent }) });

await test('contexts are counted over partitions; records without one are left out', () => {
  const slice = [
    { topic: 't', partition: 0, start: 0n, next: 3n, entries: [record(0n, 'x'), record(1n), record(2n, 'y')] },
    { topic: 't', partition: 1, start: 0n, next: 1n, entries: [record(0n, 'x')] },
  ];
  assert.deepEqual(
    [...producerContexts(slice)],
    [
      ['x', 2],
      ['y', 1],
    ],
  );
});

await test('the traces of a batch are named once each, up to a limit; what is no traceparent is left out', async () => {
  const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 1 }, new Metrics({}));
  const id = (digit: string) => digit.repeat(32);
  const entries = ['1', '1', '2', '3'].map((digit, index) => record(BigInt(index), `00-${id(digit)}-${String(index + 1).repeat(16)}-01`));
  const slice = [{ topic: 't', partition: 0, start: 0n, next: 5n, entries: [record(4n, 'nonsense'), record(5n), ...entries] }];
  assert.deepEqual(tracesOf(slice, 9), [id('1'), id('2'), id('3')]);
  assert.deepEqual(tracesOf(slice, 2), [id('1'), id('2')]);
  await stop();
});

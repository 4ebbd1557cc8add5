import assert from 'node:assert/strict';
import test from 'node:test';
import { producerContexts } from './trace.ts';

const record = (offset: bigint, traceparent?: string | Buffer) => ({
  record: { offset, key: null, value: null, timestamp: '0', headers: traceparent === undefined ? {} : { traceparent } },
});

await test('contexts are counted over partitions; records without one are left out', () => {
  const slice = [
    { topic: 't', partition: 0, start: 0n, next: 3n, entries: [record(0n, 'x'), record(1n), record(2n, Buffer.from('y'))] },
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

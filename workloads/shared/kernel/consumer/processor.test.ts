/** Lanes: what is written at the same time, and in which order. The whole processor runs against real servers in the tests of the consumers. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import test from 'node:test';
import type { PartitionBatch } from '../kafka/batch.ts';
import type { Lease } from '../kafka/lease.ts';
import { createLogger } from '../log.ts';
import { consumed } from '../../testing/record.ts';
import { Metrics } from '../metrics.ts';
import type { Apply } from './effects.ts';
import { consumerMetrics } from './metrics.ts';
import { Processor } from './processor.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

function batch(partition: number, records: number): PartitionBatch {
  const all = Array.from({ length: records }, (_value, index) => consumed({ offset: BigInt(index) }));
  return { topic: 't', partition, start: 0n, next: BigInt(records), records: all };
}

function processor(apply: Apply<bigint>, lanes: number): Processor<bigint> {
  return new Processor<bigint>({
    decode: (record) => ({ record, event: record.offset }),
    apply,
    deadLetters: undefined,
    resumeFrom: () => Promise.reject(new Error('no position moves')),
    topicIdOf: () => undefined,
    metrics: consumerMetrics(new Metrics({}), 'test', []),
    log,
    group: 'g',
    maxRecords: 2,
    lanes,
  });
}

const lease: Lease = { held: true, done: () => undefined, seek: () => undefined, suspend: () => undefined };

async function turns(): Promise<void> {
  for (let count = 0; count < 20; count++) await turn();
}

test('lanes write at the same time, each partition in its order', async () => {
  const begun: string[] = [];
  let most = 0;
  let open = 0;
  const gate = Promise.withResolvers<void>();
  const apply: Apply<bigint> = async (slice) => {
    open += 1;
    most = Math.max(most, open);
    begun.push(slice.map(({ partition, start, next }) => `${partition}:${start}-${next}`).join(' '));
    await gate.promise;
    open -= 1;
    return { kind: 'applied', events: 2, duplicates: 0 };
  };
  const work = processor(apply, 2).onBatches([batch(0, 4), batch(1, 4)], lease);
  await turns();
  assert.deepEqual(begun, ['0:0-2', '1:0-2'], 'the first slice of each lane is being written');
  gate.resolve();
  await work;
  assert.deepEqual(begun.toSorted(), ['0:0-2', '0:2-4', '1:0-2', '1:2-4']);
  assert.equal(most, 2);
});

test('one lane writes one slice after another', async () => {
  let open = 0;
  const apply: Apply<bigint> = async () => {
    open += 1;
    assert.equal(open, 1);
    await turn();
    open -= 1;
    return { kind: 'applied', events: 2, duplicates: 0 };
  };
  await processor(apply, 1).onBatches([batch(0, 4), batch(1, 4)], lease);
});

test('a defect in one lane is reported when the other lane has ended', async () => {
  const gate = Promise.withResolvers<void>();
  let ended = false;
  const apply: Apply<bigint> = async (slice) => {
    if (slice[0]?.partition === 0) throw new TypeError('a defect');
    await gate.promise;
    ended = true;
    return { kind: 'applied', events: 2, duplicates: 0 };
  };
  const work = processor(apply, 2).onBatches([batch(0, 2), batch(1, 2)], lease);
  const reported = assert.rejects(work, /a defect/).then(() => assert.ok(ended, 'nothing is written any more'));
  await turns();
  gate.resolve();
  await reported;
});

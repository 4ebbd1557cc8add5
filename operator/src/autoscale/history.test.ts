import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { History } from './history.ts';
import type { DecisionRecord } from './types.ts';

function recordOf(index: number, changes: Partial<DecisionRecord> = {}): DecisionRecord {
  return {
    at: 1_800_000_000_000 + index * 5000,
    usable: index % 7 !== 0,
    lag: 20_000_000 + index,
    delaySeconds: index % 3 === 0 ? null : index / 4,
    arrivalRate: index * 1.5,
    arrivalNow: index % 5 === 0 ? null : index,
    throughput: index / 8,
    ratePerReplica: index % 2 === 0 ? null : 200.5,
    wanted: index % 12,
    members: 4,
    from: 2,
    to: 2,
    reason: 'Steady',
    message: 'holding at 2',
    ...changes,
  };
}

describe('history', () => {
  it('returns what was put into it, oldest first', () => {
    const history = new History(720);
    const records = Array.from({ length: 300 }, (_, index) => recordOf(index));
    for (const record of records) history.push(record);
    assert.deepEqual(history.all(), records);
    assert.deepEqual(history.last(), records.at(-1));
  });

  it('keeps the newest records when it is full', () => {
    const history = new History(100);
    for (let index = 0; index < 250; index++) history.push(recordOf(index));
    assert.equal(history.length, 100);
    assert.deepEqual(
      history.all().map(({ lag }) => lag - 20_000_000),
      Array.from({ length: 100 }, (_, index) => 150 + index),
    );
  });

  it('takes less than 72 KiB for an hour', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collect();
    const before = process.memoryUsage();
    const histories = Array.from({ length: 100 }, () => new History(720));
    for (const history of histories) for (let index = 0; index < 720; index++) history.push(recordOf(index));
    collect();
    const now = process.memoryUsage();
    const used = now.heapUsed + now.arrayBuffers - before.heapUsed - before.arrayBuffers;
    assert.ok(used / histories.length < 72 * 1024, `${Math.round(used / histories.length)} bytes`);
    assert.equal(histories.at(-1)?.length, 720);
  });
});

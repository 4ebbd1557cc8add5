import assert from 'node:assert/strict';
import test from 'node:test';
import { comparePositions, Rollback } from './effects.ts';

const rows: { stored: [next: bigint, topicId?: string]; start: bigint; topicId?: string; want: string | undefined; reason: string }[] = [
  { stored: [5n, 'a'], start: 5n, topicId: 'a', want: undefined, reason: 'the records follow the position' },
  { stored: [6n, 'a'], start: 5n, topicId: 'a', want: '6', reason: 'another owner was here' },
  {
    stored: [0n, 'b'],
    start: 0n,
    topicId: 'a',
    want: '0 of another topic',
    reason: 'a late owner must not move the position of the new topic',
  },
  { stored: [5n, 'b'], start: 0n, topicId: 'a', want: '5 of another topic', reason: 'its offsets say nothing about the records' },
  { stored: [5n], start: 5n, topicId: 'a', want: undefined, reason: 'a position of the former version has no id' },
  { stored: [5n, 'a'], start: 5n, want: undefined, reason: 'the brokers report no id' },
];
for (const {
  stored: [next, storedId],
  start,
  topicId,
  want,
  reason,
} of rows) {
  await test(`records of ${topicId} from ${start} at position ${next} of ${storedId}`, () => {
    const slice = [{ topic: 't', partition: 4, start, next: start + 1n, topicId, entries: [] }];
    let moved: string | undefined;
    try {
      comparePositions(slice, new Map([[4, { next, topicId: storedId }]]));
    } catch (error) {
      assert.ok(error instanceof Rollback && error.outcome.kind === 'moved');
      moved = error.outcome.positions.map((position) => `${position.next}${position.otherTopic ? ' of another topic' : ''}`).join();
    }
    assert.equal(moved, want, reason);
  });
}

import assert from 'node:assert/strict';
import test from 'node:test';
import { placements } from './placements.ts';

const rows: {
  position: bigint | undefined;
  ids?: [stored: string | undefined, reported?: string];
  low: bigint;
  high: bigint;
  want: string | undefined;
  reason: string;
}[] = [
  { position: undefined, low: 0n, high: 0n, want: 'new -> 0 of ?, 0 lost', reason: 'an empty partition starts at 0' },
  { position: undefined, low: 7n, high: 9n, want: 'new -> 7 of ?, 0 lost', reason: 'a new partition starts at its first record' },
  {
    position: undefined,
    ids: [undefined, 'a'],
    low: 7n,
    high: 9n,
    want: 'new -> 7 of a, 0 lost',
    reason: 'the id is stored from the start',
  },
  { position: 7n, low: 7n, high: 9n, want: undefined, reason: 'at the first record' },
  { position: 9n, low: 7n, high: 9n, want: undefined, reason: 'at the end' },
  { position: 6n, low: 7n, high: 9n, want: 'records_deleted -> 7 of ?, 1 lost', reason: 'retention deleted records that were not applied' },
  { position: 6n, ids: ['a', 'a'], low: 7n, high: 9n, want: 'records_deleted -> 7 of a, 1 lost', reason: 'the same topic' },
  {
    position: 6n,
    ids: ['a'],
    low: 7n,
    high: 9n,
    want: 'records_deleted -> 7 of a, 1 lost',
    reason: 'a broker that reports no id does not change it',
  },
  {
    position: 10n,
    low: 0n,
    high: 9n,
    want: 'topic_recreated -> 0 of ?, 0 lost',
    reason: 'a position past the end belongs to an earlier topic of that name',
  },
  {
    position: 10n,
    ids: ['a'],
    low: 0n,
    high: 9n,
    want: 'topic_recreated -> 0 of ?, 0 lost',
    reason: 'the id of the topic is not known any more',
  },
  { position: 8n, ids: ['a', 'a'], low: 7n, high: 9n, want: undefined, reason: 'the same topic' },
  { position: 8n, ids: ['a'], low: 7n, high: 9n, want: undefined, reason: 'brokers that report no id: the offsets decide' },
  {
    position: 8n,
    ids: ['a', 'b'],
    low: 0n,
    high: 9n,
    want: 'topic_recreated -> 0 of b, 0 lost',
    reason: 'a recreated topic that is longer than the position',
  },
  {
    position: 9n,
    ids: ['a', 'b'],
    low: 3n,
    high: 9n,
    want: 'topic_recreated -> 3 of b, 3 lost',
    reason: 'its first records are deleted already',
  },
  {
    position: 0n,
    ids: ['a', 'b'],
    low: 0n,
    high: 9n,
    want: 'topic_recreated -> 0 of b, 0 lost',
    reason: 'the id changes though the offset stays',
  },
  {
    position: 8n,
    ids: [undefined, 'b'],
    low: 0n,
    high: 9n,
    want: 'topic_id_unknown -> 8 of b, 0 lost',
    reason: 'a position of the former version gets the id',
  },
];
for (const { position, ids: [stored, reported] = [], low, high, want, reason } of rows) {
  await test(`position ${position} of ${stored} in ${low}..${high} of ${reported}`, () => {
    const positions = new Map(position === undefined ? [] : [[4, { next: position, topicId: stored }]]);
    const [placement] = placements([4], positions, [{ partition: 4, low, high }], reported);
    assert.equal(
      placement && `${placement.reason} -> ${placement.to.next} of ${placement.to.topicId ?? '?'}, ${placement.lost} lost`,
      want,
      reason,
    );
  });
}

import assert from 'node:assert/strict';
import test from 'node:test';
import { placements } from './placements.ts';

const rows: { position: bigint | undefined; low: bigint; high: bigint; want: string | undefined; reason: string }[] = [
  { position: undefined, low: 0n, high: 0n, want: 'new -> 0', reason: 'an empty partition starts at 0' },
  { position: undefined, low: 7n, high: 9n, want: 'new -> 7', reason: 'a new partition starts at its first record' },
  { position: 7n, low: 7n, high: 9n, want: undefined, reason: 'at the first record' },
  { position: 9n, low: 7n, high: 9n, want: undefined, reason: 'at the end' },
  { position: 6n, low: 7n, high: 9n, want: 'records_deleted -> 7', reason: 'retention deleted records that were not applied' },
  {
    position: 10n,
    low: 0n,
    high: 9n,
    want: 'topic_recreated -> 0',
    reason: 'a position past the end belongs to an earlier topic of that name',
  },
];
for (const { position, low, high, want, reason } of rows) {
  await test(`position ${position} in ${low}..${high}`, () => {
    const positions = new Map(position === undefined ? [] : [[4, position]]);
    const [placement] = placements([4], positions, [{ partition: 4, low, high }]);
    assert.equal(placement && `${placement.reason} -> ${placement.to}`, want, reason);
  });
}

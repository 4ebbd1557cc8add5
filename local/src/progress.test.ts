import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, formatRunning } from './progress.ts';

await test('durations read well', () => {
  assert.deepEqual([40, 4230, 59_949, 65_000, 600_000].map(formatDuration), ['0.0 s', '4.2 s', '59.9 s', '1 min 05 s', '10 min 00 s']);
});

await test('a running step shows what it does, for how long, and how long it took last time', () => {
  assert.equal(formatRunning({ label: 'up 2/6 programs', expectedMs: undefined, note: '' }, 1000), 'up 2/6 programs … 1.0 s');
  assert.equal(
    formatRunning({ label: 'up 2/6 programs', expectedMs: 30_000, note: 'etcd' }, 1000),
    'up 2/6 programs (etcd) … 1.0 s of about 30.0 s',
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartPause } from './managed-process.ts';

await test('the pause before another start doubles up to ten seconds', () => {
  assert.deepEqual([1, 2, 3, 4, 9].map(restartPause), [250, 500, 1000, 2000, 10_000]);
});

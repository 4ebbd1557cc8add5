import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_PROGRAMS, contentHash } from './programs.ts';

await test('the key changes with each part and with the border between them', () => {
  assert.equal(contentHash(['a', Buffer.from('b')]), contentHash(['a', 'b']));
  assert.notEqual(contentHash(['ab', 'c']), contentHash(['a', 'bc']));
  assert.notEqual(contentHash(['a']), contentHash(['a', '']));
});

await test('no program is named twice', () => {
  assert.equal(new Set(ALL_PROGRAMS).size, ALL_PROGRAMS.length);
});

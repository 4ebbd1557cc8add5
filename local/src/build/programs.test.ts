import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALL_PROGRAMS, compilerMemory, contentHash } from './programs.ts';

await test('the key changes with each part and with the border between them', () => {
  assert.equal(contentHash(['a', Buffer.from('b')]), contentHash(['a', 'b']));
  assert.notEqual(contentHash(['ab', 'c']), contentHash(['a', 'bc']));
  assert.notEqual(contentHash(['a']), contentHash(['a', '']));
});

await test('no program is named twice', () => {
  assert.equal(new Set(ALL_PROGRAMS).size, ALL_PROGRAMS.length);
});

await test('a compiler gets an eighth of the free memory, within bounds', () => {
  const gib = 1024 ** 3;
  assert.equal(compilerMemory(64 * gib).GOMEMLIMIT, '3072MiB');
  assert.equal(compilerMemory(8 * gib).GOMEMLIMIT, '1024MiB');
  assert.equal(compilerMemory(gib).GOMEMLIMIT, '512MiB');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheDir, clusterPaths } from './paths.ts';

await test('the cache follows XDG_CACHE_HOME', () => {
  assert.equal(cacheDir({ XDG_CACHE_HOME: '/x' }), '/x/bss-platform');
  assert.match(cacheDir({ XDG_CACHE_HOME: '' }), /\/\.cache\/bss-platform$/);
});

await test('names that are no host names are refused', () => {
  for (const name of ['', 'Big', '1st', 'end-', 'a/b', '..', 'a'.repeat(21)])
    assert.throws(() => clusterPaths(name), /cannot be a cluster's name/, name);
  for (const name of ['a', 'bss', 'test-2', 'a'.repeat(20)]) assert.equal(clusterPaths(name).name, name);
});

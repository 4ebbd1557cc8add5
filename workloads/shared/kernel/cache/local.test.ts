import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frozen, LocalCache } from './local.ts';
import type { Entry } from './local.ts';

const entry = (tags: string[], bytes = 100): Entry => ({
  cache: 'orders',
  tags,
  value: tags[0],
  bytes,
  loadedAt: 0,
  expiresAt: 1,
  loadMs: 1,
  due: false,
});

/** Loads an entry with its key and further tags. */
function put(cache: LocalCache, key: string, tags: string[] = [], bytes = 100): void {
  cache.end(cache.begin(key, [key, ...tags], 0), entry([key, ...tags], bytes));
}

const keys = (cache: LocalCache): string[] => [...cache].map(([key]) => key).toSorted();

await test('an invalidation removes the entries that have one of its names as a tag, and the keys that match its patterns', () => {
  const cache = new LocalCache(1e6);
  put(cache, 'order:1', ['orders', 'customer:7']);
  put(cache, 'order:2', ['orders']);
  put(cache, 'customer:7', []);
  put(cache, 'orders:list:x', ['orders:lists']);
  assert.equal(cache.invalidate({ names: ['customer:7'], patterns: [] }), 2);
  assert.deepEqual(keys(cache), ['order:2', 'orders:list:x']);
  assert.equal(cache.invalidate({ names: ['nothing'], patterns: ['orders:*'] }), 1);
  assert.deepEqual(keys(cache), ['order:2']);
  cache.clear();
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
});

for (const [what, invalidate] of [
  ['by a tag', (cache: LocalCache) => void cache.invalidate({ names: ['customer:7'], patterns: [] })],
  ['by a pattern', (cache: LocalCache) => void cache.invalidate({ names: [], patterns: ['order:*'] })],
  ['of everything', (cache: LocalCache) => cache.clear()],
] as const)
  await test(`a value whose load began before an invalidation ${what} is not stored after it, and nobody joins its load`, () => {
    const cache = new LocalCache(1e6);
    const tags = ['order:1', 'customer:7'];
    const flight = cache.begin('order:1', tags, 5);
    assert.equal(cache.joinable('order:1', 5), flight);
    assert.equal(cache.joinable('order:1', 6), undefined, 'it began too long ago');
    invalidate(cache);
    assert.equal(cache.joinable('order:1', 0), undefined);
    const second = cache.begin('order:1', tags, 9);
    cache.end(flight, entry(tags));
    assert.equal(cache.get('order:1'), undefined);
    assert.equal(cache.joinable('order:1', 0), second, 'the end of the first load leaves the second one');
    cache.end(second, entry(tags));
    assert.ok(cache.get('order:1'));
  });

await test('the size is bounded in bytes: the least recently used entries go, and their tags with them', () => {
  const cache = new LocalCache(10_000);
  for (let n = 0; n < 20; n += 1) put(cache, `order:${n}`, ['orders'], 1_000);
  assert.ok(cache.bytes <= 10_000 && cache.size > 0 && cache.size < 20);
  assert.equal(cache.get('order:0'), undefined);
  put(cache, 'order:big', ['orders'], 20_000);
  assert.equal(cache.get('order:big'), undefined, 'an entry larger than the cache is not kept');
  const { size } = cache;
  assert.equal(cache.invalidate({ names: ['orders'], patterns: [] }), size);
});

await test('values are frozen in depth', () => {
  const value = frozen({ items: [{ id: '1' }] });
  assert.throws(() => value.items.push({ id: '2' }), TypeError);
  assert.throws(() => {
    const [first] = value.items;
    if (first) first.id = '2';
  }, TypeError);
});

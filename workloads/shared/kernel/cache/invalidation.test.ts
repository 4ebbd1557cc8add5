import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Dependencies, merged } from './invalidation.ts';

await test('dependencies are followed through others, also in a circle', () => {
  const dependencies = new Dependencies();
  dependencies.register('order:1', 'customer:1');
  dependencies.register('customer:1', 'segment:a');
  dependencies.register('segment:a', 'order:1');
  assert.deepEqual(dependencies.closure('order:1'), ['customer:1', 'segment:a']);
  assert.deepEqual(dependencies.closure('order:2'), []);
});

await test('at the limit the oldest dependencies are forgotten, and named', () => {
  const dependencies = new Dependencies(2);
  assert.equal(dependencies.register('a', 'x'), undefined);
  assert.equal(dependencies.register('b', 'x'), undefined);
  assert.equal(dependencies.register('c', 'x'), 'a');
  assert.deepEqual(dependencies.closure('a'), []);
});

await test('merged invalidations have each name and pattern once', () => {
  const merge = merged([
    { names: ['a', 'b'], patterns: ['p*'] },
    { names: ['b'], patterns: ['p*', 'q*'] },
  ]);
  assert.deepEqual(merge, { names: ['a', 'b'], patterns: ['p*', 'q*'] });
});

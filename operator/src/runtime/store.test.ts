import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KubernetesObject } from '../objects/object.ts';
import { keyOf, parseKey } from '../objects/object.ts';
import { Store } from './store.ts';

function object(name: string, resourceVersion: string, owner = 'x'): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'ns', name, resourceVersion, labels: { owner } } };
}

const byOwner = { owner: ({ metadata }: KubernetesObject) => [metadata.labels?.['owner'] ?? ''] };

describe('store', () => {
  test('returns the change of each put', () => {
    const store = new Store();
    assert.equal(store.put(object('a', '1'))?.type, 'added');
    assert.equal(store.put(object('a', '1')), undefined, 'the same version is no change');
    const change = store.put(object('a', '2'));
    assert.deepEqual([change?.type, change?.key, change?.old?.metadata.resourceVersion], ['modified', 'ns/a', '1']);
    assert.equal(store.remove(object('a', '3'))?.type, 'deleted');
    assert.equal(store.remove(object('a', '3')), undefined);
    assert.equal(store.size, 0);
  });

  test('updates its indexes', () => {
    const store = new Store(byOwner);
    store.put(object('a', '1', 'x'));
    store.put(object('b', '2', 'x'));
    const names = (owner: string) => store.byIndex('owner', owner).map(({ metadata }) => metadata.name);
    assert.deepEqual(names('x'), ['a', 'b']);
    store.put(object('a', '3', 'y'));
    assert.deepEqual([names('x'), names('y')], [['b'], ['a']]);
    store.remove(object('a', '3', 'y'));
    assert.deepEqual(names('y'), []);
    assert.throws(() => store.byIndex('colour', 'red'), /no index "colour"/);
  });

  test('replaces its content by a list, and returns the changes', () => {
    const store = new Store(byOwner);
    assert.equal(store.synced, false);
    store.replace([object('gone', '1'), object('same', '2'), object('new-version', '3')]);
    assert.equal(store.synced, true);
    const changes = store.replace([object('same', '2'), object('new-version', '4', 'y'), object('new', '5')]);
    assert.deepEqual(
      changes.map(({ type, key }) => `${type} ${key}`),
      ['deleted ns/gone', 'modified ns/new-version', 'added ns/new'],
    );
    assert.deepEqual(store.byIndex('owner', 'y').length, 1);
    assert.deepEqual([...store.keys()].toSorted(), ['ns/new', 'ns/new-version', 'ns/same']);
  });

  test('converts keys and names', () => {
    for (const place of [{ namespace: 'a', name: 'b' }, { name: 'b' }]) assert.deepEqual(parseKey(keyOf(place)), place);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FieldSet, KubernetesObject } from '../objects/object.ts';
import { ownsAll, withoutForeignManagers } from './managed-fields.ts';

function object(spec: unknown, metadata: object = {}): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x', namespace: 'ns', ...metadata }, spec };
}

const rows: Record<string, { spec: unknown; owned: FieldSet; expected: boolean }> = {
  'a plain field': { spec: { a: 1 }, owned: { 'f:a': {} }, expected: true },
  'a field that another took': { spec: { a: 1, b: 2 }, owned: { 'f:a': {} }, expected: false },
  'a nested field': { spec: { a: { b: 1 } }, owned: { 'f:a': { 'f:b': {} } }, expected: true },
  'a nested field that another took': { spec: { a: { b: 1, c: 1 } }, owned: { 'f:a': { 'f:b': {} } }, expected: false },
  'an atomic object': { spec: { selector: { app: 'x' } }, owned: { 'f:selector': {} }, expected: true },
  'an atomic list': { spec: { args: ['a', 'b'] }, owned: { 'f:args': {} }, expected: true },
  'a list by key': {
    spec: { env: [{ name: 'A', value: '1' }] },
    owned: { 'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } } },
    expected: true,
  },
  'an element of a list by key that is gone': {
    spec: { env: [{ name: 'A' }, { name: 'B' }] },
    owned: { 'f:env': { 'k:{"name":"A"}': { 'f:name': {} } } },
    expected: false,
  },
  'a value in an element that another took': {
    spec: { env: [{ name: 'A', value: '1' }] },
    owned: { 'f:env': { 'k:{"name":"A"}': { 'f:name': {} } } },
    expected: false,
  },
  'a key filled in by a default': {
    spec: { ports: [{ port: 80 }] },
    owned: { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { 'f:port': {} } } },
    expected: true,
  },
  'a key with another number': {
    spec: { ports: [{ port: 81 }] },
    owned: { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { 'f:port': {} } } },
    expected: false,
  },
  'a set': { spec: { finalizers: ['a'] }, owned: { 'f:finalizers': { 'v:"a"': {} } }, expected: true },
  'a value that is not in a set': { spec: { finalizers: ['a', 'b'] }, owned: { 'f:finalizers': { 'v:"a"': {} } }, expected: false },
  'an empty list, which is not stored': { spec: { from: [] }, owned: {}, expected: true },
  'an empty object, which need not be stored': { spec: { emptyDir: {} }, owned: {}, expected: true },
};

describe('field ownership', () => {
  for (const [reason, { spec, owned, expected }] of Object.entries(rows)) {
    test(reason, () => assert.equal(ownsAll(object(spec), { 'f:spec': owned }), expected));
  }

  test('compares labels, but not the identity', () => {
    const labelled = object({}, { labels: { a: '1' } });
    assert.equal(ownsAll(labelled, { 'f:metadata': { 'f:labels': { 'f:a': {} } } }), true);
    assert.equal(ownsAll(labelled, { 'f:metadata': { 'f:labels': {}, 'f:annotations': {} } }), true, 'labels owned as a whole');
    assert.equal(ownsAll(labelled, {}), false);
    assert.equal(ownsAll(object({}), {}), true);
  });

  test('keeps only the own entry of managedFields in a cache', () => {
    const managedFields = [
      { manager: 'bss-operator', operation: 'Apply' as const, fieldsV1: { 'f:spec': {} } },
      { manager: 'bss-operator', operation: 'Update' as const, subresource: 'scale' },
      { manager: 'kube-controller-manager', operation: 'Update' as const },
    ];
    const kept = withoutForeignManagers('bss-operator')(object({}, { managedFields }));
    assert.deepEqual(kept.metadata.managedFields, [managedFields[0]]);
  });
});

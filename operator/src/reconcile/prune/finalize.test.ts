import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../../runtime/index.ts';
import { deletionSteps, ownedBy, storesOf } from './finalize.ts';

const labels = { 'app.kubernetes.io/managed-by': 'bss-operator', 'app.kubernetes.io/instance': 'a' };
const owner = { apiVersion: 'bss-platform.io/v1alpha1', kind: 'BssPlatform', name: 'a', uid: 'now', controller: true };
const platform = { metadata: { name: 'a', namespace: 'n', uid: 'now' } };

function object(kind: string, component: string, owned = true): KubernetesObject {
  const metadata = { name: `a-${component}`, namespace: 'n', labels: { ...labels, 'app.kubernetes.io/component': component } };
  return {
    apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1',
    kind,
    metadata: owned ? { ...metadata, ownerReferences: [owner] } : metadata,
  };
}

const names = (objects: KubernetesObject[]) => objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);

void test('deletes consumers before the pooler that they drain through', () => {
  const stores = storesOf({ name: 'a', namespace: 'n', spec: {} });
  const objects = [
    object('Deployment', 'interest'),
    object('Deployment', 'pgbouncer'),
    object('StatefulSet', 'kafka'),
    object('Job', 'migrate'),
  ];
  const { first, rest } = deletionSteps(objects, stores);
  assert.deepEqual(names(first), ['Deployment a-interest', 'Job a-migrate']);
  assert.deepEqual(names(rest), ['Deployment a-pgbouncer', 'StatefulSet a-kafka']);
});

void test('has no stores to name when the spec is invalid', () => {
  assert.deepEqual([...storesOf({ name: 'a', namespace: 'n', spec: { version: 1 } })], []);
});

void test('deletes objects without an owner only if the inventory lists them', () => {
  const objects = [
    object('ConfigMap', 'gateway'),
    object('PersistentVolumeClaim', 'kafka', false),
    object('ConfigMap', 'copied', false),
    object('Secret', 'credentials', false),
  ];
  const inventory = [{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: 'a-kafka' }];
  const owned = ownedBy({ ...platform, status: { inventory } }, objects);
  assert.deepEqual(names(owned), ['ConfigMap a-gateway', 'PersistentVolumeClaim a-kafka', 'Secret a-credentials']);
});

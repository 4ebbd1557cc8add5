import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../../runtime/index.ts';
import { sortedInventory, undesired } from './inventory.ts';
import { ownershipOf, platformKeysOf, withoutFormerSelf, type Ownership } from './ownership.ts';
import type { PodObject } from '../health/pods.ts';
import { stuckPods } from '../apply/unstick.ts';

const platform = { metadata: { name: 'a', namespace: 'n', uid: 'now' } };
const labels = { 'app.kubernetes.io/managed-by': 'bss-operator', 'app.kubernetes.io/instance': 'a' };
const self = (uid: string, name = 'a') => ({ apiVersion: 'bss-platform.io/v1alpha1', kind: 'BssPlatform', name, uid, controller: true });
const stranger = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a', uid: 'x', controller: true };

function object(metadata: Partial<KubernetesObject['metadata']>): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a-kafka', namespace: 'n', ...metadata } };
}

const rows: { name: string; object: KubernetesObject; ownership: Ownership }[] = [
  { name: 'our controller reference', object: object({ ownerReferences: [self('now')] }), ownership: 'ours' },
  { name: 'our labels alone', object: object({ labels }), ownership: 'adoptable' },
  { name: 'a former platform of the same name', object: object({ ownerReferences: [self('before')] }), ownership: 'adoptable' },
  { name: 'another platform', object: object({ labels, ownerReferences: [self('other', 'b')] }), ownership: 'foreign' },
  { name: 'another controller, under our labels', object: object({ labels, ownerReferences: [stranger] }), ownership: 'foreign' },
  { name: 'nothing at all', object: object({}), ownership: 'foreign' },
  { name: "another platform's labels", object: object({ labels: { ...labels, 'app.kubernetes.io/instance': 'b' } }), ownership: 'foreign' },
];

for (const row of rows) void test(`ownership: ${row.name}`, () => assert.equal(ownershipOf(platform, row.object), row.ownership));

void test('removes references to a former platform and keeps all others', () => {
  const keep = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'y' };
  assert.deepEqual(withoutFormerSelf(platform, object({ ownerReferences: [self('before'), keep] })), [keep]);
  assert.equal(withoutFormerSelf(platform, object({ ownerReferences: [self('now'), keep] })), undefined);
});

void test('maps an object to the platform that controls it and the one of its labels', () => {
  assert.deepEqual(platformKeysOf(object({ labels: { 'app.kubernetes.io/instance': 'b' }, ownerReferences: [self('now')] })), [
    'n/a',
    'n/b',
  ]);
  assert.deepEqual(platformKeysOf(object({ labels })), ['n/a']);
  assert.deepEqual(platformKeysOf(object({})), []);
});

void test('prunes in two steps, in a fixed order', () => {
  const entry = (kind: string, name: string) => ({ apiVersion: 'v1', kind, name });
  const made = [entry('Service', 'b'), entry('Job', 'old'), entry('Service', 'a'), entry('Service', 'a'), entry('Secret', 'kept')];
  const { first, last } = undesired(made, [entry('Secret', 'kept')]);
  assert.deepEqual(first, [entry('Job', 'old')]);
  assert.deepEqual(last, [entry('Service', 'a'), entry('Service', 'b')]);
});

void test('keeps an object whose builder moved to another version of its group', () => {
  const budget = (apiVersion: string) => ({ apiVersion, kind: 'PodDisruptionBudget', name: 'a-gateway' });
  assert.deepEqual(undesired([budget('policy/v1beta1')], [budget('policy/v1')]), { first: [], last: [] });
  assert.deepEqual(sortedInventory([budget('policy/v1beta1'), budget('policy/v1')]), [budget('policy/v1')]);
  const ingress = (apiVersion: string) => ({ apiVersion, kind: 'Ingress', name: 'a-gateway' });
  assert.deepEqual(undesired([ingress('extensions/v1beta1')], [ingress('networking.k8s.io/v1')]).first, [ingress('extensions/v1beta1')]);
});

void test('finds stuck pods: not ready, and of a former revision', () => {
  const live = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'a-kafka', generation: 2 },
    status: { updateRevision: 'a-kafka-2', observedGeneration: 2 },
  };
  const pod = (name: string, revision: string, ready: boolean): PodObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'controller-revision-hash': revision } },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  });
  const pods = [
    pod('bad', 'a-kafka-1', false),
    pod('old', 'a-kafka-1', true),
    pod('new', 'a-kafka-2', false),
    pod('other', 'a-redis-1', false),
  ];
  assert.deepEqual(
    stuckPods(live, pods).map(({ metadata }) => metadata.name),
    ['bad'],
  );
  const unseen = { ...live, metadata: { ...live.metadata, generation: 3 } };
  assert.deepEqual(stuckPods(unseen, pods), []);
});

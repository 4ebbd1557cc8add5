import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError, type KubernetesObject, type ObjectReference } from '../../runtime/index.ts';
import type { Pass } from '../pass.ts';
import { applyComponent, isJobToRetry, remedyFor } from './apply.ts';

const manifest = (name: string): KubernetesObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'n' } });

/** A pass whose client fails for `broken` and waits for `gate` for all other objects. */
function passWith(gate: Promise<void>, finished: string[]): Pass {
  const find = async ({ name }: ObjectReference) => {
    if (name === 'broken') throw new KubeError('no response', { reason: 'Timeout', status: 0 });
    await gate;
    return undefined;
  };
  const applyIfChanged = async (object: KubernetesObject) => {
    finished.push(object.metadata.name);
    return { object, before: undefined, action: 'created', conflicts: [] };
  };
  const parts = { platform: { metadata: { name: 'a', namespace: 'n', uid: 'now' } }, cache: { get: () => undefined }, client: { find } };
  return { ...parts, applier: { applyIfChanged }, guard: { mayCorrect: () => true }, publish: () => undefined } as unknown as Pass;
}

void test('leaves no request in flight when a manifest fails', async () => {
  const gate = Promise.withResolvers<void>();
  const finished: string[] = [];
  let over = false;
  const component = { name: 'c', stage: 'stores' as const, health: [], manifests: [manifest('broken'), manifest('slow')] };
  const applied = applyComponent(passWith(gate.promise, finished), component, { hold: false });
  const outcome = applied.catch((error: Error) => error.message).finally(() => (over = true));
  await new Promise(setImmediate);
  assert.equal(over, false);
  gate.resolve();
  assert.equal(await outcome, 'no response');
  assert.deepEqual(finished, ['slow']);
});

void test('retries a Job a minute after it has failed, and no other', () => {
  const now = Date.parse('2026-01-01T00:10:00Z');
  const job = (...conditions: object[]): KubernetesObject => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    status: { conditions },
  });
  const failed = (at: string, status = 'True') => ({ type: 'Failed', status, lastTransitionTime: at });
  assert.equal(isJobToRetry(job(failed('2026-01-01T00:09:00Z')), now), true);
  assert.equal(isJobToRetry(job(failed('2026-01-01T00:09:01Z')), now), false, 'too early');
  assert.equal(isJobToRetry(job(failed('2026-01-01T00:00:00Z', 'False')), now), false);
  assert.equal(isJobToRetry(job({ type: 'Complete', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }), now), false);
  assert.equal(isJobToRetry(job(), now), false);
  assert.equal(isJobToRetry({ ...job(failed('2026-01-01T00:00:00Z')), kind: 'Deployment' }, now), false);
});

const IMMUTABLE = 'Service "a" is invalid: spec.clusterIP: Invalid value: "": field is immutable';
const REMEDIES: Record<string, { reason: string; message?: string; kind: string; succeeded?: number; remedy: string }> = {
  'a Service with an immutable field': { reason: 'Invalid', kind: 'Service', remedy: 'replace' },
  'a StatefulSet whose update is forbidden': {
    reason: 'Invalid',
    message: 'Forbidden: updates to statefulset spec for fields other than replicas are forbidden',
    kind: 'StatefulSet',
    remedy: 'replace',
  },
  'a volume, which holds data': { reason: 'Invalid', kind: 'PersistentVolumeClaim', remedy: 'none' },
  'a Secret, whose passwords the data needs': { reason: 'Invalid', kind: 'Secret', remedy: 'none' },
  'a Job that has succeeded': { reason: 'Invalid', kind: 'Job', succeeded: 1, remedy: 'leave' },
  'a Job that has not succeeded': { reason: 'Invalid', kind: 'Job', succeeded: 0, remedy: 'replace' },
  'a value that is not valid': { reason: 'Invalid', message: 'spec.replicas: must be at least 0', kind: 'Deployment', remedy: 'none' },
  'a conflict': { reason: 'Conflict', kind: 'Service', remedy: 'none' },
};

for (const [name, { reason, message = IMMUTABLE, kind, succeeded, remedy }] of Object.entries(REMEDIES)) {
  void test(`after a rejected change of ${name}: ${remedy}`, () => {
    const error = new KubeError(message, { reason, status: 422 });
    const live = { ...manifest('a'), kind, status: { succeeded } };
    assert.equal(remedyFor(error, { ...manifest('a'), kind }, live), remedy);
  });
}

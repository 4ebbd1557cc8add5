import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError, type KubernetesObject, type ObjectReference } from '../../runtime/index.ts';
import type { Pass } from '../pass.ts';
import { applyComponent } from './apply.ts';

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

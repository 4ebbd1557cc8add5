import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeError } from '../../runtime/index.ts';
import { enlargement, unexpandable, withoutShrinking } from './volumes.ts';

const claim = (storage: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'a-kafka-data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
});

const ROWS: Record<string, { desired: string; live?: string; size: string; reported: boolean }> = {
  'a new claim': { desired: '5Gi', size: '5Gi', reported: false },
  'the same size in another unit': { desired: '5Gi', live: '5120Mi', size: '5Gi', reported: false },
  'growth by the spec': { desired: '8Gi', live: '5Gi', size: '8Gi', reported: false },
  'an enlarged claim': { desired: '5Gi', live: '8Gi', size: '8Gi', reported: true },
};
for (const [name, { desired, live, size, reported }] of Object.entries(ROWS)) {
  await test(`size of a claim: ${name}`, () => {
    const present = live === undefined ? undefined : claim(live);
    assert.deepEqual(withoutShrinking(claim(desired), present), claim(size));
    assert.equal(enlargement(claim(desired), present) !== undefined, reported);
  });
}

await test('objects of other kinds are returned as they are', () => {
  const object = { ...claim('5Gi'), kind: 'ConfigMap' };
  assert.equal(withoutShrinking(object, claim('8Gi')), object);
});

await test('a refused growth is reported, any other refusal is not', () => {
  const refused = (message: string) => new KubeError(message, { status: 403, reason: 'Forbidden' });
  const resize = refused(
    'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
  );
  assert.match(
    unexpandable(claim('8Gi'), claim('5Gi'), resize) ?? '',
    /^PersistentVolumeClaim a-kafka-data: it cannot grow from 5Gi to 8Gi: /,
  );
  assert.equal(unexpandable(claim('5Gi'), claim('5Gi'), resize), undefined);
  assert.equal(unexpandable(claim('8Gi'), claim('5Gi'), refused('exceeded quota: storage')), undefined);
  assert.equal(unexpandable(claim('8Gi'), undefined, resize), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReleased, volumeFor, wantsVolume, type Claim, type Volume } from './provisioner.ts';

const claim = (storageClassName: string, volumeName?: string): Claim => ({
  metadata: { name: 'data', namespace: 'lab', uid: '1-2-3' },
  spec: {
    storageClassName,
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    ...(volumeName === undefined ? {} : { volumeName }),
  },
});

await test('a claim of the default class without a volume wants one', () => {
  assert.equal(wantsVolume(claim('standard')), true);
  assert.equal(wantsVolume(claim('standard', 'pvc-1')), false, 'bound already');
  assert.equal(wantsVolume(claim('fast')), false, 'the class of another provisioner');
});

const volume = (phase: string, by: string): Volume => ({
  metadata: { name: 'v', annotations: { 'pv.kubernetes.io/provisioned-by': by } },
  spec: {},
  status: { phase },
});

await test('only a released volume of ours is removed', () => {
  assert.equal(isReleased(volume('Released', 'bss-platform.io/local')), true);
  assert.equal(isReleased(volume('Bound', 'bss-platform.io/local')), false);
  assert.equal(isReleased(volume('Released', 'example.com/other')), false);
});

await test('a volume is bound to its claim and its node', () => {
  const text = JSON.stringify(volumeFor(claim('standard'), '/volumes/pvc-1-2-3', 'one-node'));
  assert.match(text, /"name":"pvc-1-2-3"/);
  assert.match(text, /"claimRef":\{[^}]*"uid":"1-2-3"/);
  assert.match(text, /"values":\["one-node"\]/);
});

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from './clock.ts';
import { loadKubeConfig } from './kubeconfig.ts';

const KUBECONFIG = `
apiVersion: v1
kind: Config
current-context: one
clusters:
  - { name: here, cluster: { server: 'https://here:6443' } }
  - { name: there, cluster: { server: 'https://there:6443' } }
users:
  - { name: me, user: { token: x } }
contexts:
  - { name: one, context: { cluster: here, user: me } }
  - { name: two, context: { cluster: there, user: me } }
  - { name: astray, context: { cluster: nowhere, user: me } }
`;

describe('kubeconfig', () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bss-kubeconfig-'));
    path = join(folder, 'config');
    await writeFile(path, KUBECONFIG);
  });
  after(() => rm(folder, { recursive: true }));

  test('uses the current context, or the given one', () => {
    assert.equal(loadKubeConfig({ path }).getCurrentCluster()?.server, 'https://here:6443');
    assert.equal(loadKubeConfig({ path, context: 'two' }).getCurrentCluster()?.server, 'https://there:6443');
  });

  test('lists the contexts when the given one does not exist', () => {
    assert.throws(() => loadKubeConfig({ path, context: 'three' }), /no context "three"; it has: one, two, astray/);
  });

  test('rejects a context without a cluster', () => {
    assert.throws(() => loadKubeConfig({ path, context: 'astray' }), /"astray" names no cluster/);
  });
});

describe('system clock', () => {
  test('never goes backwards and keeps pace with the wall clock', () => {
    const outer = Date.now();
    const start = systemClock.monotonic();
    const inner = Date.now();
    let last = start;
    while (Date.now() < inner + 100) {
      const now = systemClock.monotonic();
      assert.ok(now >= last, `${now} after ${last}`);
      last = now;
    }
    const innerMs = Date.now() - inner;
    const passed = systemClock.monotonic() - start;
    const outerMs = Date.now() - outer;
    // The process may be paused between any two readings: the inner interval lies within the measured one, and that within the outer one.
    assert.ok(passed >= innerMs - 5 && passed <= outerMs + 5, `${passed} ms passed; by the wall clock ${innerMs} to ${outerMs}`);
  });
});

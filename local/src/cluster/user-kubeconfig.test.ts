import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { merged, mergeInto, removeFrom, userKubeconfig, without } from './user-kubeconfig.ts';

const entries = (name: string, server: string) => ({
  clusters: [{ name, cluster: { server } }],
  users: [{ name, user: { token: name } }],
  contexts: [{ name, context: { cluster: name, user: name } }],
});
const OWN = {
  apiVersion: 'v1',
  kind: 'Config',
  ...entries('prod', 'https://prod'),
  'current-context': 'prod',
  preferences: { colors: true },
};
const LOCAL = {
  apiVersion: 'v1',
  kind: 'Config',
  ...entries('bss-platform-bss', 'https://127.0.0.1:1'),
  'current-context': 'bss-platform-bss',
};

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'bss-kubeconfig-'))));
after(() => rm(folder, { recursive: true }));

test("merging adds the cluster, and keeps the user's entries, other fields and current context", () => {
  const both = merged(OWN, LOCAL);
  assert.deepEqual(both.contexts, [...OWN.contexts, ...LOCAL.contexts]);
  assert.deepEqual(both.users, [...OWN.users, ...LOCAL.users]);
  assert.equal(both['current-context'], 'prod');
  assert.deepEqual(both['preferences'], { colors: true });
});

test('merging again replaces the entries of an earlier cluster of that name', () => {
  const again = merged(merged(OWN, LOCAL), { ...LOCAL, ...entries('bss-platform-bss', 'https://127.0.0.1:2') });
  assert.deepEqual(again.clusters, [...OWN.clusters, { name: 'bss-platform-bss', cluster: { server: 'https://127.0.0.1:2' } }]);
});

test('removing takes exactly the merged entries away', () => {
  assert.deepEqual(without(merged(OWN, LOCAL), 'bss-platform-bss'), OWN);
  assert.equal(without(merged({}, LOCAL), 'bss-platform-bss')['current-context'], '');
});

test('writes the file of the user, with its permissions, and leaves a file without the cluster as it is', async () => {
  const file = join(folder, 'fresh', 'config');
  await mergeInto(file, JSON.stringify(LOCAL));
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((parse(await readFile(file, 'utf8')) as typeof LOCAL)['current-context'], 'bss-platform-bss');
  const own = join(folder, 'own');
  const text = '# mine\napiVersion: v1\nkind: Config\n';
  await writeFile(own, text);
  await removeFrom(own, 'bss-platform-bss');
  assert.equal(await readFile(own, 'utf8'), text);
  await removeFrom(join(folder, 'absent'), 'bss-platform-bss');
});

test('rejects a file that is not a kubeconfig, and leaves it as it is', async () => {
  const file = join(folder, 'list');
  await writeFile(file, '- a\n');
  await assert.rejects(mergeInto(file, JSON.stringify(LOCAL)), /is not a kubeconfig/);
  assert.equal(await readFile(file, 'utf8'), '- a\n');
});

test('takes the file that kubectl writes', () => {
  assert.equal(userKubeconfig({ KUBECONFIG: ':/a:/b', HOME: '/h' }), '/a');
  assert.equal(userKubeconfig({ HOME: '/h' }), '/h/.kube/config');
});

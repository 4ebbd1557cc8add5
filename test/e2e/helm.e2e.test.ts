/** `helm test` of both charts inside a real cluster, where their pods reach the API server, the operator and the gateway as any other pod does. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Environment, MINUTE, NAMESPACE, OPERATOR_NAMESPACE, PLATFORM } from './environment.ts';

const CHART = fileURLToPath(new URL('../../charts/bss-platform', import.meta.url));
let env: Environment;

before(
  async () => {
    env = await Environment.start();
  },
  { timeout: 20 * MINUTE },
);

after(() => env?.end(), { timeout: 2 * MINUTE });

const helmTest = (release: string, namespace: string) =>
  env.target.helm(['test', release, '--namespace', namespace, '--logs', '--timeout', '180s']);

test('the operator passes its own test', { timeout: 5 * MINUTE }, async () => {
  const log = await helmTest('bss-operator', OPERATOR_NAMESPACE);
  for (const line of [
    /ok: the API server accepts a BssPlatform and sets the defaults of this version/,
    /ok: bss-operator-\S+ leads/,
    /ok: bss-operator-\S+ serves \/livez, \/readyz and \/metrics/,
  ])
    assert.match(log, line);
});

test('a platform that helm takes over stays as it is, and passes its test', { timeout: 5 * MINUTE }, async () => {
  const reference = ['get', 'bss', PLATFORM, '-n', NAMESPACE];
  const earlier = await env.kubectl.json<{ metadata: { generation: number }; spec: object }>(reference);
  const folder = await mkdtemp(join(tmpdir(), 'helm-'));
  try {
    const values = join(folder, 'values.json');
    await writeFile(values, JSON.stringify({ spec: earlier.spec }));
    await env.target.helm(['install', PLATFORM, CHART, '--namespace', NAMESPACE, '--take-ownership', '--values', values]);
    const log = await helmTest(PLATFORM, NAMESPACE);
    assert.match(log, /ok: BssPlatform demo is ready: every component is healthy/);
    assert.match(log, /ok: the gateway answers at http:\/\/demo-gateway\.bss\.svc:8080/);
    const later = await env.kubectl.json<{ metadata: { generation: number } }>(reference);
    assert.equal(later.metadata.generation, earlier.metadata.generation, 'the spec is not changed');
  } finally {
    await rm(folder, { recursive: true });
    // helm's record of the release is removed; the platform stays for the other test files.
    await env.kubectl.run(['delete', 'secret', '-n', NAMESPACE, '-l', `owner=helm,name=${PLATFORM}`]);
    await env.kubectl.run(['delete', 'pod', '-n', NAMESPACE, `${PLATFORM}-test`, '--ignore-not-found']);
  }
});

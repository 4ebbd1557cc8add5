/**
 * From the first charts and their definition to the present ones, on a real API server: `helm upgrade` by itself, the upgrade of the definition that
 * helm leaves to the administrator, and what was stored before. The old charts lie in testdata/first.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { OperatorProcess } from '../reconcile/testing/operator-process.ts';
import { KubeClient, loadKubeConfig, Metrics, type KubernetesObject } from '../runtime/index.ts';
import { until, untilEstablished } from '../runtime/testing/harness.ts';
import { API_VERSION, FINALIZER, KIND } from './names.ts';
import { parseSpec } from '../platform/spec.ts';

const run = promisify(execFile);
const CHARTS = fileURLToPath(new URL('../../../charts', import.meta.url));
const FIRST = fileURLToPath(new URL('testdata/first', import.meta.url));
const PLATFORM = { apiVersion: API_VERSION, kind: KIND };
const DEFINITION = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name: 'bssplatforms.bss-platform.io' };
const LIMIT_MS = 120_000;

let programs: Record<'helm' | 'kubectl', string>;
let server: ApiServer;
let client: KubeClient;
let folder: string;
/** Everything that the old definition stored, by name. */
const stored = new Map<string, PlatformObject>();

const helm = async (...args: string[]) => (await run(programs.helm, [...args, '--kubeconfig', server.kubeconfigPath])).stdout;
const kubectl = async (...args: string[]) => (await run(programs.kubectl, [...args, '--kubeconfig', server.kubeconfigPath])).stdout;

before(
  async () => {
    [programs, server] = await Promise.all([ensurePrograms(['helm', 'kubectl']), startApiServer({ own: true })]);
    folder = await mkdtemp(join(tmpdir(), 'upgrade-'));
    client = new KubeClient({ config: loadKubeConfig({ path: server.kubeconfigPath }), metrics: new Metrics() });
    for (const name of ['bss-system', 'bss']) await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    await helm('install', 'bss-operator', `${FIRST}/bss-operator.tgz`, '--namespace', 'bss-system');
    await untilEstablished(() => kubectl('wait', '--for=condition=Established', `crd/${DEFINITION.name}`, '--timeout=30s'));
    await kubectl('apply', '--validate=strict', '-f', `${FIRST}/platforms.yaml`);
    const values = ['--set', 'spec.profile=production', '--set', 'spec.workloads.gateway.replicas=3'];
    await helm('install', 'shop', `${FIRST}/bss-platform.tgz`, '--namespace', 'bss', ...values);
    const { items } = await client.list<PlatformObject>(PLATFORM, { namespace: 'bss' });
    for (const item of items) stored.set(item.metadata.name, item);
    assert.equal(stored.size, 8);
  },
  { timeout: 900_000 },
);

after(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

/** True when the served definition knows the route of the gateway, which the first one did not. */
async function isNew(): Promise<boolean> {
  return JSON.stringify(await client.get(DEFINITION)).includes('HTTPRoute of the Gateway API');
}

interface Deployment extends KubernetesObject {
  spec: { template: { spec: { containers: { terminationMessagePolicy: string }[] } } };
}

void test('helm upgrade renews the operator, and leaves the definition as it was', async () => {
  const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'bss-operator', namespace: 'bss-system' };
  const earlier = await client.get(reference);
  await helm('upgrade', 'bss-operator', `${CHARTS}/bss-operator`, '--namespace', 'bss-system');
  const later = await client.get<Deployment>(reference);
  assert.equal(later.metadata.uid, earlier.metadata.uid, 'changed in place: selectors cannot change');
  assert.equal(later.spec.template.spec.containers[0]?.terminationMessagePolicy, 'FallbackToLogsOnError');
  assert.equal(await isNew(), false, 'the reason for the next step');
});

void test('the documented command upgrades the definition in place', async () => {
  const { uid } = (await client.get(DEFINITION)).metadata;
  const file = join(folder, 'crds.yaml');
  await writeFile(file, (await run(programs.helm, ['show', 'crds', `${CHARTS}/bss-operator`])).stdout);
  await kubectl('apply', '--server-side', '--force-conflicts', '-f', file);
  await until('the new definition', LIMIT_MS, isNew);
  const { metadata, spec } = (await client.get(DEFINITION)) as KubernetesObject & {
    spec: { versions: { name: string; storage: boolean }[] };
  };
  assert.equal(metadata.uid, uid, 'deleting it would delete every platform');
  assert.deepEqual(
    spec.versions.map(({ name, storage }) => [name, storage]),
    [['v1alpha1', true]],
    'what is stored needs no conversion',
  );
});

void test('what was stored before is there, means the same, and can be written again', async () => {
  for (const [name, former] of stored) {
    const now = await client.get<PlatformObject>({ ...PLATFORM, name, namespace: 'bss' });
    assert.equal(now.metadata.uid, former.metadata.uid);
    assertKept(former.spec, now.spec, `${name}.spec`);
    const parsed = parseSpec(former.spec);
    assert.ok(parsed.ok, `${name}: ${JSON.stringify(parsed)}`);
    // A whole write meets every rule of the new definition, because no field counts as unchanged in a replace.
    const file = join(folder, `${name}.yaml`);
    await writeFile(
      file,
      stringify({ ...PLATFORM, metadata: { name: `again-${name}`.slice(0, 40), namespace: 'bss' }, spec: former.spec }),
    );
    await kubectl('create', '--validate=strict', '--dry-run=server', '-f', file);
    await client.replace({ ...now, metadata: { ...now.metadata, labels: { ...now.metadata.labels, looked: 'at' } } });
  }
});

/** Every field is still there with its value; new ones may have joined it by defaults. */
function assertKept(former: unknown, now: unknown, path: string): void {
  if (typeof former !== 'object' || former === null || Array.isArray(former)) return assert.deepEqual(now, former, path);
  for (const [key, value] of Object.entries(former))
    assertKept(value, (now as Record<string, unknown> | undefined)?.[key], `${path}.${key}`);
}

void test('helm upgrade of a platform changes its spec in place, and helm rollback changes it back', async () => {
  const reference = { ...PLATFORM, name: 'shop', namespace: 'bss' };
  const replicas = async () =>
    ((await client.get(reference)) as unknown as { spec: { workloads: { gateway: { replicas: number } } } }).spec.workloads.gateway
      .replicas;
  const values = ['--set', 'spec.profile=production', '--set', 'spec.workloads.gateway.replicas=5'];
  await helm('upgrade', 'shop', `${CHARTS}/bss-platform`, '--namespace', 'bss', ...values);
  assert.equal(await replicas(), 5);
  await helm('rollback', 'shop', '1', '--namespace', 'bss');
  assert.equal(await replicas(), 3);
  assert.equal((await client.get(reference)).metadata.uid, stored.get('shop')?.metadata.uid);
});

void test('the operator takes up what was stored before', { timeout: 300_000 }, async () => {
  const operator = await OperatorProcess.start(server.kubeconfigPath);
  try {
    for (const name of stored.keys()) {
      const platform = await until(`the status of ${name}`, LIMIT_MS, async () => {
        const now = await client.get<PlatformObject>({ ...PLATFORM, name, namespace: 'bss' });
        return conditionOf(now.status, 'SpecValid') && now;
      });
      const { status, metadata } = platform;
      assert.equal(conditionOf(status, 'SpecValid')?.status, 'True', `${name}: ${JSON.stringify(status?.conditions)}`);
      assert.deepEqual([status?.observedGeneration, metadata.finalizers], [metadata.generation, [FINALIZER]]);
      assert.ok(
        (status?.inventory ?? []).some(({ kind }) => kind === 'ServiceAccount'),
        `${name} has objects`,
      );
      assert.ok(!JSON.stringify(status?.conditions).includes('ApplyFailed'), `${name}: ${JSON.stringify(status?.conditions)}`);
    }
  } finally {
    await operator.stop();
  }
});

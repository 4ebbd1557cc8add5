/**
 * Runs the commands of docs/uninstall.md in both orders: platforms before the operator, and the operator before its platforms. The API server and the
 * garbage collector are real. No kubelet runs, so there are no pods to drain.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, startServices, type ApiServer } from '../../../local/src/services/index.ts';
import { API_VERSION, FINALIZER, KIND } from '../api/index.ts';
import { KubeClient, loadKubeConfig, Metrics, type KubernetesObject, type ObjectReference } from '../runtime/index.ts';
import { until } from '../runtime/testing/harness.ts';
import { Hand } from './testing/hand.ts';
import { logIn } from './testing/installation.ts';
import { OperatorProcess } from './testing/operator-process.ts';

/** The garbage collector looks for new kinds every 30 s; a busy machine takes longer. */
const LIMIT_MS = 180_000;
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const INSTALL_OPERATOR = 'helm install bss-operator charts/bss-operator --namespace bss-system --create-namespace';
// Without --skip-crds helm waits for a CRD that is being deleted, and fails.
const INSTALL_WITHOUT_CRD = `${INSTALL_OPERATOR} --skip-crds`;
const DELETE_PLATFORM = 'kubectl delete bss demo -n bss --timeout=5m';
const UNTIL_DELETED = 'kubectl wait --for=delete bss/demo -n bss --timeout=5m';
const LIST_KEPT = 'kubectl get pvc,secret -n bss -l app.kubernetes.io/managed-by=bss-operator,app.kubernetes.io/instance=demo';
const DELETE_KEPT = LIST_KEPT.replace(' get ', ' delete ');
const UNINSTALL_OPERATOR = 'helm uninstall bss-operator --namespace bss-system';
const DELETE_CRD = 'kubectl delete crd bssplatforms.bss-platform.io consumerautoscalers.bss-platform.io --timeout=1m';
const REQUEST_DELETION = 'kubectl delete bss demo -n bss --wait=false';
const REMOVE_FINALIZER = `kubectl patch bss demo -n bss --type=merge --patch '{"metadata":{"finalizers":null}}'`;

const PLATFORM = { apiVersion: API_VERSION, kind: KIND, name: 'demo', namespace: 'bss' };
const CRD = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name: 'bssplatforms.bss-platform.io' };
const GATEWAY = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'demo-gateway', namespace: 'bss' };

let page: string;
let api: ApiServer;
let kafka: { kafka: { brokers: string[] }; stop(): Promise<void> };
let client: KubeClient;
let hand: Hand;
let controllers: ChildProcess;
let path: string;
let operator: OperatorProcess | undefined;

before(
  async () => {
    page = await readFile(`${ROOT}docs/uninstall.md`, 'utf8');
    const programs = await ensurePrograms(['helm', 'kubectl', 'kube-controller-manager']);
    path = [...new Set(Object.values(programs).map((program) => dirname(program)))].join(':');
    [api, kafka] = await Promise.all([startApiServer({ own: true }), startServices({ kafka: true })]);
    client = new KubeClient({ config: loadKubeConfig({ path: api.kubeconfigPath }), metrics: new Metrics() });
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'bss' } });
    hand = new Hand(client);
    await hand.start();
    controllers = spawn(programs['kube-controller-manager'], [
      `--kubeconfig=${api.kubeconfigPath}`,
      '--controllers=garbage-collector-controller,namespace-controller,persistentvolumeclaim-protection-controller',
      '--leader-elect=false',
      '--secure-port=0',
    ]);
  },
  { timeout: 900_000 },
);

after(async () => {
  const exited = controllers && once(controllers, 'exit');
  controllers?.kill('SIGKILL');
  await exited;
  await hand?.stop();
  await Promise.all([api?.stop(), kafka?.stop()]);
});

/** Runs a command of the page in a shell, at the root of the repository. @throws Error if the page does not have it, or if it fails */
async function documented(command: string): Promise<string> {
  assert.ok(page.includes(`${command}\n`), `docs/uninstall.md does not have the command: ${command}`);
  return shell(command);
}

async function shell(command: string): Promise<string> {
  const env = { ...process.env, PATH: `${path}:${process.env['PATH']}`, KUBECONFIG: api.kubeconfigPath };
  return (await promisify(execFile)('bash', ['-c', command], { cwd: ROOT, env })).stdout;
}

/** The chart's Deployment does not start pods here, so the operator runs as a process under the chart's service account. */
async function installOperator(command = INSTALL_OPERATOR): Promise<void> {
  await documented(command);
  await until('the CRD to be served', LIMIT_MS, () => client.serves({ apiVersion: API_VERSION, kind: KIND }));
  operator = await OperatorProcess.start((await logIn(api, client)).kubeconfigPath);
}

async function uninstallOperator(): Promise<void> {
  await operator?.stop();
  operator = undefined;
  await documented(UNINSTALL_OPERATOR);
}

type DeletionPolicy = 'keep' | 'delete';

function specOf(deletionPolicy: DeletionPolicy): object {
  const off = { enabled: false };
  return {
    deletionPolicy,
    kafka: { external: { brokers: kafka.kafka.brokers } },
    redis: off,
    prometheus: off,
    loki: off,
    tempo: off,
    jaeger: off,
    networkPolicies: off,
  };
}

async function createPlatform(deletionPolicy: DeletionPolicy): Promise<void> {
  const metadata = { name: 'demo', namespace: 'bss' };
  await client.create({ apiVersion: API_VERSION, kind: KIND, metadata, spec: specOf(deletionPolicy) });
  await ready();
}

async function ready(): Promise<void> {
  await shell('kubectl wait --for=condition=Ready bss/demo -n bss --timeout=180s');
}

/** Kinds and names of what the page's command lists. */
async function kept(): Promise<string[]> {
  const list = JSON.parse(await shell(`${LIST_KEPT} -o json`)) as { items: KubernetesObject[] };
  return list.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`).toSorted();
}

async function gone(reference: ObjectReference): Promise<void> {
  await until(`${reference.kind} ${reference.name} to be deleted`, LIMIT_MS, async () => (await client.find(reference)) === undefined);
}

beforeEach(async () => {
  await installOperator();
});

afterEach(async () => {
  await shell(`${DELETE_KEPT} --ignore-not-found --timeout=180s`);
  if (operator !== undefined) await uninstallOperator();
});

const DATA = ['PersistentVolumeClaim demo-postgres-data', 'Secret demo-credentials'];

void test('platforms before the operator: the data is kept, and the page removes the rest', { timeout: 300_000 }, async () => {
  await createPlatform('keep');
  await documented(DELETE_PLATFORM);
  assert.equal(await client.find(GATEWAY), undefined);
  assert.ok((await documented(LIST_KEPT)).includes('demo-credentials'));
  assert.deepEqual(await kept(), DATA);
  await documented(DELETE_KEPT);
  assert.deepEqual(await kept(), []);
  await uninstallOperator();
  await documented(DELETE_CRD);
  assert.equal(await client.find(CRD), undefined);
});

void test("the release of a platform's chart: its platform is deleted", { timeout: 300_000 }, async () => {
  const spec = JSON.stringify(specOf('delete'));
  await shell(`helm install demo charts/bss-platform --namespace bss --set-json 'spec=${spec}'`);
  await ready();
  await documented('helm uninstall demo --namespace bss');
  await documented(UNTIL_DELETED);
  assert.equal(await client.find(PLATFORM), undefined);
  await gone(GATEWAY);
});

void test('orphaned objects continue to run, and a new platform of the same name adopts them', { timeout: 300_000 }, async () => {
  await createPlatform('delete');
  const { uid } = (await client.get(GATEWAY)).metadata;
  await documented('kubectl delete bss demo -n bss --cascade=orphan --timeout=5m');
  assert.equal((await client.get(GATEWAY)).metadata.ownerReferences, undefined);
  await createPlatform('delete');
  const { metadata } = await client.get(GATEWAY);
  assert.equal(metadata.uid, uid);
  assert.equal(metadata.ownerReferences?.[0]?.uid, (await client.get(PLATFORM)).metadata.uid);
  await documented(DELETE_PLATFORM);
});

void test('the operator before its platform: a new operator completes the deletion', { timeout: 300_000 }, async () => {
  await createPlatform('delete');
  await uninstallOperator();
  await documented(REQUEST_DELETION);
  const { metadata } = await client.get(PLATFORM);
  assert.deepEqual(metadata.finalizers, [FINALIZER]);
  assert.ok(await client.find(GATEWAY), 'the platform continues to run');
  await installOperator();
  await documented(UNTIL_DELETED);
  await gone(GATEWAY);
  await until('the data to be deleted', LIMIT_MS, async () => (await kept()).length === 0);
});

for (const [policy, remaining] of [
  ['keep', DATA],
  ['delete', []],
] as const)
  void test(`the operator before its platform, deletionPolicy ${policy}: removing the finalizer`, { timeout: 300_000 }, async () => {
    await createPlatform(policy);
    await uninstallOperator();
    await documented(REQUEST_DELETION);
    await documented(REMOVE_FINALIZER);
    await gone(GATEWAY);
    await until('the garbage collector to finish', LIMIT_MS, async () => (await kept()).join() === remaining.join());
  });

for (const [way, recover] of [
  ['removing the finalizer', () => documented(REMOVE_FINALIZER)],
  ['a new operator', () => installOperator(INSTALL_WITHOUT_CRD)],
] as const)
  void test(`the CRD before its platform: ${way} completes the deletion of both`, { timeout: 300_000 }, async () => {
    await createPlatform('delete');
    await uninstallOperator();
    await assert.rejects(shell(DELETE_CRD.replace('1m', '3s')), /timed out/);
    await recover();
    await gone(CRD);
    await gone(GATEWAY);
  });

void test('the deletion of the namespace deletes the data too', { timeout: 300_000 }, async () => {
  await createPlatform('keep');
  await documented('kubectl delete namespace bss --timeout=5m');
  assert.deepEqual(await kept(), []);
});

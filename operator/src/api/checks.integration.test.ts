/**
 * What `helm test` runs, against a real API server: the pods are admitted where "restricted" is enforced, their accounts have the rights that they need, and
 * the checks find what is wrong. There are no nodes here, so that the checks run as processes of the test, with the tokens of those accounts.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { OperatorProcess } from '../reconcile/testing/operator-process.ts';
import { KubeClient, loadKubeConfig, Metrics, type KubernetesObject } from '../runtime/index.ts';
import { until } from '../runtime/testing/harness.ts';
import { API_VERSION, KIND } from './names.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const NAMESPACE = 'bss-system';
const POD = 'bss-operator-7c9d-x1';
const LIMIT_MS = 60_000;

let helm: string;
let server: ApiServer;
let client: KubeClient;
let folder: string;

before(
  async () => {
    const [programs, started] = await Promise.all([ensurePrograms(['helm']), startApiServer({ own: true })]);
    [helm, server] = [programs.helm, started];
    folder = await mkdtemp(join(tmpdir(), 'checks-'));
    client = new KubeClient({ config: loadKubeConfig({ path: server.kubeconfigPath }), metrics: new Metrics() });
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE, labels } });
    const kubeconfig: { clusters: { cluster: Record<string, string> }[] } = parse(await readFile(server.kubeconfigPath, 'utf8'));
    const authority = kubeconfig.clusters[0]?.cluster['certificate-authority-data'] ?? '';
    await writeFile(join(folder, 'ca.crt'), Buffer.from(authority, 'base64'));
  },
  { timeout: 900_000 },
);

after(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

/** Creates what a chart brings for its test, and hands over the script of its pod and a token of its account. */
async function install(chart: string, release: string): Promise<{ script: string; environment: Record<string, string> }> {
  const { stdout } = await run(helm, ['template', release, `${ROOT}charts/${chart}`, '--namespace', NAMESPACE]);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS() as KubernetesObject);
  const hooks = objects.filter(({ metadata }) => metadata.annotations?.['helm.sh/hook'] === 'test');
  assert.deepEqual(hooks.map(({ kind }) => kind).toSorted(), ['Pod', 'Role', 'RoleBinding', 'ServiceAccount']);
  for (const hook of hooks) await client.create(hook);
  const pod = hooks.find(({ kind }) => kind === 'Pod') as unknown as {
    metadata: { name: string };
    spec: { containers: { command: string[]; env: { name: string; value: string }[] }[] };
  };
  const { command = [], env = [] } = pod.spec.containers[0] ?? {};
  assert.deepEqual(command.slice(0, -1), ['node', '--input-type=module-typescript', '--eval']);
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${pod.metadata.name}/token`;
  const { body } = await client.raw('POST', path, { body: request, contentType: 'application/json' });
  const token = join(folder, `${release}.token`);
  await writeFile(token, (body as { status: { token: string } }).status.token);
  const given = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  const here = { API_SERVER: server.url, TOKEN_FILE: token, NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'), LIMIT_SECONDS: '0' };
  return { script: command.at(-1) ?? '', environment: { ...given, ...here } };
}

type Check = Awaited<ReturnType<typeof install>>;

/** Runs a check once; never rejects. */
async function check({ script, environment }: Check, more: Record<string, string> = {}): Promise<{ code: number; text: string }> {
  const env = { ...process.env, ...environment, ...more };
  try {
    const { stdout } = await run(process.execPath, ['--input-type=module-typescript', '--eval', script], { env });
    return { code: 0, text: stdout };
  } catch (error) {
    const { code = -1, stderr = '' } = error as { code?: number; stderr?: string };
    return { code, text: stderr };
  }
}

async function fails(installed: Check, message: RegExp, more: Record<string, string> = {}): Promise<void> {
  const { code, text } = await check(installed, more);
  assert.equal(code, 1, text);
  assert.match(text, message);
}

void test("the operator's check tells each thing that is wrong, and passes when nothing is", { timeout: 300_000 }, async () => {
  const installed = await install('bss-operator', 'bss-operator');
  await fails(installed, /rejects a BssPlatform .*helm show crds/);
  const definition = `${ROOT}crds/bss-platform.io_bssplatforms.yaml`;
  await client.create(parse(await readFile(definition, 'utf8')));
  await until('the definition to be served', LIMIT_MS, () => client.serves({ apiVersion: API_VERSION, kind: KIND }));
  await until('dry runs of it', LIMIT_MS, async () => !/rejects a BssPlatform/.test((await check(installed)).text));
  await fails(installed, /the operator has no pods \(app\.kubernetes\.io\/name=bss-operator,/);

  const operator = await OperatorProcess.start(server.kubeconfigPath, { POD_NAME: POD });
  try {
    const port = new URL(operator.url).port;
    await createPod();
    const { code, text } = await check(installed, { METRICS_PORT: port });
    assert.equal(code, 0, text);
    assert.equal(
      text,
      `ok: the API server accepts a BssPlatform and sets the defaults of this version\nok: ${POD} leads\nok: ${POD} serves /livez, /readyz and /metrics\n`,
    );
    await fails(installed, /ECONNREFUSED/, { METRICS_PORT: '65534' });
    await client.patch({ ...podReference(), name: POD }, { metadata: { labels: { 'app.kubernetes.io/name': 'other' } } });
    await fails(installed, /the operator has no pods/);
  } finally {
    await operator.stop();
  }
  assert.deepEqual((await client.list({ apiVersion: API_VERSION, kind: KIND })).items, [], 'nothing is left behind');
});

const podReference = () => ({ apiVersion: 'v1', kind: 'Pod', namespace: NAMESPACE });

/** As the Deployment of the chart would have made it, on a node that is this machine. */
async function createPod(): Promise<void> {
  const labels = { 'app.kubernetes.io/name': 'bss-operator', 'app.kubernetes.io/instance': 'bss-operator' };
  const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  const containers = [{ name: 'operator', image: 'operator', securityContext: restricted }];
  const securityContext = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
  await client.create({ ...podReference(), metadata: { name: POD, namespace: NAMESPACE, labels }, spec: { containers, securityContext } });
  const status = { phase: 'Running', podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] };
  await client.patch({ ...podReference(), name: POD }, { status }, { subresource: 'status' });
}

void test("the platform's check waits for Ready, and asks the gateway", { timeout: 300_000 }, async () => {
  const installed = await install('bss-platform', 'shop');
  const reference = { apiVersion: API_VERSION, kind: KIND, name: 'shop', namespace: NAMESPACE };
  await fails(installed, /"shop" not found/);
  await client.create({ apiVersion: API_VERSION, kind: KIND, metadata: { name: 'shop', namespace: NAMESPACE }, spec: {} });
  await fails(installed, /BssPlatform shop has no Ready condition yet/);
  const at = { lastTransitionTime: '2026-01-01T00:00:00Z', observedGeneration: 1 };
  const say = (ready: object, endpoints: object[] = []) =>
    client.patch(reference, { status: { conditions: [{ type: 'Ready', ...ready, ...at }], endpoints } }, { subresource: 'status' });
  await say({ status: 'False', reason: 'Starting', message: 'kafka: is starting' });
  await fails(installed, /BssPlatform shop is not ready: Starting: kafka: is starting/);
  await say({ status: 'True', reason: 'Running', message: 'every component is healthy' });
  assert.match(
    (await check(installed)).text,
    /^ok: BssPlatform shop is ready: every component is healthy\nok: the platform has no gateway\n$/,
  );

  let document = '{"openapi":"3.1.0"}';
  const gateway = createServer((_request, response) => response.end(document)).listen(0, '127.0.0.1');
  await once(gateway, 'listening');
  try {
    const address = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
    await say({ status: 'True', reason: 'Running', message: 'every component is healthy' }, [{ name: 'gateway', address }]);
    assert.match((await check(installed)).text, /ok: the gateway answers at http/);
    document = '{}';
    await fails(installed, /the gateway answers .*\/openapi\.json with 200/);
  } finally {
    gateway.close();
  }
  await client.patch(reference, { spec: { paused: true } });
  await fails(installed, /has not reconciled the latest generation of BssPlatform shop yet/);
});

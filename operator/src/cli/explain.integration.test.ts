/** `bss explain-scaling` as a user calls it: a real API server, the operator's decisions through its proxy, rights of the user alone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { API_VERSION, AUTOSCALER_KIND } from '../api/index.ts';
import { recordingSchema } from '../autoscale/index.ts';
import { Cluster, LIMIT_MS, until } from '../reconcile/testing/cluster.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const PLACE = 'bss-system';
const RBAC = { apiVersion: 'rbac.authorization.k8s.io/v1' };

let cluster: Cluster;
let folder: string;
let reader: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-explain-'));
  cluster = await Cluster.start();
  const platform = await cluster.platform('explain');
  await platform.ready();
  await standIn();
  reader = await readerKubeconfig();
  await until('some decisions', LIMIT_MS, async () => {
    const { groups } = recordingSchema.parse(await (await fetch(`${cluster.operator.url}/scaling/explain/a`)).json());
    return (groups[0]?.decisions.length ?? 0) >= 3;
  });
});
after(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true });
});

/** The pod that the operator would run in: here it is a process of this machine. The API server's proxy goes to no loopback address. */
async function standIn(): Promise<void> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const address = addresses.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
  assert.ok(address, 'this test needs an address that is not loopback');
  const lease = await cluster.client.get({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name: 'bss-operator', namespace: PLACE });
  const holder = (lease['spec'] as { holderIdentity: string }).holderIdentity;
  const reference = { apiVersion: 'v1', kind: 'Pod', name: holder.slice(0, holder.lastIndexOf('_')), namespace: PLACE };
  const port = Number(new URL(cluster.operator.url).port);
  const container = { name: 'operator', image: 'operator', ports: [{ name: 'metrics', containerPort: port }] };
  await cluster.client.create({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: reference.name, namespace: PLACE },
    spec: { containers: [container], serviceAccountName: 'bss-operator', automountServiceAccountToken: false },
  });
  const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
  await cluster.client.patch(reference, { status }, { subresource: 'status' });
}

/** Of a user without rights, until a test gives them. */
async function readerKubeconfig(): Promise<string> {
  await cluster.client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader', namespace: 'explain' } });
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const path = '/api/v1/namespaces/explain/serviceaccounts/reader/token';
  const answer = await cluster.client.raw('POST', path, { body, contentType: 'application/json' });
  const { token } = (answer.body as { status: { token: string } }).status;
  const config = parse(await readFile(cluster.api.kubeconfigPath, 'utf8')) as object;
  const file = join(folder, 'reader');
  await writeFile(file, stringify({ ...config, users: [{ name: 'admin', user: { token } }] }), { mode: 0o600 });
  return file;
}

interface Answer {
  code: number;
  output: string;
  errors: string;
}

function explain(kubeconfig: string, ...args: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    const env = { ...process.env, KUBECONFIG: kubeconfig };
    execFile(process.execPath, [MAIN, 'explain-scaling', ...args], { env, maxBuffer: 2 ** 24 }, (error, output, errors) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output, errors });
    });
  });
}

void test('prints the decisions of the only platform in the namespace', async () => {
  const { code, output, errors } = await explain(cluster.api.kubeconfigPath, '-n', 'explain');
  assert.equal(code, 0, errors);
  assert.match(output, /^explain\/a interest-batch {2}scales a-interest: maxDelay 30 s, 1 to 4 replicas, window 15 s$/m);
  assert.match(output, /^\d+ decisions since the operator's start at \S+Z \(earlier decisions are not kept\)$/m);
  assert.match(output, /^\d\d:\d\d:\d\d +\S+ .* (Steady|HeldRebalance|Starting|LagUnknown)/m);
});

void test('reads the same decisions from a recording, without a cluster', async () => {
  const file = join(folder, 'recorded.json');
  assert.equal((await explain(cluster.api.kubeconfigPath, 'a', '-n', 'explain', '--record', file)).code, 0);
  const recording = recordingSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  assert.equal(recording.platform, 'explain/a');
  const offline = await explain('/nowhere', '--file', file, '--json');
  assert.equal(offline.code, 0, offline.errors);
  assert.deepEqual((JSON.parse(offline.output) as { group: unknown }).group, recording.groups[0]);
  const replayed = await explain('/nowhere', '--file', file, '--min', '2');
  assert.equal(replayed.code, 1);
  assert.match(replayed.errors, /^bss: (the rate of one replica is not known yet|\d+ decisions are too few)/);
});

void test('requires a permission that the Role of the chart grants', async () => {
  const ask = () => explain(reader, 'a', '-n', 'explain');
  const refused = await ask();
  assert.equal(refused.code, 1);
  assert.match(refused.errors, /forbidden[\s\S]*Role bss-operator-explain-scaling in namespace bss-system/);
  const subjects = [{ kind: 'ServiceAccount', name: 'reader', namespace: 'explain' }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'bss-operator-explain-scaling' };
  await cluster.client.create({ ...RBAC, kind: 'RoleBinding', metadata: { name: 'reader', namespace: PLACE }, roleRef, subjects });
  const allowed = await until('the right to take effect', LIMIT_MS, async () => {
    const answer = await ask();
    return answer.code === 0 ? answer : undefined;
  });
  assert.match(allowed.output, /interest-batch/);
});

void test('asks an operator that runs outside the cluster at its address', async () => {
  const { url } = cluster.operator;
  const { code, output, errors } = await explain(reader, 'a', '-n', 'explain', '--operator-url', url);
  assert.equal(code, 0, errors);
  assert.match(output, /^explain\/a interest-batch {2}scales a-interest/m);
  const unknown = await explain(reader, 'nobody', '-n', 'explain', '--operator-url', url);
  assert.match(unknown.errors, /scales no consumer groups of explain\/nobody/);
  const away = await explain(reader, 'a', '-n', 'explain', '--operator-url', 'http://127.0.0.1:2');
  assert.match(away.errors, /^bss: cannot reach the operator at http:\/\/127\.0\.0\.1:2: .*ECONNREFUSED/);
  const wrong = await explain(reader, 'a', '-n', 'explain', '--operator-url', '127.0.0.1');
  assert.match(wrong.errors, /--operator-url "127\.0\.0\.1" is not valid: use an address such as http:\/\/127\.0\.0\.1:8081/);
});

void test('names missing platforms and groups', async () => {
  const admin = cluster.api.kubeconfigPath;
  assert.match((await explain(admin, 'nobody', '-n', 'explain')).errors, /scales no consumer groups of explain\/nobody/);
  assert.match((await explain(admin, '-n', 'default')).errors, /no BssPlatform and no ConsumerAutoscaler found in default/);
  assert.match((await explain(admin, 'a', '-n', 'explain', '--group', 'x')).errors, /group x not found: --group interest-batch/);
  assert.match(
    (await explain(admin, 'a', '-n', 'explain', '--operator-namespace', 'default')).errors,
    /no operator holds the lease in namespace default/,
  );
});

void test('prints the decisions of a ConsumerAutoscaler, by its name and where it is the only one', async () => {
  const namespace = 'explain-cas';
  await cluster.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const spec = { scaleTargetRef: { name: 'shipper' }, group: 'shipping', topics: ['orders'], brokers: cluster.brokers };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name: 'a', namespace }, spec });
  const ask = (...args: string[]) => explain(cluster.api.kubeconfigPath, ...args);
  const found = await until('decisions', LIMIT_MS, async () => {
    const answer = await ask('cas/a', '-n', namespace);
    return answer.code === 0 && /LagUnknown/.test(answer.output) ? answer : undefined;
  });
  assert.match(found.output, /^explain-cas\/consumerautoscalers\/a shipping {2}scales shipper: maxDelay 30 s, 1 to 4 replicas/m);
  assert.match((await ask('-n', namespace)).output, /consumerautoscalers\/a shipping/);
  assert.match((await ask('a', '-n', namespace)).errors, /scales no consumer groups of explain-cas\/a:/);
  assert.match((await ask('deployment/a', '-n', namespace)).errors, /write the name of a platform, or cas\/NAME/);
});

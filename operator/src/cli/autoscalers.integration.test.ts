/** ConsumerAutoscalers on the command line as a user calls it: a real API server with the operator on it, and a real Kafka. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Kafka, logLevel } from 'kafkajs';
import { stringify } from 'yaml';
import { API_VERSION, AUTOSCALER_KIND } from '../api/index.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import { Cluster, LIMIT_MS, until } from '../reconcile/testing/cluster.ts';
import { commitStart } from '../reconcile/testing/consumer-group.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const NAMESPACE = 'shop';
const [TOPIC, GROUP] = ['orders', 'shipping'];
const PASSWORD = 'a password of the brokers';
const TOKEN = 'a token in the pods of another program';

let cluster: Cluster;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-cas-'));
  cluster = await Cluster.start({ namespaces: [NAMESPACE] });
  const admin = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 2 }], waitForLeaders: false });
  await commitStart(admin, GROUP, TOPIC, 2);
  await admin.disconnect();
  await deploy('shipper');
  await apply('shipping', {});
  await ready('shipping', 'Scaling');
});
after(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true });
});

async function deploy(name: string): Promise<void> {
  const labels = { app: name };
  const containers = [{ name: 'worker', image: 'worker', env: [{ name: 'PARTNER', value: TOKEN }] }];
  const spec = { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } };
  await cluster.client.create({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: NAMESPACE }, spec });
}

/** Of a ConsumerAutoscaler that scales `shipper` unless the spec says otherwise. */
function manifest(name: string, spec: Record<string, unknown>) {
  const common = { scaleTargetRef: { name: 'shipper' }, group: GROUP, topics: [TOPIC], brokers: cluster.brokers };
  return { apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name, namespace: NAMESPACE }, spec: { ...common, ...spec } };
}

async function apply(name: string, spec: Record<string, unknown>): Promise<void> {
  await cluster.client.create(manifest(name, spec));
}

const reference = (name: string) => ({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, name, namespace: NAMESPACE });

async function ready(name: string, reason: string): Promise<void> {
  await until(`${name} to be ${reason}`, LIMIT_MS, async () => {
    const { status } = await cluster.client.get<AutoscalerObject>(reference(name));
    return status?.conditions?.some((one) => one.type === 'Ready' && one.reason === reason);
  });
}

interface Answer {
  code: number;
  output: string;
  errors: string;
}

const environment = () => ({ ...process.env, KUBECONFIG: cluster.api.kubeconfigPath });

function bss(...args: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args, '-n', NAMESPACE], { env: environment() }, (error, output, errors) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output, errors });
    });
  });
}

void test('doctor finds nothing wrong with a resource that scales', async () => {
  const { code, output } = await bss('doctor');
  assert.equal(code, 0, output);
  assert.match(
    output,
    /ConsumerAutoscaler shop\/shipping\n✓ Deployment shipper exists\n✓ scales Deployment shipper on the lag of shipping: lag 0/,
  );
});

void test('status lists it, follows changes, and doctor finds a second scaler, brokers that are away and a missing Secret', async () => {
  const { code, output } = await bss('status');
  assert.equal(code, 0);
  assert.match(
    output,
    /^ConsumerAutoscalers\n└─ ✓ {2}shop\/shipping {2}shipping of Deployment shipper {2}lag 0, delay 0 s {2}replicas \d\/1 {2}\w+/,
  );
  assert.match((await bss('status', 'cas/absent')).errors, /^bss: no ConsumerAutoscaler absent found in shop/);

  const watch = spawn(process.execPath, [MAIN, 'status', '-n', NAMESPACE, '--watch'], { env: environment() });
  let seen = '';
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await until('the first lines', LIMIT_MS, () => seen.includes('shop/shipping'));
  await apply('younger', {});
  await apply('astray', { scaleTargetRef: { name: 'nobody' }, brokers: ['127.0.0.1:1'], sasl: { secretName: 'login' } });
  await Promise.all([ready('younger', 'ForeignScaler'), ready('astray', 'SecretsMissing')]);
  await until('the change to show', LIMIT_MS, () => /✗ {2}shop\/younger .*ForeignScaler: ConsumerAutoscaler\/shipping scales/.test(seen));
  const exited = once(watch, 'exit');
  watch.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);

  const found = await bss('doctor');
  assert.equal(found.code, 1);
  for (const line of [
    /✗ ForeignScaler: ConsumerAutoscaler\/shipping scales the same Deployment.*\n\s+an object has one scaler/,
    /! ConsumerAutoscaler\/younger would scale the same object\n/,
    /✗ Deployment nobody does not exist in namespace shop\n\s+create it, or correct spec\.scaleTargetRef/,
    /✗ Secret login does not exist\n\s+create it with keys username, password/,
  ])
    assert.match(found.output, line);
  const metadata = { name: 'login', namespace: NAMESPACE };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { username: 'a', password: PASSWORD } });
  await ready('astray', 'BrokerAway');
  const away = await bss('doctor', 'cas/astray');
  assert.match(away.output, /✗ BrokerAway: the brokers do not answer.*\n\s+check spec\.brokers/);
  assert.doesNotMatch(away.output, /shop\/shipping/, 'of one resource alone');
});

void test('dump has the resources, their object and events, and neither a Secret nor the pods of the consumers', async () => {
  await cluster.client.patch(reference('astray'), { metadata: { annotations: { 'example.com/note': `leaked: ${PASSWORD}` } } });
  const file = join(folder, 'dump.tar.gz');
  const { code, errors } = await bss('dump', 'cas/shipping', '-o', file);
  assert.equal(code, 0, errors);
  const names = execFileSync('tar', ['-tzf', file]).toString().split('\n');
  for (const name of ['autoscaler.yaml', 'autoscalers/astray.yaml', 'autoscalers/younger.yaml', 'objects/Deployment/shipper.yaml'])
    assert.ok(names.includes(`bss-dump-${NAMESPACE}-cas-shipping/${name}`), `${name} in ${names.join(' ')}`);
  const content = execFileSync('tar', ['-xzOf', file]).toString();
  for (const expected of ['name: shipping', 'reason: ForeignScaler', 'leaked: <redacted>', 'holderIdentity', 'replicas: 1'])
    assert.ok(content.includes(expected), expected);
  for (const secret of [PASSWORD, Buffer.from(PASSWORD).toString('base64'), TOKEN]) assert.ok(!content.includes(secret), secret);
  assert.match((await bss('dump', 'cas/absent')).errors, /^bss: ConsumerAutoscaler shop\/absent not found/);
});

void test('plan prints the change, what the bounds enforce and who else scales, and writes nothing', async () => {
  const file = async (name: string, spec: Record<string, unknown>) => {
    const path = join(folder, 'changed.yaml');
    await writeFile(path, stringify(manifest(name, spec)));
    return path;
  };
  const same = await bss('plan', '-f', await file('shipping', {}));
  assert.deepEqual([same.code, same.output.trim()], [0, 'ConsumerAutoscaler shop/shipping: no changes'], same.errors);
  const { metadata } = await cluster.client.get<AutoscalerObject>(reference('shipping'));
  const higher = await bss('plan', '-f', await file('shipping', { minReplicas: 2, maxReplicas: 6 }));
  assert.equal(higher.code, 2, higher.errors);
  for (const line of [
    /^~ ConsumerAutoscaler shipping$/m,
    /^\s+\+ {2}minReplicas: 2$/m,
    /^ {2}Deployment shipper has 1 replicas: the operator scales it up to 2$/m,
  ])
    assert.match(higher.output, line);
  const second = await bss('plan', '-f', await file('third', {}));
  assert.equal(second.code, 2, second.errors);
  assert.match(
    second.output,
    /^\+ ConsumerAutoscaler third\nWarning: ConsumerAutoscaler\/shipping, ConsumerAutoscaler\/younger scales Deployment shipper/m,
  );
  const wrong = await bss('plan', '-f', await file('shipping', { minReplicas: 5, maxReplicas: 2 }));
  assert.deepEqual([wrong.code, /maxReplicas is below minReplicas/.test(wrong.errors)], [1, true], wrong.errors);
  assert.equal((await cluster.client.get<AutoscalerObject>(reference('shipping'))).metadata.generation, metadata.generation);
  assert.equal(await cluster.client.find(reference('third')), undefined);
});

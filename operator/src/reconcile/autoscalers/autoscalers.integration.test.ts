/** Consumer groups of programs that belong to no platform: scaled by a resource of their own. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel, type Admin, type Producer } from 'kafkajs';
import { API_VERSION, AUTOSCALER_KIND, type ConsumerAutoscalerStatus } from '../../api/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import type { AutoscalerObject } from '../scaling/claims.ts';
import { Cluster, LIMIT_MS, until } from '../testing/cluster.ts';
import { commitStart } from '../testing/consumer-group.ts';

const TOPIC = 'orders';
const GROUP = 'shipping';
const PARTITIONS = 4;
const NAMESPACE = 'shop';

let cluster: Cluster;
let admin: Admin;
let producer: Producer;

before(async () => {
  cluster = await Cluster.start({ namespaces: [NAMESPACE] });
  const kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } });
  admin = kafka.admin();
  producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: false });
  await commitStart(admin, GROUP, TOPIC, PARTITIONS);
});
after(async () => {
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  await cluster.stop();
});

/** The same number of events in each partition. */
async function produce(each: number): Promise<void> {
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const messages = partitions.flatMap((partition) => Array.from({ length: each }, () => ({ partition, value: 'x' })));
  await producer.send({ topic: TOPIC, messages });
}

interface Scaled extends KubernetesObject {
  spec: { replicas: number };
}

const workload = (name: string, kind: string) => ({ apiVersion: 'apps/v1', kind, name, namespace: NAMESPACE });

async function deploy(name: string, replicas: number, kind = 'Deployment'): Promise<void> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'worker', image: 'worker' }] } };
  const spec = { replicas, selector: { matchLabels: labels }, template, ...(kind === 'StatefulSet' ? { serviceName: name } : {}) };
  await cluster.client.create({ apiVersion: 'apps/v1', kind, metadata: { name, namespace: NAMESPACE }, spec });
}

async function replicasOf(name: string, kind = 'Deployment'): Promise<number> {
  return (await cluster.client.get<Scaled>(workload(name, kind))).spec.replicas;
}

const reference = (name: string) => ({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, name, namespace: NAMESPACE });

/** @param spec beside the group, its topic and its brokers */
async function create(name: string, spec: Record<string, unknown>): Promise<void> {
  const metadata = { name, namespace: NAMESPACE };
  const group = { group: GROUP, topics: [TOPIC], brokers: cluster.brokers };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata, spec: { ...group, ...spec } });
}

const patch = (name: string, spec: Record<string, unknown>) => cluster.client.patch(reference(name), { spec });
const remove = (name: string) => cluster.client.delete(reference(name));

/** Waits until a condition of the newest spec has this status and reason. */
async function condition(name: string, type: string, status: string, reason: string): Promise<ConsumerAutoscalerStatus> {
  let last: unknown;
  const found = await until(`${name} to be ${type} ${status} ${reason}`, LIMIT_MS, async () => {
    const { metadata, status: seen } = await cluster.client.get<AutoscalerObject>(reference(name));
    last = seen;
    const one = seen?.conditions?.find((entry) => entry.type === type);
    return one?.status === status && one.reason === reason && one.observedGeneration === metadata.generation && seen;
  }).catch((error: unknown) => assert.fail(`${String(error)}: ${JSON.stringify(last, null, 1)}\n${cluster.log.slice(-2000)}`));
  return found;
}

const conditionOf = ({ conditions = [] }: ConsumerAutoscalerStatus, type: string) => conditions.find((one) => one.type === type);

/** Waits for an event about the resource. */
async function event(name: string, reason: string, text = /./): Promise<void> {
  await until(`an event ${reason} of ${name}`, LIMIT_MS, async () => {
    const { items } = await cluster.client.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, { namespace: NAMESPACE });
    const regarding = (one: KubernetesObject) => (one['regarding'] as { kind: string; name: string } | undefined) ?? { kind: '', name: '' };
    const about = items.filter((one) => regarding(one).kind === AUTOSCALER_KIND && regarding(one).name === name);
    return about.some((one) => one['reason'] === reason && text.test(String(one['note'])));
  });
}

void test('waits for the object, then scales it on the lag and fills the status', async () => {
  await create('shipping', { scaleTargetRef: { name: 'shipper' }, scaleToZero: true, maxReplicas: 3, lagPerReplica: 10 });
  const waiting = await condition('shipping', 'Ready', 'False', 'DeploymentUnknown');
  assert.equal(conditionOf(waiting, 'Ready')?.message, 'there is no Deployment shop/shipper');
  assert.equal(conditionOf(waiting, 'Reconciling')?.status, 'True');
  assert.equal(conditionOf(waiting, 'Stalled')?.status, 'False');
  await deploy('shipper', 0);
  const idle = await condition('shipping', 'Ready', 'True', 'Scaling');
  assert.deepEqual([idle.lag, idle.replicas, conditionOf(idle, 'Reconciling')?.status], [0, 0, 'False']);
  await produce(20);
  await until('the consumers to be started', LIMIT_MS, async () => (await replicasOf('shipper')) > 0);
  await event('shipping', 'ScaledUp', /shipping up from 0/);
  await event('shipping', 'Ready', /scales Deployment shipper on the lag of shipping/);
  const status = await until('the lag in status', LIMIT_MS, async () => {
    const { status: seen } = await cluster.client.get<AutoscalerObject>(reference('shipping'));
    return seen?.lag === 80 && seen.replicas !== 0 && seen;
  });
  assert.equal(status.subject, 'shipping (orders) of Deployment shipper');
  assert.ok(status.lastScaleTime);
  const { metadata } = await cluster.client.get<Scaled>(workload('shipper', 'Deployment'));
  assert.deepEqual([metadata.ownerReferences, metadata.labels], [undefined, undefined], 'the object stays the user’s');
});

void test('refuses a second resource for the same object, and lets it scale when the first one is deleted', async () => {
  const scaleTargetRef = { name: 'shipper' };
  await create('a-second', { scaleTargetRef, scaleToZero: true, maxReplicas: 4 });
  const refused = await condition('a-second', 'Ready', 'False', 'ForeignScaler');
  assert.match(conditionOf(refused, 'Stalled')?.message ?? '', /ConsumerAutoscaler\/shipping scales the same Deployment/);
  await condition('shipping', 'Ready', 'True', 'Scaling');
  await remove('shipping');
  await condition('a-second', 'Ready', 'True', 'Scaling');
});

void test('leaves the replicas as they are when the resource is deleted', async () => {
  const former = await replicasOf('shipper');
  assert.ok(former > 0);
  await remove('a-second');
  // Whoever still scaled it would start it again: the lag is above zero.
  await cluster.client.patch(workload('shipper', 'Deployment'), { spec: { replicas: 0 } });
  // Another resource is sampled all the while: the operator works.
  await deploy('packer', 1, 'StatefulSet');
  await create('packing', { scaleTargetRef: { kind: 'StatefulSet', name: 'packer' }, lagPerReplica: 10, maxReplicas: 3 });
  await until('the StatefulSet to be scaled', LIMIT_MS, async () => (await replicasOf('packer', 'StatefulSet')) > 1);
  await event('packing', 'ScaledUp');
  // Written figures are ten seconds apart: two of them pass more than one interval of samples.
  for (const lag of [160, 240]) {
    await produce(20);
    await until(`a lag of ${lag}`, LIMIT_MS, async () => {
      const { status: seen } = await cluster.client.get<AutoscalerObject>(reference('packing'));
      return seen?.lag === lag;
    });
  }
  assert.equal(await replicasOf('shipper'), 0);
});

void test('leaves an object to an HPA until the HPA is gone', async () => {
  const name = 'other';
  const hpa = { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', name, namespace: NAMESPACE };
  const spec = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'rivalled' }, maxReplicas: 3 };
  await deploy('rivalled', 1);
  await cluster.client.create({ ...hpa, metadata: { name, namespace: NAMESPACE }, spec });
  await create('rivalled', { scaleTargetRef: { name: 'rivalled' }, lagPerReplica: 10 });
  const status = await condition('rivalled', 'Stalled', 'True', 'ForeignScaler');
  assert.match(conditionOf(status, 'Ready')?.message ?? '', /HorizontalPodAutoscaler\/other scales the same Deployment/);
  assert.equal(await replicasOf('rivalled'), 1);
  await cluster.client.delete(hpa);
  await condition('rivalled', 'Ready', 'True', 'Scaling');
});

void test('measures and does not scale in mode fixed', async () => {
  await deploy('steady', 1);
  await create('steady', { scaleTargetRef: { name: 'steady' }, mode: 'fixed', lagPerReplica: 1 });
  const status = await condition('steady', 'Ready', 'True', 'NotScaled');
  assert.equal(status.lag, 240);
  const series = 'bss_consumer_group_lag{namespace="shop",platform="",autoscaler="steady",group="shipping"} 240';
  assert.ok((await cluster.operator.metrics()).includes(series), 'no platform may take the series for its own');
  assert.equal(await replicasOf('steady'), 1);
});

void test('names brokers that cannot be reached, and recovers when the address is corrected', async () => {
  await deploy('astray', 1);
  await create('astray', { scaleTargetRef: { name: 'astray' }, brokers: ['127.0.0.1:1'] });
  const status = await condition('astray', 'Ready', 'False', 'BrokerAway');
  assert.equal(conditionOf(status, 'Reconciling')?.status, 'True');
  await patch('astray', { brokers: cluster.brokers });
  await condition('astray', 'Ready', 'True', 'Scaling');
});

void test('names a missing Secret, and uses it as soon as it exists', async () => {
  await deploy('secured', 1);
  const sasl = { mechanism: 'plain', secretName: 'kafka-login' };
  await create('secured', { scaleTargetRef: { name: 'secured' }, sasl });
  const status = await condition('secured', 'Ready', 'False', 'SecretsMissing');
  assert.equal(conditionOf(status, 'Ready')?.message, 'Secret kafka-login does not exist: create it with keys username, password');
  await event('secured', 'SecretsMissing');
  const metadata = { name: 'kafka-login', namespace: NAMESPACE };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { username: 'a', password: 'b' } });
  // These brokers take no logins: that they are asked shows that the Secret was read.
  await until('the login to be tried', LIMIT_MS, async () => {
    const { status: seen } = await cluster.client.get<AutoscalerObject>(reference('secured'));
    return seen?.conditions?.some(({ type, reason }) => type === 'Ready' && reason !== 'SecretsMissing' && reason !== 'Starting');
  });
});

void test('names a kind without a scale subresource', async () => {
  await create('odd', { scaleTargetRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'odd' } });
  const status = await condition('odd', 'Ready', 'False', 'DeploymentUnknown');
  assert.equal(conditionOf(status, 'Ready')?.message, 'ConfigMap of v1 has no scale subresource');
});

void test("does not scale the Deployment of a platform, nor one that an older platform's list has", async () => {
  await deploy('listed', 1);
  const platform = await cluster.platform(NAMESPACE, {
    consumerGroups: [
      { name: GROUP, topics: [TOPIC], deployment: 'listed', autoscaling: { maxReplicas: 2 } },
      { name: 'younger', topics: [TOPIC], deployment: 'astray' },
    ],
  });
  await platform.ready();
  const { conditions = [] } = await platform.until('ScalingLimited', 'True', 'ForeignScaler');
  const { message = '' } = conditions.find(({ type }) => type === 'ScalingLimited') ?? {};
  assert.match(message, /younger: ConsumerAutoscaler\/astray scales the same Deployment/, 'the older resource scales');
  await create('greedy', { scaleTargetRef: { name: 'a-gateway' } });
  await create('late', { scaleTargetRef: { name: 'listed' } });
  for (const name of ['greedy', 'late']) {
    const status = await condition(name, 'Stalled', 'True', 'ForeignScaler');
    assert.match(conditionOf(status, 'Ready')?.message ?? '', /BssPlatform\/a scales the same Deployment/);
  }
  await platform.patch({ spec: { consumerGroups: [] } });
  await condition('late', 'Ready', 'True', 'Scaling');
});

/** Consumer groups of other programs: listed in the spec, scaled through the scale subresource, and otherwise left alone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel, type Admin, type Producer } from 'kafkajs';
import type { KubernetesObject } from '../../runtime/index.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from '../testing/cluster.ts';
import { commitStart } from '../testing/consumer-group.ts';

const TOPIC = 'usage';
const GROUP = 'billing';
const PARTITIONS = 2;
const DEPLOYMENT = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'billing-worker', namespace: 'groups' };

let cluster: Cluster;
let platform: TestPlatform;
let admin: Admin;
let producer: Producer;

before(async () => {
  cluster = await Cluster.start();
  const kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } });
  admin = kafka.admin();
  producer = kafka.producer();
  await Promise.all([admin.connect(), producer.connect()]);
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: false });
  await commitStart(admin, GROUP, TOPIC, PARTITIONS);
  const autoscaling = { scaleToZero: true, maxReplicas: 2 };
  const consumerGroups = [
    { name: GROUP, topics: [TOPIC], deployment: DEPLOYMENT.name, autoscaling },
    { name: 'misspelt', topics: ['no-such-topic'], deployment: 'nobody' },
    { name: 'greedy', topics: [TOPIC], deployment: 'a-gateway' },
  ];
  platform = await cluster.platform('groups', { consumerGroups });
  await platform.ready();
});
after(async () => {
  await Promise.all([admin.disconnect(), producer.disconnect()]);
  await cluster.stop();
});

const deployed = () => cluster.client.get<KubernetesObject & { spec: { replicas: number } }>(DEPLOYMENT);
const groupOf = async (name: string) => (await platform.status()).consumerGroups?.find((group) => group.name === name);

void test('holds a group whose Deployment is missing, and names the Deployment', async () => {
  const status = await platform.until('LagUnknown', 'True');
  const { message = '' } = status.conditions?.find(({ type }) => type === 'LagUnknown') ?? {};
  assert.match(message, /billing: there is no Deployment groups\/billing-worker/);
  assert.match(message, /misspelt: no such topic: no-such-topic/);
});

void test("does not scale the platform's own Deployment for an external group", async () => {
  assert.equal(await groupOf('greedy'), undefined);
  assert.ok(await groupOf('interest-batch'), 'its own group is still sampled');
});

void test('starts a stopped group when it has lag', async () => {
  const labels = { app: 'billing' };
  await cluster.client.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: DEPLOYMENT.name, namespace: DEPLOYMENT.namespace },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'worker', image: 'worker' }] } },
    },
  });
  await until('a known lag of nothing', LIMIT_MS, async () => (await groupOf(GROUP))?.lag === 0);
  assert.equal((await deployed()).spec.replicas, 0);
  await producer.send({ topic: TOPIC, messages: [{ partition: 0, value: 'x' }] });
  await until('the group to be started', LIMIT_MS, async () => (await deployed()).spec.replicas === 1);
  await platform.event('ScaledUp', /billing up from 0 to 1/);
  const { metadata } = await deployed();
  assert.equal(metadata.ownerReferences, undefined, 'it stays the user’s');
  assert.equal(metadata.labels, undefined);
});

void test('leaves a group unchanged when it is removed from the list', async () => {
  await platform.patch({ spec: { consumerGroups: [] } });
  await until('the group to leave the status', LIMIT_MS, async () => (await groupOf(GROUP)) === undefined);
  assert.equal((await deployed()).spec.replicas, 1);
});

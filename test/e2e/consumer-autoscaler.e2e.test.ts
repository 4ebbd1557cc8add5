/** A ConsumerAutoscaler on a cluster: a Deployment that is no part of a platform scales on the lag of its own consumer group. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Admin, Kafka, Producer } from 'kafkajs';
import { kafkaAt } from '../../local/src/demo/kafka.ts';
import { until } from '../../local/src/demo/platform.ts';
import { Environment, MINUTE, NAMESPACE, PLATFORM, secondsSince } from './environment.ts';
import { DeploymentWatch } from './watch.ts';

const NAME = 'shipper';
const TOPIC = 'orders.e2e';
const GROUP = 'shipping';
const PARTITIONS = 6;
const MAX_REPLICAS = 3;
/** Of one replica, by its pause after each message. */
const MESSAGE_MS = 10;
const EVENTS = 6000;
const BATCH = 500;

let env: Environment;
let kafka: Kafka;
let admin: Admin;
let producer: Producer;

/** A consumer that takes MESSAGE_MS for a message and commits once a second. It has no package of its own but the Kafka client. */
const CONSUMER = `
import { setTimeout as pause } from 'node:timers/promises';
import { Kafka } from 'kafkajs';
const kafka = new Kafka({ clientId: '${NAME}', brokers: ['${PLATFORM}-kafka:9092'] });
const consumer = kafka.consumer({ groupId: '${GROUP}' });
process.once('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)));
await consumer.connect();
await consumer.subscribe({ topics: ['${TOPIC}'], fromBeginning: true });
await consumer.run({ autoCommitInterval: 1000, eachMessage: () => pause(${MESSAGE_MS}) });
`;

async function deployment(): Promise<object> {
  const image = ['get', 'deployment', `${PLATFORM}-gateway`, '-n', NAMESPACE, '-o', 'jsonpath={.spec.template.spec.containers[0].image}'];
  const labels = { app: NAME };
  const container = {
    name: NAME,
    image: (await env.kubectl.run(image)).trim(),
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '--input-type=module', '-e', CONSUMER],
    workingDir: '/app/workloads',
    resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '160Mi' } },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
  };
  const pod = { securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { ...pod, automountServiceAccountToken: false, containers: [container] } },
    },
  };
}

const AUTOSCALER = {
  apiVersion: 'bss-platform.io/v1alpha1',
  kind: 'ConsumerAutoscaler',
  metadata: { name: NAME, namespace: NAMESPACE },
  spec: {
    scaleTargetRef: { name: NAME },
    group: GROUP,
    topics: [TOPIC],
    brokers: [`${PLATFORM}-kafka.${NAMESPACE}:9092`],
    maxDelay: '15s',
    maxReplicas: MAX_REPLICAS,
  },
};

interface Autoscaler {
  readonly status?: {
    readonly lag?: number;
    readonly replicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
  };
}

async function autoscaler(): Promise<Autoscaler> {
  return env.kubectl.json<Autoscaler>(['get', 'consumerautoscaler', NAME, '-n', NAMESPACE]);
}

before(
  async () => {
    env = await Environment.start();
    kafka = kafkaAt(await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092));
    [admin, producer] = [kafka.admin(), kafka.producer({ allowAutoTopicCreation: false })];
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS, replicationFactor: 1 }], waitForLeaders: true });
    await env.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(await deployment()) });
    await env.kubectl.run(['rollout', 'status', `deployment/${NAME}`, '-n', NAMESPACE, '--timeout=120s']);
  },
  { timeout: 20 * MINUTE },
);

after(
  async () => {
    if (env === undefined) return;
    try {
      await env.kubectl.run(['delete', `consumerautoscaler/${NAME}`, `deployment/${NAME}`, '-n', NAMESPACE, '--ignore-not-found']);
      await admin?.deleteTopics({ topics: [TOPIC] });
      await Promise.all([admin?.disconnect(), producer?.disconnect()]);
    } finally {
      await env.end();
    }
  },
  { timeout: 2 * MINUTE },
);

test('is Ready once it has measured the group', { timeout: 2 * MINUTE }, async (t) => {
  const applied = Date.now();
  await env.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(AUTOSCALER) });
  await env.kubectl.run(['wait', '--for=condition=Ready', `consumerautoscaler/${NAME}`, '-n', NAMESPACE, '--timeout=60s']);
  t.diagnostic(`Ready ${secondsSince(applied)} s after it was applied`);
  assert.equal((await autoscaler()).status?.lag, 0);
});

test('adds replicas for the lag, and takes them back when it is gone', { timeout: 5 * MINUTE }, async (t) => {
  const watch = await DeploymentWatch.start(env.kubectl, NAMESPACE, NAME);
  try {
    const sent = Date.now();
    for (let first = 0; first < EVENTS; first += BATCH) {
      const messages = Array.from({ length: BATCH }, (_, index) => ({ key: `order-${first + index}`, value: '{}' }));
      await producer.send({ topic: TOPIC, messages });
    }
    await watch.until((replicas) => replicas > 1, MINUTE);
    await until('the group to commit every event', 2 * MINUTE, async () => (await lag()) === 0);
    t.diagnostic(`${EVENTS} events of ${MESSAGE_MS} ms each: no lag after ${secondsSince(sent)} s; replicas: ${watch.describe(sent)}`);
    assert.equal(watch.most(sent), MAX_REPLICAS, 'one replica would need a minute, and no event may wait for more than 15 s');
    await watch.until((replicas) => replicas === 1, 2 * MINUTE);
    t.diagnostic(`replicas: ${watch.describe(sent)}`);
    const events = await env.kubectl.run(['get', 'events', '-n', NAMESPACE, '--field-selector', 'involvedObject.kind=ConsumerAutoscaler']);
    assert.match(events, /ScaledUp/);
  } finally {
    watch.stop();
  }
});

/** Of the whole topic, by the brokers' own figures. A partition without a commit lacks all its messages. */
async function lag(): Promise<number> {
  const [ends, [group]] = await Promise.all([admin.fetchTopicOffsets(TOPIC), admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] })]);
  const committed = new Map(group?.partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
  return ends.reduce((sum, { partition, high }) => sum + Number(high) - (committed.get(partition) ?? 0), 0);
}

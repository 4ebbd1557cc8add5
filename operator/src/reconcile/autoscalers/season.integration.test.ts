/** What was learned of a load that repeats survives an operator that is killed: a real Kafka, a real API server, and operators as processes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Kafka, logLevel, type Consumer, type Producer } from 'kafkajs';
import { API_VERSION, AUTOSCALER_KIND } from '../../api/index.ts';
import { initialSeason, lastBin, observeSeason } from '../../autoscale/season.ts';
import { seasonText } from '../../autoscale/season-text.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import type { AutoscalerObject } from '../scaling/claims.ts';
import { Cluster, LIMIT_MS, until } from '../testing/cluster.ts';
import { commitStart } from '../testing/consumer-group.ts';

const NAMESPACE = 'shop';
const TOPIC = 'orders';
const PARTITIONS = 6;
/** The one has a season in its status, the other does not. */
const [SEASONAL, PLAIN] = ['seasonal', 'plain'];
const TICK_MS = 200;
/** Events per second that were always there before: three replicas' work. */
const BEFORE = 300;
const RATE = 100;

let cluster: Cluster;
let producer: Producer;
let tick: NodeJS.Timeout;
const consumers: Consumer[] = [];

before(
  async () => {
    cluster = await Cluster.start({ namespaces: [NAMESPACE], operator: false });
    const kafka = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } });
    const admin = kafka.admin();
    producer = kafka.producer();
    await Promise.all([admin.connect(), producer.connect()]);
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: false });
    for (const group of [SEASONAL, PLAIN]) {
      await commitStart(admin, group, TOPIC, PARTITIONS);
      consumers.push(await consume(kafka, group));
      await deploy(group);
    }
    await admin.disconnect();
    // A load that one replica carries with ease.
    const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, value: 'x' }));
    tick = setInterval(() => void producer.send({ topic: TOPIC, messages }).catch(() => undefined), TICK_MS);
    for (const group of [SEASONAL, PLAIN]) await apply(group);
  },
  { timeout: 600_000 },
);
after(async () => {
  clearInterval(tick);
  await Promise.all([...consumers.map((consumer) => consumer.disconnect()), producer?.disconnect()]);
  await cluster?.stop();
});

async function consume(kafka: Kafka, groupId: string): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 500 });
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run({ autoCommitInterval: 500, eachMessage: async () => undefined });
  return consumer;
}

async function deploy(name: string): Promise<void> {
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'worker', image: 'worker' }] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  await cluster.client.create({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: NAMESPACE }, spec });
}

const reference = (name: string) => ({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, name, namespace: NAMESPACE });
const deployment = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name, namespace: NAMESPACE });

/** With the status that an operator wrote which has seen the load for hours. */
async function apply(name: string): Promise<void> {
  const spec = { scaleTargetRef: { name }, group: name, topics: [TOPIC], brokers: cluster.brokers, maxReplicas: 6 };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name, namespace: NAMESPACE }, spec });
  const status = {
    subject: `${name} (${TOPIC}) of Deployment ${name}`,
    learned: { ratePerReplica: RATE, startupSeconds: 5, observations: 9 },
    ...(name === SEASONAL ? { season: hoursOf(BEFORE) } : {}),
  };
  await cluster.client.patch(reference(name), { status }, { subresource: 'status' });
}

/** The text of a season with the same arrivals in every five minutes of the last three hours. */
function hoursOf(perSecond: number): string {
  let season = initialSeason();
  const now = Date.now();
  for (let minutes = 185; minutes >= 5; minutes -= 5) season = observeSeason(season, now - minutes * 60_000, perSecond);
  return seasonText(season, lastBin(season) ?? 0) ?? assert.fail('no season');
}

interface Scaled extends KubernetesObject {
  spec: { replicas: number };
}

const replicasOf = async (name: string) => (await cluster.client.get<Scaled>(deployment(name))).spec.replicas;
const statusOf = async (name: string) => (await cluster.client.get<AutoscalerObject>(reference(name))).status;

/** Waits until the operator has added the replicas that the season asks for, and says so. */
async function prepared(): Promise<void> {
  await until(
    'the replicas for what has arrived at this time before',
    LIMIT_MS,
    async () => (await replicasOf(SEASONAL)) >= BEFORE / RATE,
  ).catch(async (error: unknown) =>
    assert.fail(`${String(error)}: ${JSON.stringify(await statusOf(SEASONAL))}\n${cluster.log.slice(-2000)}`),
  );
  await until('an event with the reason', LIMIT_MS, async () => {
    const { items } = await cluster.client.list({ apiVersion: 'events.k8s.io/v1', kind: 'Event' }, { namespace: NAMESPACE });
    return items.some(({ note }) => /^seasonal up from 1 to \d: .*at this time of the hour more has arrived before/.test(String(note)));
  });
}

void test('prepares for what repeats after an operator was killed, and after the next one was too', { timeout: 600_000 }, async () => {
  const { season } = (await statusOf(SEASONAL)) ?? {};
  await cluster.startOperator();
  await prepared();
  await cluster.operator.stop('SIGKILL');
  await cluster.client.patch(deployment(SEASONAL), { spec: { replicas: 1 } });
  await cluster.startOperator();
  await prepared();
  assert.equal((await statusOf(SEASONAL))?.season, season, 'nothing of it is lost, and less than an hour is no news');
  const plain = await until('the other group to be scaled by its load', LIMIT_MS, async () => {
    const status = await statusOf(PLAIN);
    return (status?.arrivalRate ?? 0) > 0 && status;
  });
  assert.deepEqual([await replicasOf(PLAIN), plain.season], [1, undefined], 'its load alone needs no more');
});

/**
 * `node operator/src/reconcile/testing/autoscaler-benchmark.ts [groups…]`: what the autoscaling of consumer groups costs the operator, on a real API server and a
 * real Kafka with live members. Prints the figures and writes docs/results/autoscaler-cost.md.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir, totalmem } from 'node:os';
import { join as pathOf } from 'node:path';
import process from 'node:process';
import { Kafka, logLevel, type Consumer, type Producer } from 'kafkajs';
import { API_VERSION, AUTOSCALER_KIND } from '../../api/index.ts';
import { until } from '../../runtime/testing/harness.ts';
import { Cluster } from './cluster.ts';
import { connectionsTo, consumption, type Consumption } from './process-usage.ts';

const COUNTS = process.argv.slice(2).map(Number);
const STEPS = COUNTS.length > 0 ? COUNTS : [0, 1, 17, 200];
const SECONDS = 60;
const PARTITIONS = 6;
const NAMESPACE = 'shop';
const LIMIT_MS = 10 * 60_000;
/** Consumers that join at the same time. */
const AT_ONCE = 8;
/** Each topic gets one event a second and its consumer commits every five: the lag is never zero for long. */
const PRODUCE_EVERY_MS = 1000;
const COMMIT_EVERY_MS = 5000;
const RESULT = new URL('../../../../docs/results/autoscaler-cost.md', import.meta.url);

interface Step extends Consumption {
  readonly groups: number;
  readonly connections: number;
  readonly writes: number;
  /** Groups whose lag is in the metrics. */
  readonly measured: number;
}

const topicOf = (index: number) => `orders-${index}`;
const groupOf = (index: number) => `shipping-${index}`;

/** Live groups: topics with events, and a member for each that consumes and commits. */
class Load {
  readonly #kafka: Kafka;
  readonly #producer: Producer;
  readonly #consumers: Consumer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<unknown> = Promise.resolve();

  constructor(brokers: string[]) {
    this.#kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 1000 } });
    this.#producer = this.#kafka.producer({ allowAutoTopicCreation: false });
  }

  async start(): Promise<void> {
    await this.#producer.connect();
    this.#timer = setInterval(() => void (this.#sending = this.#send().catch(() => undefined)), PRODUCE_EVERY_MS);
  }

  async #send(): Promise<void> {
    const messages = [{ value: 'an event' }];
    const topicMessages = this.#consumers.map((_, index) => ({ topic: topicOf(index), messages }));
    if (topicMessages.length > 0) await this.#producer.sendBatch({ topicMessages });
  }

  /** Makes topics and members up to a number of groups. */
  async grow(count: number): Promise<void> {
    const from = this.#consumers.length;
    const added = Array.from({ length: count - from }, (_, index) => from + index);
    const admin = this.#kafka.admin();
    await admin.connect();
    const topics = added.map((index) => ({ topic: topicOf(index), numPartitions: PARTITIONS }));
    if (topics.length > 0) await admin.createTopics({ topics, waitForLeaders: true, timeout: 60_000 });
    await admin.disconnect();
    const join = async (): Promise<void> => {
      for (let index = added.shift(); index !== undefined; index = added.shift()) this.#consumers[index] = await this.#member(index);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, join));
  }

  async #member(index: number): Promise<Consumer> {
    const consumer = this.#kafka.consumer({ groupId: groupOf(index), sessionTimeout: 60_000, maxWaitTimeInMs: 5000 });
    await consumer.connect();
    await consumer.subscribe({ topic: topicOf(index), fromBeginning: true });
    const joined = new Promise<void>((resolve) => consumer.on(consumer.events.GROUP_JOIN, () => resolve()));
    await consumer.run({ autoCommitInterval: COMMIT_EVERY_MS, eachMessage: () => Promise.resolve() });
    await joined;
    return consumer;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await Promise.all([this.#producer.disconnect(), ...this.#consumers.map((consumer) => consumer.disconnect())]);
  }
}

/** A Deployment for a group, and the resource that scales it. */
async function scaled({ client, brokers }: Cluster, index: number): Promise<void> {
  const name = groupOf(index);
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'worker', image: 'worker' }] } };
  const metadata = { name, namespace: NAMESPACE };
  await client.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata,
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  });
  const spec = { scaleTargetRef: { name }, group: name, topics: [topicOf(index)], brokers, maxReplicas: PARTITIONS };
  await client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata, spec });
}

async function measuredGroups(cluster: Cluster): Promise<number> {
  return (await cluster.operator.metrics()).match(/^bss_consumer_group_lag\{.*\} \d/gm)?.length ?? 0;
}

async function step(cluster: Cluster, load: Load, { from, groups }: { from: number; groups: number }): Promise<Step> {
  await load.grow(groups);
  for (let index = from; index < groups; index += 1) await scaled(cluster, index);
  await until(`${groups} groups to be measured`, LIMIT_MS, async () => (await measuredGroups(cluster)) === groups);
  const writes = (await cluster.writes()).length;
  const used = await consumption(cluster.operator.pid, SECONDS);
  const ports = cluster.brokers.map((broker) => Number(broker.split(':')[1]));
  return {
    ...used,
    groups,
    connections: await connectionsTo(cluster.operator.pid, ports),
    writes: (await cluster.writes()).length - writes,
    measured: await measuredGroups(cluster),
  };
}

function table(steps: readonly Step[]): string {
  const [idle] = steps;
  const rows = steps.map(({ groups, cpu, seconds, rss, peak, connections, writes, measured }) => {
    const perMinute = (60 * cpu) / seconds;
    const own = groups === 0 || idle === undefined ? '' : ((perMinute - (60 * idle.cpu) / idle.seconds) / groups).toFixed(3);
    const cells = [
      groups,
      measured,
      perMinute.toFixed(2),
      own,
      Math.round(rss),
      Math.round(peak),
      connections,
      Math.round((60 * writes) / seconds),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    '| groups | measured | processor, s per minute | of it per group | memory (RSS), MiB | peak, MiB | connections to Kafka | writes to the API per minute |',
    '|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...rows,
  ].join('\n');
}

function page(steps: readonly Step[], load: string): string {
  return `# What autoscaling costs the operator

Written by \`make bench-autoscaler\` on ${new Date().toISOString().slice(0, 10)}; all rows come from one run.

${table(steps)}

- A group here: a ConsumerAutoscaler and a Deployment, a topic with ${PARTITIONS} partitions and one event a second, one live member that commits every ${COMMIT_EVERY_MS / 1000} s.
- Each row is the median or the sum of ${SECONDS} s, after every group was measured. The first row is the operator without groups.
- All groups have the same brokers, and share the connections to them.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load}. API server, etcd, Kafka, members, operator and benchmark share it.
- The operator is a process of its own with the chart's rights, the chart's \`NODE_OPTIONS\` and a compile cache, as in the image.
`;
}

const before = loadavg()[0]?.toFixed(1);
// As the image has it; the first operator fills it.
const compiled = await mkdtemp(pathOf(tmpdir(), 'bss-operator-'));
const cluster = await Cluster.start({ namespaces: [NAMESPACE], environment: { NODE_COMPILE_CACHE: compiled } });
const load = new Load(cluster.brokers);
try {
  await load.start();
  const steps: Step[] = [];
  for (const [index, groups] of STEPS.entries()) {
    console.log(`[${index + 1}/${STEPS.length}] ${groups} groups`);
    steps.push(await step(cluster, load, { from: STEPS[index - 1] ?? 0, groups }));
    console.log(table(steps));
  }
  if (COUNTS.length === 0) await writeFile(RESULT, page(steps, `${before} before and ${loadavg()[0]?.toFixed(1)} after`));
} catch (error) {
  console.error(
    `the operator ${cluster.operator.running ? 'runs' : 'has ended'}; its last lines:\n${cluster.log.split('\n').slice(-15).join('\n')}`,
  );
  throw error;
} finally {
  await load.stop();
  await cluster.stop();
  await rm(compiled, { recursive: true });
}

/**
 * The loop as a whole: a real broker, real consumers as the pods of a Deployment that lives in this process.
 * Runs alone: it measures rates and how soon the loop reacts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import type { Consumer, Producer } from 'kafkajs';
import { startServices } from '../../../local/src/services/index.ts';
import type { KafkaService } from '../../../local/src/services/index.ts';
import { Autoscaler } from './autoscaler.ts';
import { withDefaults } from './policy.ts';
import { recordingSchema } from './recording.ts';
import { replay } from './simulator/replay.ts';
import type { ConsumerGroupStatus, ScaleClient, ScaleEvent } from './types.ts';

const PLATFORM = 'ns/demo';
const TOPIC = 'load';
const GROUP = 'workers';
const PARTITIONS = 6;
/** What one consumer takes for one message: it does some 150 a second. */
const WORK_MS = 5;

/** A Deployment whose pods are consumers in this process. */
class Workers implements ScaleClient {
  replicas = 1;
  others: string[] = [];
  readonly #kafka: Kafka;
  readonly #pods: Promise<Consumer>[] = [];
  readonly #leaving = new Set<Promise<void>>();
  #ready = 0;

  constructor(kafka: Kafka) {
    this.#kafka = kafka;
  }

  async read(): Promise<{ replicas: number; ready: number; rollingOut: boolean }> {
    return { replicas: this.replicas, ready: Math.min(this.#ready, this.replicas), rollingOut: false };
  }

  async setReplicas(_namespace: string, _deployment: string, replicas: number): Promise<void> {
    this.replicas = replicas;
    while (this.#pods.length < replicas) this.#pods.push(this.#start());
    while (this.#pods.length > replicas) this.#remove();
  }

  async rivals(): Promise<string[]> {
    return this.others;
  }

  async stop(): Promise<void> {
    while (this.#pods.length > 0) this.#remove();
    await Promise.all(this.#leaving);
  }

  /** A pod is gone from the Deployment at once, and leaves its group in its own time. */
  #remove(): void {
    this.#leaving.add(this.#stop(this.#pods.pop()));
  }

  async #start(): Promise<Consumer> {
    const consumer = this.#kafka.consumer({ groupId: GROUP, heartbeatInterval: 500, sessionTimeout: 10_000, maxBytesPerPartition: 2000 });
    await consumer.connect();
    await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
    await consumer.run({
      autoCommitInterval: 500,
      eachMessage: async () => {
        await delay(WORK_MS);
      },
    });
    this.#ready++;
    return consumer;
  }

  async #stop(pod: Promise<Consumer> | undefined): Promise<void> {
    const consumer = await pod;
    this.#ready--;
    await consumer?.disconnect();
  }
}

describe('autoscaler with real consumers', { timeout: 240_000 }, () => {
  let kafka: KafkaService;
  let stopServices: () => Promise<void>;
  let producer: Producer;
  let workers: Workers;
  let autoscaler: Autoscaler;
  const events: ScaleEvent[] = [];

  before(async () => {
    const services = await startServices({ kafka: true }, { own: true });
    ({ kafka } = services);
    stopServices = async () => services.stop();
    const client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING, retry: { retries: 30, maxRetryTime: 500 } });
    const admin = client.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS }], waitForLeaders: false });
    await admin.disconnect();
    producer = client.producer();
    await producer.connect();
    workers = new Workers(client);
    await workers.setReplicas('', '', 1);
    autoscaler = new Autoscaler({ scale: workers, onEvent: (_platform, event) => events.push(event) });
    const policy = withDefaults({ maxReplicas: PARTITIONS, scaleDownWindowSeconds: 10 });
    autoscaler.start();
    autoscaler.setTargets(PLATFORM, [{ group: GROUP, topics: [TOPIC], namespace: 'ns', deployment: 'workers', policy }], {
      brokers: kafka.brokers,
    });
  });

  after(async () => {
    await autoscaler.stop();
    await workers.stop();
    await producer.disconnect();
    await stopServices();
  });

  const status = () => autoscaler.snapshot(PLATFORM)[0] ?? assert.fail('no group');
  const send = async (count: number) =>
    producer.send({ topic: TOPIC, messages: Array.from({ length: count }, (_, index) => ({ partition: index % PARTITIONS, value: 'x' })) });

  it('goes up for a burst, drains it, learns the rate, and goes down again', async () => {
    await until('a settled group', () => status().groupState === 'Stable' && status().members === 1);
    await send(6000);
    await until('a scale-up', () => workers.replicas > 1, 15_000);
    await until('the backlog to be gone', () => status().lag === 0, 60_000);
    const { learned } = status();
    assert.ok(learned !== null && learned.ratePerReplica > 50 && learned.ratePerReplica < 250, JSON.stringify(learned));
    await until('a scale-down to one', () => workers.replicas === 1, 60_000);
    const acts = events.filter(({ type }) => type === 'Normal').map(({ reason }) => reason);
    assert.deepEqual([...new Set(acts)], ['ScaledUp', 'ScaledDown']);
  });

  it('has recorded all that, to be read again and replayed under another policy', async () => {
    await until('two looks more', () => (autoscaler.recording(PLATFORM)?.groups[0]?.decisions.length ?? 0) >= 8);
    const recording = recordingSchema.parse(JSON.parse(JSON.stringify(autoscaler.recording(PLATFORM))));
    const [group = assert.fail('no group')] = recording.groups;
    assert.ok(group.decisions.some(({ from, to }) => to > from) && group.decisions.some(({ from, to }) => to < from));
    assert.equal(group.shares.length, PARTITIONS);
    const { recorded, modelled, replayed } = replay(group, { ...group.policy, maxReplicas: 1 });
    // Half a minute is a few looks: one look more or less before a scale-down is much of it.
    assert.ok(recorded.lagIntegral > 0 && recorded.scaleActions >= 2, JSON.stringify(recorded));
    assert.ok(replayed.podSeconds < modelled.podSeconds && replayed.lagIntegral > modelled.lagIntegral);
    assert.equal(autoscaler.recording('nobody'), undefined);
  });

  it('holds while the broker is frozen and goes on within 15 s of its return', async () => {
    await workers.setReplicas('', '', 3);
    await until('the change to be seen', () => status().replicas === 3);
    await send(4000);
    await until('a backlog', () => (status().lag ?? 0) > 500);
    kafka.freeze();
    await until('an unknown lag', () => status().reason === 'LagUnknown');
    assert.equal(status().lag, null);
    const held = workers.replicas;
    const frozen = status().counters.unusableSamples;
    await until('several looks in vain', () => status().counters.unusableSamples > frozen + 2);
    assert.equal(workers.replicas, held);
    kafka.thaw();
    await until('a known lag', () => status().lag !== null, 15_000);
  });

  it('yields to another scaler and says so', async () => {
    const rivalled = new Autoscaler({ scale: Object.assign(workers, { others: ['HorizontalPodAutoscaler/other'] }) });
    rivalled.start();
    const policy = withDefaults({ minReplicas: 2, maxReplicas: PARTITIONS });
    rivalled.setTargets('other', [{ group: GROUP, topics: [TOPIC], namespace: 'ns', deployment: 'workers', policy }], {
      brokers: kafka.brokers,
    });
    const other = (): ConsumerGroupStatus => rivalled.snapshot('other')[0] ?? assert.fail();
    await until('the rival to be named', () => other().reason === 'ForeignScaler');
    assert.deepEqual(
      other().problems.map(({ type }) => type),
      ['ForeignScaler'],
    );
    assert.equal(other().counters.scaleUps, 0);
    await rivalled.stop();
  });

  it('keeps what it learnt when a platform is set again, and forgets a removed one', async () => {
    const { learned } = status();
    const second = new Autoscaler({ scale: workers });
    const target = { group: GROUP, topics: [TOPIC], namespace: 'ns', deployment: 'workers', policy: withDefaults({}) };
    second.setTargets('p', [learned === null ? target : { ...target, learned }], { brokers: kafka.brokers });
    assert.deepEqual(second.snapshot('p')[0]?.learned, learned);
    second.remove('p');
    assert.deepEqual(second.snapshot('p'), []);
    await second.stop();
  });
});

/** Waits for a condition. */
async function until(what: string, holds: () => boolean, limitMs = 40_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `not within ${limitMs} ms: ${what}`);
    await delay(50);
  }
}

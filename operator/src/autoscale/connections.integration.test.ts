/** Resources that name the same brokers share a connection: counted by the kernel at the port of a real broker. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Kafka, logLevel, type Admin } from 'kafkajs';
import { startServices, type KafkaService } from '../../../local/src/services/index.ts';
import { Autoscaler } from './autoscaler.ts';
import { withDefaults } from './policy.ts';
import { Sampler } from './sampler.ts';
import type { KafkaConnection, ScaleClient } from './types.ts';

const TOPICS = ['orders', 'refunds'];
const RESOURCES = 50;
/** Of one client: the one that it begins with, and one to the broker. */
const OF_ONE_CLIENT = 2;

const scale: ScaleClient = {
  read: async () => ({ replicas: 1, ready: 1, rollingOut: false }),
  setReplicas: async () => undefined,
  rivals: async () => [],
};

describe('connections of many resources', { timeout: 900_000 }, () => {
  let kafka: KafkaService;
  let stop: () => Promise<void>;
  let client: Kafka;

  before(async () => {
    const services = await startServices({ kafka: true }, { own: true });
    ({ kafka } = services);
    stop = () => services.stop();
    client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } });
    await withAdmin(async (admin) => {
      await admin.createTopics({ topics: TOPICS.map((topic) => ({ topic, numPartitions: 2 })), waitForLeaders: false });
      for (const topic of TOPICS) await until(async () => (await admin.fetchTopicOffsets(topic).catch(() => [])).length === 2);
      // The first request for a group has the broker create its topic of offsets.
      await until(() => admin.fetchOffsets({ groupId: 'g', topics: TOPICS }).then(Boolean, () => false));
    });
  });
  after(() => stop());

  /** Its connections do not count. */
  async function withAdmin(act: (admin: Admin) => Promise<void>): Promise<void> {
    const admin = client.admin();
    await admin.connect();
    try {
      await act(admin);
    } finally {
      await admin.disconnect();
    }
  }

  const connections = () => establishedAt(Number(kafka.brokers[0]?.split(':')[1]));

  function autoscalerOf(t: TestContext): Autoscaler {
    const autoscaler = new Autoscaler({ scale });
    t.after(() => autoscaler.stop());
    autoscaler.start();
    return autoscaler;
  }

  const add = (autoscaler: Autoscaler, key: string, topic = 'orders', connection: Partial<KafkaConnection> = {}) =>
    autoscaler.setTargets(key, [{ group: `group-of-${key}`, topics: [topic], namespace: 'n', deployment: key, policy: withDefaults({}) }], {
      brokers: kafka.brokers,
      ...connection,
    });

  const counters = (autoscaler: Autoscaler, key: string) => autoscaler.snapshot(key)[0]?.counters;
  /** Waits until each of them was looked at: on a busy machine a look may fail, and it needs a connection all the same. */
  const looked = (autoscaler: Autoscaler, keys: readonly string[], times: number) =>
    until(async () => keys.every((key) => (counters(autoscaler, key)?.samples ?? 0) >= times));
  /** Waits until each of them was sampled so many more times. */
  const sampled = (autoscaler: Autoscaler, keys: readonly string[], times: number) => {
    const samples = (key: string) => {
      const { samples: all = 0, unusableSamples: failed = 0 } = counters(autoscaler, key) ?? {};
      return all - failed;
    };
    const earlier = new Map(keys.map((key) => [key, samples(key)]));
    return until(async () => keys.every((key) => samples(key) >= (earlier.get(key) ?? 0) + times));
  };
  /** Samples until each has been sampled so many more times; why samples failed meanwhile, of all of them. */
  const reasonsWhile = async (autoscaler: Autoscaler, keys: readonly string[], times: number) => {
    const reasons = new Set<string>();
    const watch = setInterval(() => {
      for (const key of keys) reasons.add(autoscaler.snapshot(key)[0]?.unusable ?? 'none');
    }, 50);
    await sampled(autoscaler, keys, times).finally(() => clearInterval(watch));
    return reasons;
  };

  /** A look that fails on a busy machine opens a second connection before it ends the first. */
  const shared = () => until(async () => [1, OF_ONE_CLIENT].includes(await connections()));

  it(`has those of one client for ${RESOURCES} resources of one namespace, and closes them with the last resource`, async (t) => {
    const autoscaler = autoscalerOf(t);
    const keys = Array.from({ length: RESOURCES }, (_, index) => `shop/consumerautoscalers/${index}`);
    for (const key of keys) add(autoscaler, key);
    await looked(autoscaler, keys, 2);
    await shared();
    const together = await connections();
    const [last = '', ...others] = keys;
    for (const key of others) autoscaler.remove(key);
    await sampled(autoscaler, [last], 1);
    await shared();
    autoscaler.remove(last);
    await until(async () => (await connections()) === 0);
    for (const [index, key] of keys.entries()) add(autoscaler, `${index}/${key}`);
    // Namespaces share nothing.
    await until(async () => (await connections()) >= RESOURCES);
    t.diagnostic(`${RESOURCES} resources: ${together} connections in one namespace, ${await connections()} in ${RESOURCES} namespaces`);
  });

  it('moves a resource with other credentials to a connection of its own, and disturbs nobody', async (t) => {
    const autoscaler = autoscalerOf(t);
    const keys = ['shop/consumerautoscalers/a', 'shop/consumerautoscalers/b'];
    const [first = '', second = ''] = keys;
    for (const key of keys) add(autoscaler, key);
    await sampled(autoscaler, keys, 1);
    // This broker takes no logins: that it refuses one shows that the resource has left the shared connection.
    add(autoscaler, second, 'orders', { sasl: { mechanism: 'plain', username: 'a', password: 'b' } });
    const failed = () => counters(autoscaler, second)?.unusableSamples ?? 0;
    const earlier = failed();
    await until(async () => failed() > earlier + 1);
    await sampled(autoscaler, [first], 2);
    add(autoscaler, second);
    await sampled(autoscaler, keys, 1);
    await shared();
  });

  it('reads the other resources on when the topic of one is deleted', async (t) => {
    const autoscaler = autoscalerOf(t);
    const keys = Array.from({ length: 6 }, (_, index) => `shop/consumerautoscalers/${index}`);
    const [deprived = '', ...others] = keys;
    add(autoscaler, deprived, 'refunds');
    for (const key of others) add(autoscaler, key);
    await sampled(autoscaler, keys, 1);
    await withAdmin((admin) => admin.deleteTopics({ topics: ['refunds'] }));
    await until(async () => autoscaler.snapshot(deprived)[0]?.unusable === 'UnknownTopic');
    // The look in which one of them notices may cost it a sample; after that, nobody asks for the topic.
    await sampled(autoscaler, others, 1);
    assert.ok(!(await reasonsWhile(autoscaler, others, 2)).has('UnknownTopic'));
  });

  it('keeps a connection that answers others, and replaces one that answers nobody', async (t) => {
    let opened = 0;
    let silent = false;
    const hanging = new Promise<never>(() => undefined);
    const sampler = new Sampler({ brokers: kafka.brokers }, (one) => {
      opened++;
      const real = one.admin();
      const fetchOffsets: Admin['fetchOffsets'] = (options) =>
        silent || options.groupId === 'slow' ? hanging : real.fetchOffsets(options);
      return { ...real, fetchOffsets };
    });
    t.after(() => sampler.close());
    const read = async (group: string) => (await sampler.read([{ group, topics: ['orders'] }])).get(group)?.ok;
    const slow = read('slow');
    assert.equal(await read('quick'), true);
    assert.equal(await slow, false);
    assert.equal(await read('quick'), true);
    assert.equal(opened, 1);
    silent = true;
    assert.equal(await read('quick'), false);
    silent = false;
    assert.equal(await read('quick'), true);
    assert.equal(opened, 2);
  });
});

/** Connections that are established at a local TCP port. */
async function establishedAt(port: number): Promise<number> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8')));
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const ESTABLISHED = '01';
  const rows = tables.flatMap((table) => table.trim().split('\n').slice(1)).map((row) => row.trim().split(/\s+/));
  return rows.filter(([, address = '', , state]) => address.endsWith(local) && state === ESTABLISHED).length;
}

/** Asks until the answer is yes. */
async function until(ask: () => Promise<boolean>, limitMs = 180_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await ask())) {
    assert.ok(Date.now() < deadline, `not within ${limitMs} ms`);
    await delay(100);
  }
}

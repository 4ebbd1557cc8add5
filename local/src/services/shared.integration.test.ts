/** Servers shared between test files: each file gets a Kafka for itself, without the topics and groups of the file before. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import { startApiServer, startServices, type ApiServer, type KafkaService } from './index.ts';
import { publishServers, SHARED_SERVERS } from './shared.ts';

describe('shared servers', () => {
  const former = process.env[SHARED_SERVERS];
  let folder: string;
  let kafka: KafkaService;
  let apiServer: ApiServer;
  let stopKafka: (() => Promise<void>) | undefined;

  before(async () => {
    delete process.env[SHARED_SERVERS];
    folder = await mkdtemp(join(tmpdir(), 'bss-shared-'));
    const [services, api] = await Promise.all([startServices({ kafka: true }, { own: true }), startApiServer({ own: true })]);
    [kafka, stopKafka, apiServer] = [services.kafka, () => services.stop(), api];
    process.env[SHARED_SERVERS] = await publishServers(folder, [kafka], apiServer);
  });
  after(async () => {
    if (former === undefined) delete process.env[SHARED_SERVERS];
    else process.env[SHARED_SERVERS] = former;
    await Promise.all([stopKafka?.(), apiServer?.stop(), rm(folder, { recursive: true, force: true })]);
  });

  test('a shared Kafka is leased to one caller at a time, and is empty for the next one', async () => {
    const first = await startServices({ kafka: true });
    assert.deepEqual(first.kafka.brokers, kafka.brokers);
    await fillKafka(first.kafka.brokers);

    const second = await startServices({ kafka: true });
    assert.notDeepEqual(second.kafka.brokers, kafka.brokers, 'the shared one is taken');
    await Promise.all([first.stop(), second.stop()]);

    const third = await startServices({ kafka: true });
    assert.deepEqual(third.kafka.brokers, kafka.brokers);
    assert.deepEqual(await contents(third.kafka.brokers), { topics: [], groups: [] });
    await third.stop();
  });

  test('a test that wants its own Kafka gets its own', async () => {
    const own = await startServices({ kafka: true }, { own: true });
    assert.notDeepEqual(own.kafka.brokers, kafka.brokers);
    await own.stop();
  });

  test('a shared server cannot be stopped by one of its users', async () => {
    const shared = await startServices({ kafka: true });
    assert.throws(() => shared.kafka.kill(), /pass \{ own: true \}/);
    assert.throws(() => shared.kafka.freeze(), /Kafka is shared/);
    await shared.stop();
    assert.deepEqual(await contents(kafka.brokers), { topics: [], groups: [] });
  });

  test('the API server is shared unless a test asks for its own or for an audit log', async () => {
    const shared = await startApiServer();
    assert.equal(shared.url, apiServer.url);
    await shared.stop();
    for (const options of [{ own: true }, { audit: true }]) {
      const own = await startApiServer(options);
      assert.notEqual(own.url, apiServer.url, JSON.stringify(options));
      await own.stop();
    }
  });
});

/** A topic with one record, and a group that has committed its position there. */
async function fillKafka(brokers: string[]): Promise<void> {
  await withAdmin(brokers, async (admin) => {
    await admin.createTopics({ topics: [{ topic: 'left-behind', numPartitions: 3 }], waitForLeaders: true });
    await admin.setOffsets({ groupId: 'left-behind', topic: 'left-behind', partitions: [{ partition: 0, offset: '0' }] });
  });
}

function contents(brokers: string[]): Promise<{ topics: string[]; groups: string[] }> {
  return withAdmin(brokers, async (admin) => ({
    topics: (await admin.listTopics()).filter((name) => !name.startsWith('__')),
    groups: (await admin.listGroups()).groups.map(({ groupId }) => groupId),
  }));
}

async function withAdmin<T>(brokers: string[], work: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

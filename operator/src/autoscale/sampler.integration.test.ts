import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Kafka, logLevel } from 'kafkajs';
import type { Admin, Consumer, Producer } from 'kafkajs';
import { startServices } from '../../../local/src/services/index.ts';
import type { KafkaService } from '../../../local/src/services/index.ts';
import { Group } from './group.ts';
import { withDefaults } from './policy.ts';
import { Sampler } from './sampler.ts';
import type { GroupReading } from './sampler.ts';

const PARTITIONS = 4;

describe('sampler against a real broker', { timeout: 180_000 }, () => {
  let kafka: KafkaService;
  let stop: () => Promise<void>;
  let client: Kafka;
  let admin: Admin;
  let producer: Producer;
  let sampler: Sampler;

  before(async () => {
    const services = await startServices({ kafka: true }, { own: true });
    ({ kafka } = services);
    stop = async () => services.stop();
    client = new Kafka({ brokers: kafka.brokers, logLevel: logLevel.NOTHING, retry: { retries: 20, maxRetryTime: 500 } });
    admin = client.admin();
    producer = client.producer();
    await admin.connect();
    await producer.connect();
    sampler = new Sampler({ brokers: kafka.brokers });
  });

  after(async () => {
    await sampler.close();
    await Promise.all([producer.disconnect(), admin.disconnect()]);
    await stop();
  });

  /** Waits for every leader to answer: a send that is refused by one of them is repeated in whole. */
  const create = async (topic: string) => {
    await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS }], waitForLeaders: false });
    await until(async () => ((await admin.fetchTopicOffsets(topic).catch(() => [])).length === PARTITIONS ? true : null));
  };
  const send = async (topic: string, perPartition: number, partitions = PARTITIONS) =>
    producer.send({
      topic,
      messages: Array.from({ length: perPartition * partitions }, (_, index) => ({ partition: index % partitions, value: 'x' })),
    });
  const readOne = async (group: string, topic: string) => (await sampler.read([{ group, topics: [topic] }])).get(group);

  it('reads a group that never committed from the start of its log', async () => {
    await create('untouched');
    await send('untouched', 5);
    // The first look ever has the broker create its offsets topic.
    const reading = await until(async () => readable(await readOne('untouched-group', 'untouched')));
    assert.deepEqual(
      reading.offsets.map(({ logStart, end, committed }) => ({ logStart, end, committed })),
      Array.from({ length: PARTITIONS }, () => ({ logStart: 0, end: 5, committed: -1 })),
    );
    assert.equal(reading.group.members, 0);
    assert.equal(reading.owners, null);
    assert.equal(status(reading).lag, 5 * PARTITIONS);
  });

  it('reads commits, members and owners of groups that consume, many groups at once', async () => {
    await create('busy');
    await send('busy', 10);
    const consumers = await Promise.all([consume('busy', 'busy-group'), consume('busy', 'busy-group'), consume('busy', 'other-group')]);
    try {
      const queries = ['busy-group', 'other-group'].map((group) => ({ group, topics: ['busy'] }));
      const readings = await until(async () => {
        const all = await sampler.read(queries);
        const settled = [...all.values()].every(
          (one) => one.ok && one.group.state === 'Stable' && one.offsets.every(({ committed }) => committed === 10),
        );
        const first = all.get('busy-group');
        return settled && first?.ok === true && first.group.members === 2 && new Set(first.owners).size === 2 ? all : null;
      });
      const pair = readings.get('busy-group');
      const single = readings.get('other-group');
      assert.ok(pair?.ok && single?.ok);
      assert.deepEqual(pair.owners?.toSorted(), [0, 0, 1, 1]);
      assert.deepEqual(single.owners, [0, 0, 0, 0]);
      assert.equal(status(pair).lag, 0);
    } finally {
      await Promise.all(consumers.map(async (consumer) => consumer.disconnect()));
    }
  });

  it('counts from the log start when retention has taken what was committed', async () => {
    await create('cut');
    await send('cut', 10);
    await admin.setOffsets({ groupId: 'cut-group', topic: 'cut', partitions: partitionsAt('2') });
    await admin.deleteTopicRecords({ topic: 'cut', partitions: partitionsAt('6') });
    const reading = await readOne('cut-group', 'cut');
    assert.ok(reading?.ok);
    assert.equal(status(reading).lag, 4 * PARTITIONS);
  });

  it('keeps the trouble of an unknown topic from the other groups', async () => {
    await create('present');
    const readings = await sampler.read([
      { group: 'lost', topics: ['absent', 'present'] },
      { group: 'found', topics: ['present'] },
    ]);
    assert.deepEqual(readings.get('lost'), { ok: false, reason: 'UnknownTopic', message: 'no such topic: absent' });
    assert.equal(readings.get('found')?.ok, true);
  });

  it('calls a recreated topic a jump once and then reads it anew', async () => {
    await create('again');
    await send('again', 8);
    const group = new Group(targetOf('again', 'again-group'));
    step(group, await readOne('again-group', 'again'));
    assert.equal(group.status().lag, 8 * PARTITIONS);
    await admin.deleteTopics({ topics: ['again'] });
    await until(async () => !(await admin.listTopics()).includes('again') || null);
    await create('again');
    await send('again', 1);
    const reading = await until(async () => {
      const one = await readOne('again-group', 'again');
      return one?.ok === true && one.offsets.every(({ end }) => end === 1) ? one : null;
    });
    step(group, reading);
    assert.equal(group.status().lag, null);
    assert.match(group.status().problems[0]?.message ?? '', /recreated/);
    step(group, await readOne('again-group', 'again'));
    assert.equal(group.status().lag, PARTITIONS);
  });

  it('tells transaction markers from records that wait', async () => {
    await create('marked');
    const transactional = client.producer({ transactionalId: 'marker', maxInFlightRequests: 1, idempotent: true });
    await transactional.connect();
    const transaction = await transactional.transaction();
    await transaction.send({ topic: 'marked', messages: [0, 1].map((partition) => ({ partition, value: 'x' })) });
    await transaction.commit();
    await transactional.disconnect();
    // Each of the two holds a record and a marker; the group has read the record of the first only.
    const suspects = [
      { name: 'marked/0', topic: 'marked', partition: 0, position: 1 },
      { name: 'marked/1', topic: 'marked', partition: 1, position: 0 },
    ];
    // The broker writes the markers after it has acknowledged the commit, and until then the records are not visible.
    await until(async () => ((await sampler.probe(suspects)).has('marked/1') ? null : true), 30_000);
    assert.deepEqual(await sampler.probe(suspects), new Set(['marked/0']));
  });

  it('says that a frozen broker is away within its time limit and goes on within 15 s of its return', async () => {
    await create('frozen');
    await readOne('frozen-group', 'frozen');
    kafka.freeze();
    const begun = Date.now();
    const reading = await readOne('frozen-group', 'frozen');
    const waited = Date.now() - begun;
    kafka.thaw();
    assert.ok(reading?.ok === false && reading.reason === 'BrokerAway', JSON.stringify(reading));
    assert.ok(waited < 15_000, `${waited} ms`);
    await backWithin(15_000, 'frozen-group', 'frozen');
  });

  it('says that a killed broker is away and goes on within 15 s of its return', async () => {
    await create('killed');
    await readOne('killed-group', 'killed');
    await kafka.kill();
    const reading = await readOne('killed-group', 'killed');
    assert.ok(reading?.ok === false && reading.reason === 'BrokerAway', JSON.stringify(reading));
    await kafka.start();
    await backWithin(15_000, 'killed-group', 'killed');
  });

  async function backWithin(limitMs: number, group: string, topic: string): Promise<void> {
    await until(async () => ((await readOne(group, topic))?.ok === true ? true : null), limitMs);
  }

  async function consume(topic: string, groupId: string): Promise<Consumer> {
    const consumer = client.consumer({ groupId, heartbeatInterval: 500 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ autoCommitThreshold: 1, eachMessage: async () => {} });
    return consumer;
  }
});

function readable(reading: GroupReading | undefined) {
  return reading?.ok === true ? reading : null;
}

function partitionsAt(offset: string): { partition: number; offset: string }[] {
  return Array.from({ length: PARTITIONS }, (_, partition) => ({ partition, offset }));
}

function targetOf(topic: string, group: string) {
  return { group, topics: [topic], namespace: 'n', deployment: 'd', policy: withDefaults({}) };
}

function step(group: Group, reading: GroupReading | undefined): void {
  assert.ok(reading !== undefined);
  group.step(Date.now(), reading, { deployment: { replicas: 1, ready: 1, rollingOut: false }, rivals: [] });
}

function status(reading: GroupReading) {
  const group = new Group(targetOf('t', 'g'));
  step(group, reading);
  return group.status();
}

/** Asks again and again until there is an answer. */
async function until<T>(ask: () => Promise<T | null>, limitMs = 30_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    assert.ok(Date.now() < deadline, `not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Brokers that refuse the credentials are told apart from brokers that are away: against a real broker that wants a password. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { startServices, type KafkaService } from '../../../local/src/services/index.ts';
import { Group } from './group.ts';
import { withDefaults } from './policy.ts';
import { Sampler } from './sampler.ts';
import type { GroupReading } from './sampler.ts';
import type { KafkaConnection } from './types.ts';

const TOPIC = 'guarded';
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

describe('brokers that want a password', { timeout: 120_000 }, () => {
  let kafka: KafkaService;
  let stop: () => Promise<void>;

  before(async () => {
    const services = await startServices({ kafka: true }, { kafkaSasl: true });
    ({ kafka } = services);
    stop = () => services.stop();
    const user = kafka.sasl ?? assert.fail('the broker has no user');
    const client = new Kafka({
      brokers: kafka.brokers,
      sasl: { mechanism: 'plain', ...user },
      logLevel: logLevel.NOTHING,
      retry: { retries: 20, maxRetryTime: 500 },
    });
    const admin = client.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 2 }], waitForLeaders: false });
    await admin.disconnect();
  });
  after(() => stop());

  function access(mechanism: (typeof MECHANISMS)[number], password?: string): KafkaConnection {
    const user = kafka.sasl ?? assert.fail('the broker has no user');
    return { brokers: kafka.brokers, sasl: { mechanism, username: user.username, password: password ?? user.password } };
  }

  async function look(sampler: Sampler): Promise<GroupReading> {
    return (await sampler.read([{ group: 'g', topics: [TOPIC] }])).get('g') ?? assert.fail('no reading');
  }

  /** The broker makes its offsets topic at the first look: until then the group has no coordinator. */
  async function readable(sampler: Sampler): Promise<GroupReading> {
    for (const deadline = Date.now() + 30_000; ; await delay(100)) {
      const reading = await look(sampler);
      if (reading.ok || reading.reason === 'CredentialsRefused' || Date.now() > deadline) return reading;
    }
  }

  for (const mechanism of MECHANISMS) {
    it(`takes the right password by ${mechanism}`, async () => {
      const sampler = new Sampler(access(mechanism));
      const reading = await readable(sampler);
      await sampler.close();
      assert.ok(reading.ok, JSON.stringify(reading));
      assert.equal(reading.offsets.length, 2);
    });

    it(`says of a wrong password by ${mechanism} that it is refused`, async () => {
      const sampler = new Sampler(access(mechanism, 'wrong'));
      const reading = await look(sampler);
      await sampler.close();
      assert.ok(!reading.ok && reading.reason === 'CredentialsRefused', JSON.stringify(reading));
      assert.doesNotMatch(reading.message, /wrong/, 'the password is in no message');
    });
  }

  it('shows a refusal as the reason of an unknown lag, holds, and goes on as soon as the password is right', async () => {
    const policy = withDefaults({});
    const group = new Group({ group: 'g', topics: [TOPIC], namespace: 'n', deployment: 'd', policy });
    const cluster = { deployment: { replicas: 3, ready: 3, rollingOut: false }, rivals: [] };
    const wrong = new Sampler(access('scram-sha-512', 'wrong'));
    const held = group.step(1000, await look(wrong), cluster);
    await wrong.close();
    assert.deepEqual([held.replicas, held.reason], [3, 'LagUnknown']);
    assert.deepEqual(
      group.problems.map(({ type }) => type),
      ['CredentialsRefused'],
    );
    const right = new Sampler(access('scram-sha-512'));
    group.step(6000, await readable(right), cluster);
    await right.close();
    assert.deepEqual(group.problems, []);
  });

  it('calls the same brokers away when they are, whatever the password', async () => {
    await kafka.kill();
    try {
      for (const password of [undefined, 'wrong']) {
        const sampler = new Sampler(access('plain', password));
        const reading = await look(sampler);
        await sampler.close();
        assert.ok(!reading.ok && reading.reason === 'BrokerAway', JSON.stringify(reading));
      }
    } finally {
      await kafka.start();
    }
  });
});

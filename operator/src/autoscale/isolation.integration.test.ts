/** One group's trouble stays its own: against a real broker with groups that the operator is not allowed to describe, and requests that hang. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import kafkajs, { Kafka, logLevel } from 'kafkajs';
import type { Admin, KafkaConfig } from 'kafkajs';
import { startServices } from '../../../local/src/services/index.ts';
import type { KafkaService } from '../../../local/src/services/index.ts';
import { Autoscaler } from './autoscaler.ts';
import { withDefaults } from './policy.ts';
import { Sampler } from './sampler.ts';
import type { DeploymentView, KafkaConnection, ScaleClient, ScaleTarget } from './types.ts';

// Exports that Node does not find in a CommonJS module by itself.
const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } = kafkajs;

const TOPIC = 'shared';
const GOOD = ['first', 'second', 'third'];
const FORBIDDEN = 'forbidden';

/** Everything is allowed that no ACL forbids. */
const AUTHORIZER = [
  'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users=User:ANONYMOUS',
  'allow.everyone.if.no.acl.found=true',
];

describe('isolation of groups', { timeout: 180_000 }, () => {
  let kafka: KafkaService;
  let stop: () => Promise<void>;
  let admin: Admin;
  let connection: KafkaConnection;

  before(async () => {
    const services = await startServices({ kafka: true }, { kafkaSasl: true, kafkaSettings: AUTHORIZER });
    ({ kafka } = services);
    stop = () => services.stop();
    const user = kafka.sasl ?? assert.fail('the broker has no user');
    const sasl: KafkaConfig['sasl'] = { mechanism: 'plain', ...user };
    connection = { brokers: kafka.brokers, sasl: { mechanism: 'plain', ...user } };
    admin = new Kafka({ brokers: kafka.brokers, sasl, logLevel: logLevel.NOTHING, retry: { retries: 30, maxRetryTime: 500 } }).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 2 }], waitForLeaders: false });
    await until(async () => (await admin.fetchTopicOffsets(TOPIC).catch(() => [])).length === 2);
    const forbid = {
      resourceType: AclResourceTypes.GROUP,
      resourceName: FORBIDDEN,
      resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: `User:${user.username}`,
      host: '*',
      operation: AclOperationTypes.ALL,
      permissionType: AclPermissionTypes.DENY,
    };
    await admin.createAcls({ acl: [forbid] });
  });

  after(async () => {
    await admin.disconnect();
    await stop();
  });

  const queries = [...GOOD, FORBIDDEN].map((group) => ({ group, topics: [TOPIC] }));

  it('reads the other groups when one must not be described', async () => {
    const sampler = new Sampler(connection);
    try {
      // The first sample ever has the broker create its offsets topic.
      await until(async () => {
        const readings = await sampler.read(queries);
        return readings.get(FORBIDDEN)?.ok === false && readings.get(GOOD[0] ?? '')?.ok === true;
      });
      const readings = await sampler.read(queries);
      const forbidden = readings.get(FORBIDDEN);
      assert.ok(
        forbidden?.ok === false && /no coordinator .* permission to describe it/.test(forbidden.message),
        JSON.stringify(forbidden),
      );
      for (const group of GOOD) assert.equal(readings.get(group)?.ok, true, `${group}: ${JSON.stringify(readings.get(group))}`);
    } finally {
      await sampler.close();
    }
  });

  it('reads the other groups when the request of one gets no answer, within the time of one sample', async () => {
    const hanging = new Promise<never>(() => undefined);
    const sampler = new Sampler(connection, (client) => {
      const real = client.admin();
      const fetchOffsets: Admin['fetchOffsets'] = (options) => (options.groupId === 'second' ? hanging : real.fetchOffsets(options));
      const describeGroups: Admin['describeGroups'] = (groups) => (groups.includes('third') ? hanging : real.describeGroups(groups));
      return { ...real, fetchOffsets, describeGroups };
    });
    try {
      const begun = Date.now();
      const readings = await sampler.read(GOOD.map((group) => ({ group, topics: [TOPIC] })));
      assert.ok(Date.now() - begun < 5000, `${Date.now() - begun} ms`);
      assert.deepEqual(
        GOOD.map((group) => readings.get(group)?.ok),
        [true, false, false],
        JSON.stringify([...readings.values()]),
      );
    } finally {
      await sampler.close();
    }
  });

  it('sees added partitions within two samples', async () => {
    const sampler = new Sampler(connection);
    const partitions = async () => {
      const reading = (await sampler.read([{ group: 'first', topics: [TOPIC] }])).get('first');
      return reading?.ok === true ? reading.offsets.length : 0;
    };
    try {
      assert.equal(await partitions(), 2);
      await admin.createPartitions({ topicPartitions: [{ topic: TOPIC, count: 5 }] });
      await until(async () => (await admin.fetchTopicOffsets(TOPIC).catch(() => [])).length === 5);
      const seen = [await partitions(), await partitions()];
      assert.equal(seen[1], 5, seen.join());
    } finally {
      await sampler.close();
    }
  });

  it('decides on the other groups when deciding on one throws', async () => {
    const logged: string[] = [];
    const broken: DeploymentView = {
      get replicas(): number {
        throw new Error('no such view');
      },
      ready: 1,
      rollingOut: false,
    };
    const scale: ScaleClient = {
      read: async (_namespace, deployment) => (deployment === 'second' ? broken : { replicas: 1, ready: 1, rollingOut: false }),
      setReplicas: async () => undefined,
      rivals: async () => [],
    };
    const autoscaler = new Autoscaler({ scale, log: (level, message) => level === 'error' && logged.push(message) });
    const target = (group: string): ScaleTarget => ({
      group,
      topics: [TOPIC],
      namespace: 'n',
      deployment: group,
      policy: withDefaults({}),
    });
    autoscaler.setTargets('p', GOOD.map(target), connection);
    autoscaler.start();
    try {
      await until(async () => {
        const [first, , third] = autoscaler.snapshot('p');
        return (first?.counters.samples ?? 0) >= 2 && (third?.counters.samples ?? 0) >= 2;
      });
      assert.ok(logged.includes('deciding on a consumer group failed'));
    } finally {
      await autoscaler.stop();
    }
  });
});

/** Asks until the answer is yes. */
async function until(ask: () => Promise<boolean>, limitMs = 40_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await ask())) {
    assert.ok(Date.now() < deadline, `not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

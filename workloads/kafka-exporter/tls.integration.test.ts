/** An external Kafka that requires TLS with its own certificate authority and SASL: the operator's client, and a workload as the operator sets it up. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setDefaultCACertificates } from 'node:tls';
import type { V1PodSpec } from '@kubernetes/client-node';
import { startSecureKafka, type SecureKafka } from '../../local/src/services/secure-kafka.ts';
import { buildPlatform, FIRST_SLOT, kafkaAccess, parseSpec, type PlatformInput } from '../../operator/src/platform/index.ts';
import { kafkaClient, kafkaConnection } from '../../operator/src/reconcile/topics/kafka.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
let kafka: SecureKafka;

before(async () => {
  kafka = await startSecureKafka();
}, LIMIT);
after(() => kafka?.stop());

function platform(): PlatformInput {
  const tls = { enabled: true, caSecret: { name: 'kafka-ca' } };
  const parsed = parseSpec({ kafka: { external: { brokers: kafka.brokers, tls, sasl: { secretName: 'kafka-user' } } } });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system' };
  return { ...identity, spec: parsed.spec, secretHashes: {}, slots: FIRST_SLOT };
}

function secrets(password = kafka.password): Record<string, Record<string, string>> {
  return { 'kafka-ca': { 'ca.crt': kafka.authority }, 'kafka-user': { username: kafka.username, password } };
}

/** Names of the topics, as the operator sees them, after it has created one. */
async function topics(values: Record<string, Record<string, string>>): Promise<string[]> {
  const { connection, missing } = kafkaConnection(kafkaAccess(platform()), (name, key) => values[name]?.[key]);
  assert.deepEqual(missing, []);
  assert.ok(connection);
  const admin = kafkaClient(connection).admin();
  try {
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'made-by-the-operator', numPartitions: 3 }] });
    return await admin.listTopics();
  } finally {
    await admin.disconnect();
  }
}

test('the operator creates topics, and is refused with a wrong password or another authority', LIMIT, async () => {
  assert.ok((await topics(secrets())).includes('made-by-the-operator'));
  await assert.rejects(topics(secrets('wrong')), /SASL|authentication/i);
  const other = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
  await assert.rejects(topics({ ...secrets(), 'kafka-ca': { 'ca.crt': other } }));
});

/** Environment of a workload that the operator gave for Kafka; the authority lies where the Secret would be mounted. */
function environment(values: Record<string, Record<string, string>>): Record<string, string> {
  const deployment = buildPlatform(platform())
    .find(({ name }) => name === 'kafka-exporter')
    ?.manifests.find(({ kind }) => kind === 'Deployment');
  assert.ok(deployment);
  const { template } = deployment['spec'] as { template: { spec: V1PodSpec } };
  const { env = [], volumeMounts = [] } = template.spec.containers[0] ?? {};
  const mounted = volumeMounts.find(({ name }) => name === 'kafka-ca')?.mountPath;
  const entries = env.flatMap(({ name, value, valueFrom }) => {
    const reference = valueFrom?.secretKeyRef;
    const given = reference ? values[reference.name ?? '']?.[reference.key] : value;
    return given === undefined || name === 'METRICS_PORT' ? [] : [[name, given.replace(`${mounted}/ca.crt`, kafka.authorityPath)]];
  });
  return { ...Object.fromEntries(entries), NAMESPACE: 'bss' };
}

test('a workload reads the cluster, and fails with a wrong password', LIMIT, async () => {
  const [right, wrong] = [
    await Workload.start('kafka-exporter', environment(secrets())),
    await Workload.start('kafka-exporter', environment(secrets('wrong'))),
  ];
  try {
    await right.ready();
    assert.equal(await right.metric('kafka_topic_partitions', 'topic="made-by-the-operator"'), 3);
    await waitFor('the other one to fail', async () => (await wrong.metric('kafka_exporter_failures_total')) > 0);
    assert.equal(await wrong.metric('kafka_topic_partitions'), 0);
  } finally {
    await Promise.all([right.end('SIGKILL'), wrong.end('SIGKILL')]);
  }
});

test('reads the id of a topic over TLS and SASL', LIMIT, async () => {
  setDefaultCACertificates([kafka.authority]);
  const connection = {
    KAFKA_BROKERS: kafka.brokers,
    KAFKA_SSL: true,
    KAFKA_SASL_MECHANISM: 'scram-sha-512' as const,
    KAFKA_SASL_USERNAME: kafka.username,
    KAFKA_SASL_PASSWORD: kafka.password,
  };
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const admin = new KafkaAdmin(connection, 'test', log);
  try {
    assert.match((await admin.topicId('made-by-the-operator')) ?? '', /^[A-Za-z0-9_-]{22}$/);
  } finally {
    await admin.close();
  }
});

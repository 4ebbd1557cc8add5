/** An external Kafka that requires a certificate from its clients: the operator's client, and a workload as the operator sets it up. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { V1PodSpec } from '@kubernetes/client-node';
import { startSecureKafka, type SecureKafka } from '../../local/src/services/secure-kafka.ts';
import { buildPlatform, FIRST_SLOT, kafkaAccess, parseSpec, type PlatformInput } from '../../operator/src/platform/index.ts';
import { kafkaClient, kafkaConnection } from '../../operator/src/reconcile/topics/kafka.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
let kafka: SecureKafka;

before(async () => {
  kafka = await startSecureKafka('certificate');
}, LIMIT);
after(() => kafka?.stop());

/** @param client false: without a certificate of its own */
function platform(client: boolean): PlatformInput {
  const certificate = client ? { clientCertificate: { secretName: 'kafka-user', certificateKey: 'user.crt', keyKey: 'user.key' } } : {};
  const tls = { enabled: true, caSecret: { name: 'kafka-ca' }, ...certificate };
  const parsed = parseSpec({ kafka: { external: { brokers: kafka.brokers, tls } } });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system' };
  return { ...identity, spec: parsed.spec, secretHashes: {}, slots: FIRST_SLOT };
}

/** Partitions of a topic that the operator creates. */
async function create(client: boolean): Promise<number | undefined> {
  const { certificatePath, keyPath } = kafka.client;
  const user = { 'user.crt': await readFile(certificatePath, 'utf8'), 'user.key': await readFile(keyPath, 'utf8') };
  const values: Record<string, Record<string, string>> = { 'kafka-ca': { 'ca.crt': kafka.authority }, 'kafka-user': user };
  const { connection, missing } = kafkaConnection(kafkaAccess(platform(client)), (name, key) => values[name]?.[key]);
  assert.deepEqual(missing, []);
  assert.ok(connection);
  const admin = kafkaClient(connection).admin();
  try {
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'made-by-the-operator', numPartitions: 3 }] });
    const { topics } = await admin.fetchTopicMetadata({ topics: ['made-by-the-operator'] });
    return topics[0]?.partitions.length;
  } finally {
    await admin.disconnect();
  }
}

test('the operator creates topics with the certificate of the Secret, and is refused without one', LIMIT, async () => {
  assert.equal(await create(true), 3);
  await assert.rejects(create(false));
});

test('names the Secret and key of a certificate that does not exist', LIMIT, () => {
  const { connection, missing } = kafkaConnection(kafkaAccess(platform(true)), (name) =>
    name === 'kafka-ca' ? kafka.authority : undefined,
  );
  assert.equal(connection, undefined);
  assert.deepEqual(missing, ['Secret kafka-user has no key user.crt', 'Secret kafka-user has no key user.key']);
});

/** Environment of a workload that the operator gave for Kafka, with the paths of the files instead of those where the Secrets are mounted. */
function environment(client: boolean): Record<string, string> {
  const deployment = buildPlatform(platform(client))
    .find(({ name }) => name === 'kafka-exporter')
    ?.manifests.find(({ kind }) => kind === 'Deployment');
  assert.ok(deployment);
  const { template } = deployment['spec'] as { template: { spec: V1PodSpec } };
  const { env = [], volumeMounts = [] } = template.spec.containers[0] ?? {};
  const mounted = (volume: string) => volumeMounts.find(({ name }) => name === volume)?.mountPath;
  const files: [string, string][] = [
    [`${mounted('kafka-ca')}/ca.crt`, kafka.authorityPath],
    [`${mounted('kafka-client')}/tls.crt`, kafka.client.certificatePath],
    [`${mounted('kafka-client')}/tls.key`, kafka.client.keyPath],
  ];
  const entries = env.flatMap(({ name, value }) => {
    const given = files.reduce((text, [from, to]) => text?.replace(from, to), value);
    return given === undefined || name === 'METRICS_PORT' ? [] : [[name, given]];
  });
  return { ...Object.fromEntries(entries), NAMESPACE: 'bss' };
}

test('a workload reads the cluster with its certificate, and fails without one', LIMIT, async () => {
  const [right, wrong] = [
    await Workload.start('kafka-exporter', environment(true)),
    await Workload.start('kafka-exporter', environment(false)),
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

/** `bss from-keda` on ScaledObjects with the fields that KEDA documents: golden files. UPDATE_GOLDEN=1 writes them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseConsumerAutoscaler } from '../api/index.ts';
import { fromKeda } from './from-keda.ts';

const scaledObject = (spec: object, more: object = {}) => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  metadata: { name: 'orders', namespace: 'shop', ...more },
  spec: { scaleTargetRef: { name: 'orders-consumer' }, ...spec },
});

const METADATA = {
  bootstrapServers: 'kafka-0.kafka:9092,kafka-1.kafka:9092',
  consumerGroup: 'orders',
  topic: 'orders.v1',
  lagThreshold: '50',
};
const kafka = (metadata: object = {}, more: object = {}) => ({ type: 'kafka', metadata: { ...METADATA, ...metadata }, ...more });
const authenticationRef = { name: 'orders-kafka' };

const authentication = (refs: [parameter: string, secret: string, key: string][], kind = 'TriggerAuthentication') => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind,
  metadata: { name: 'orders-kafka', namespace: 'shop' },
  spec: { secretTargetRef: refs.map(([parameter, name, key]) => ({ parameter, name, key })) },
});

const encoded = (text: string) => Buffer.from(text).toString('base64');

interface Case {
  /** Fields that the file cannot fill: the API server refuses the result until somebody does. */
  open?: string[];
  objects: object[];
}

const CASES: Record<string, Case> = {
  'no-waiting': {
    objects: [
      scaledObject({
        cooldownPeriod: 0,
        advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } } },
        triggers: [kafka()],
      }),
    ],
  },
  minimal: { objects: [scaledObject({ triggers: [kafka()] })] },
  'every-field': {
    objects: [
      scaledObject(
        {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'orders-consumer' },
          pollingInterval: 15,
          cooldownPeriod: 600,
          idleReplicaCount: 0,
          minReplicaCount: 2,
          maxReplicaCount: 24,
          fallback: { failureThreshold: 4, replicas: 40 },
          advanced: {
            restoreToOriginalReplicaCount: true,
            horizontalPodAutoscalerConfig: {
              behavior: {
                scaleUp: {
                  stabilizationWindowSeconds: 0,
                  policies: [
                    { type: 'Percent', value: 200, periodSeconds: 15 },
                    { type: 'Pods', value: 5, periodSeconds: 15 },
                  ],
                },
                scaleDown: { stabilizationWindowSeconds: 120, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
              },
            },
          },
          triggers: [
            kafka({
              allowIdleConsumers: true,
              limitToPartitionsWithLag: 'false',
              excludePersistentLag: 'true',
              offsetResetPolicy: 'latest',
              partitionLimitation: '1,2,10-20',
              version: '1.0.0',
            }),
            { type: 'cron', metadata: { timezone: 'Europe/Berlin', start: '0 6 * * *', end: '0 20 * * *', desiredReplicas: '10' } },
          ],
        },
        { labels: { team: 'orders' } },
      ),
    ],
  },
  'sasl-and-tls': {
    objects: [
      scaledObject({ minReplicaCount: 0, triggers: [kafka({ activationLagThreshold: 3 }, { authenticationRef })] }),
      authentication([
        ['sasl', 'kafka-login', 'sasl'],
        ['username', 'kafka-login', 'user'],
        ['password', 'kafka-login', 'pass'],
        ['tls', 'kafka-login', 'tls'],
        ['ca', 'kafka-ca', 'ca.pem'],
        ['cert', 'kafka-client', 'tls.crt'],
        ['key', 'kafka-client', 'tls.key'],
      ]),
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'kafka-login' },
        data: { sasl: encoded('scram_sha256'), tls: encoded('enable'), user: encoded('u'), pass: encoded('secret') },
      },
    ],
  },
  'secret-elsewhere': {
    objects: [
      scaledObject({ triggers: [kafka({}, { authenticationRef: { ...authenticationRef, kind: 'ClusterTriggerAuthentication' } })] }),
      authentication(
        [
          ['sasl', 'kafka-login', 'sasl'],
          ['username', 'kafka-login', 'username'],
          ['password', 'kafka-password', 'password'],
          ['tls', 'kafka-login', 'tls'],
        ],
        'ClusterTriggerAuthentication',
      ),
    ],
  },
  'from-the-environment': {
    open: ['spec.group', 'spec.topics', 'spec.brokers'],
    objects: [
      scaledObject({
        triggers: [
          {
            type: 'kafka',
            metadata: { bootstrapServersFromEnv: 'BROKERS', consumerGroupFromEnv: 'GROUP', topicFromEnv: 'TOPIC', sasl: 'none' },
            authenticationRef,
          },
        ],
      }),
    ],
  },
  'unsupported-login': {
    open: ['spec.sasl.secretName'],
    objects: [scaledObject({ triggers: [kafka({ sasl: 'oauthbearer', tls: 'enable', unsafeSsl: 'true' })] })],
  },
  'several-triggers': {
    objects: [
      scaledObject(
        { triggers: [kafka(), kafka({ topic: 'returns.v1' }), kafka({ consumerGroup: 'other' })] },
        { annotations: { 'autoscaling.keda.sh/paused-replicas': '3' } },
      ),
      { kind: 'ScaledJob', metadata: { name: 'import' }, spec: {} },
      { ...scaledObject({ triggers: [{ type: 'cpu', metadata: { value: '60' } }] }), metadata: { name: 'web' } },
    ],
  },
};

for (const [name, { objects, open = [] }] of Object.entries(CASES)) {
  const path = new URL(`golden/from-keda/${name}.yaml`, import.meta.url);
  await test(`converts ${name}`, async () => {
    const text = fromKeda(objects);
    if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(path, text);
    assert.equal(text, await readFile(path, 'utf8'), 'UPDATE_GOLDEN=1 writes it');
    assert.doesNotMatch(text, /secret\b.*c2VjcmV0/, 'no password');
    const resources = parseAllDocuments(text).flatMap((document) => (document.toJS() as { spec?: unknown } | null) ?? []);
    const problems = resources.flatMap(({ spec }) => {
      const parsed = parseConsumerAutoscaler(spec);
      return parsed.ok ? [] : parsed.problems.map(({ path: field }) => field);
    });
    assert.deepEqual([...new Set(problems)].toSorted(), open.toSorted());
  });
}

await test('reads the list that kubectl prints', () => {
  const items = [scaledObject({ triggers: [kafka()] })];
  assert.equal(fromKeda([{ apiVersion: 'v1', kind: 'List', items }]), fromKeda(items));
});

await test('says why there is nothing to convert', () => {
  assert.throws(() => fromKeda([{ kind: 'Deployment', metadata: { name: 'a' } }]), /no ScaledObject with a kafka trigger found/);
  assert.throws(() => fromKeda([{ kind: 'ScaledObject', metadata: { name: 'a' }, spec: {} }]), /a ScaledObject is not valid/);
});

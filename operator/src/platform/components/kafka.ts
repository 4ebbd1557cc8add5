/** Kafka: one broker in KRaft mode that is its own controller, or a cluster of the user's. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { managedXorExternal, placement, resources, storage } from '../../api/common.ts';
import { quantityValue } from '../../api/index.ts';
import { accessOf, KAFKA_FIELDS, type KafkaAccess } from '../../api/kafka-access.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { bytes } from '../../api/rules.ts';
import { authority } from '../authority.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet, type Managed } from '../parts.ts';
import {
  claimName,
  claimVolume,
  configVolume,
  container,
  fromSecret,
  mebibytes,
  podTemplate,
  storeProbes,
  scratch,
  secretVolume,
  value,
  type Requirements,
} from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { settleStore } from '../store.ts';
import type { Advice, PlatformInput } from '../types.ts';

const managedKafka = z
  .strictObject({
    storage: storage('the log', '5Gi'),
    heap: bytes('Heap of the broker (-Xmx). The memory limit must leave room beside it.').prefault('384Mi'),
    resources: resources('the broker'),
    ...placement(),
  })
  .describe('One Kafka broker in KRaft mode, run by the operator: for small and test installations.');

const externalKafka = z.strictObject(KAFKA_FIELDS).describe('An existing Kafka cluster, such as Strimzi or a cloud service.');

const schema = managedXorExternal(
  z
    .strictObject({ managed: managedKafka.optional(), external: externalKafka.optional() })
    .describe('The event log. Managed with defaults when neither field is set.'),
  'Kafka',
).prefault({});

export const specPiece = piece('kafka', schema, {
  profiles: {
    small: { managed: { resources: amounts('100m', '640Mi', '1', '1Gi') } },
    production: { managed: { storage: { size: '100Gi' }, heap: '2Gi', resources: amounts('1', '4Gi', undefined, '6Gi') } },
  },
  settle: settleStore,
});

// Kafka itself comes as jars.
const IMAGE = {
  name: 'kafka',
  refs: { '0.1.0': 'apache/kafka:4.3.1' },
  what: 'Kafka',
  debian: { packages: ['openjdk-21-jre-headless'], version: ['java', '-cp', '/opt/kafka/libs/*', 'kafka.Kafka', '--version'] },
};
/** User `appuser` of the public image. */
const USER = 1000;
const PORT = 9092;
const DATA = '/data/kafka';
const CONFIG = '/etc/kafka';

const LOGGING = `Configuration:
  status: warn
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: INFO
      AppenderRef:
        - ref: STDOUT
`;

/** KRaft's cluster id: 16 bytes in base64url, always the same for the same platform, so that it can adopt a kept volume. */
export function clusterId({ namespace, name }: Pick<PlatformInput, 'namespace' | 'name'>): string {
  return createHash('sha256').update(`${namespace}/${name}`).digest().subarray(0, 16).toString('base64url');
}

function serverProperties(input: PlatformInput): string {
  const advertised = `${nameOf(input, 'kafka-0')}.${addressOf(input, 'kafka-headless')}:${PORT}`;
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 0,
    'controller.quorum.voters': '0@localhost:9093',
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://:${PORT},CONTROLLER://localhost:9093`,
    'advertised.listeners': `PLAINTEXT://${advertised}`,
    'log.dirs': DATA,
    // The operator creates topics: a typing error must not create one.
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 10,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 10,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // The autoscaler adds consumers step by step: waiting for more of them only adds delay.
    'group.initial.rebalance.delay.ms': 0,
  })
    .map(([key, text]) => `${key}=${text}\n`)
    .join('');
}

function java(...rest: string[]): string[] {
  return ['java', ...rest.slice(0, -2), `-Dlog4j2.configurationFile=${CONFIG}/log4j2.yaml`, '-cp', '/opt/kafka/libs/*', ...rest.slice(-2)];
}

function pod(input: PlatformInput, kafka: Managed<'kafka'>, config: Record<string, string>) {
  const mounts = { [CONFIG]: 'config', '/data': 'data', '/tmp': 'tmp' };
  const format = [
    ...java('-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', 'kafka.tools.StorageTool', 'format'),
    '--ignore-formatted',
    '--cluster-id',
    clusterId(input),
    '--config',
    `${CONFIG}/server.properties`,
  ];
  const run = java(`-Xmx${mebibytes(kafka.heap)}m`, '-XX:+ExitOnOutOfMemoryError', 'kafka.Kafka', `${CONFIG}/server.properties`);
  return podTemplate(input, {
    component: 'kafka',
    placement: kafka,
    user: USER,
    config,
    gracePeriodSeconds: 60,
    initContainers: [container(input, { name: 'format', image: IMAGE, command: format, resources: kafka.resources, mounts })],
    containers: [
      container(input, {
        name: 'kafka',
        image: IMAGE,
        command: run,
        ports: { kafka: PORT },
        resources: kafka.resources,
        mounts,
        probes: storeProbes({ tcpSocket: { port: PORT } }),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'kafka')), claimVolume('data', claimName(input, 'kafka')), scratch('tmp', '64Mi')],
  });
}

type Platform = Pick<PlatformInput, 'name' | 'namespace' | 'spec'>;

export function kafkaAccess(platform: Platform): KafkaAccess {
  const external = platform.spec.kafka.external;
  if (!external) return { brokers: [`${addressOf(platform, 'kafka')}:${PORT}`], tls: false };
  return accessOf(external);
}

const CLIENT_DIRECTORY = '/etc/kafka-client';

/** Environment, mounts and Secrets of a pod that connects to Kafka. */
export function kafkaClient(platform: Platform): Required<Requirements> {
  const { brokers, tls, caSecret, clientCertificate: client, sasl } = kafkaAccess(platform);
  const ca = caSecret && authority('kafka', caSecret);
  const env = [
    value('KAFKA_BROKERS', brokers.join(',')),
    ...(tls ? [value('KAFKA_SSL', 'true')] : []),
    ...(ca ? [value('NODE_EXTRA_CA_CERTS', ca.path)] : []),
    ...(client
      ? [value('KAFKA_SSL_CERTIFICATE', `${CLIENT_DIRECTORY}/tls.crt`), value('KAFKA_SSL_KEY', `${CLIENT_DIRECTORY}/tls.key`)]
      : []),
    ...(sasl
      ? [
          value('KAFKA_SASL_MECHANISM', sasl.mechanism),
          fromSecret('KAFKA_SASL_USERNAME', sasl.secretName, sasl.usernameKey),
          fromSecret('KAFKA_SASL_PASSWORD', sasl.secretName, sasl.passwordKey),
        ]
      : []),
  ];
  return {
    env,
    volumes: [
      ...(ca?.volumes ?? []),
      ...(client
        ? [secretVolume('kafka-client', client.secretName, { [client.certificateKey]: 'tls.crt', [client.keyKey]: 'tls.key' })]
        : []),
    ],
    mounts: { ...ca?.mounts, ...(client ? { [CLIENT_DIRECTORY]: 'kafka-client' } : {}) },
    secrets: [
      ...(sasl ? [{ name: sasl.secretName, keys: [sasl.usernameKey, sasl.passwordKey] }] : []),
      ...(ca?.secrets ?? []),
      ...(client ? [{ name: client.secretName, keys: [client.certificateKey, client.keyKey] }] : []),
    ],
  };
}

/** Ports of addresses host:port, each once, in order. */
function portsOf(addresses: string[]): number[] {
  return [...new Set(addresses.map((address) => Number(address.split(':').at(-1))))].toSorted((a, b) => a - b);
}

function heapAboveLimit({ kafka }: BssPlatformSpec): Advice | undefined {
  const limit = kafka.managed?.resources.limits.memory;
  if (!kafka.managed || limit === undefined || quantityValue(kafka.managed.heap) * 1.25 <= quantityValue(limit)) return undefined;
  return {
    path: 'spec.kafka.managed.heap',
    message: `a heap of ${kafka.managed.heap} leaves too little of the memory limit ${limit} for the rest of the broker: keep the heap below 80 % of it`,
  };
}

function singleBroker({ profile, kafka }: BssPlatformSpec): Advice | undefined {
  if (profile !== 'production' || !kafka.managed) return undefined;
  return {
    path: 'spec.kafka.managed',
    message:
      'one broker with one copy of each event: while its node is unavailable the platform accepts no events; if the node loses power, acknowledged events of the last seconds may be lost, and all events with its volume; set spec.kafka.external to a cluster with three brokers and min.insync.replicas 2',
  };
}

export const definition: ComponentDefinition = {
  name: 'kafka',
  stage: 'stores',
  present: ({ kafka }) => kafka.managed !== undefined,
  images: [IMAGE],
  ports: () => ({ kafka: PORT }),
  external: ({ kafka }) => (kafka.external ? portsOf(kafka.external.brokers) : []),
  // The operator creates topics and reads lags; KEDA reads lags where it scales.
  admits: ({ workloads }) => [
    { from: 'operator', ports: [PORT] },
    ...(workloads.interest.autoscaling.mode === 'keda' ? [{ from: 'keda' as const, ports: [PORT] }] : []),
  ],
  endpoints: (platform) => [{ name: 'kafka', address: kafkaAccess(platform).brokers.join(',') }],
  advise: (all) => [singleBroker(all), heapAboveLimit(all)],
  manifests: (input) => {
    const kafka = input.spec.kafka.managed;
    if (!kafka) return [];
    const config = { 'server.properties': serverProperties(input), 'log4j2.yaml': LOGGING };
    return [
      configMap(input, 'kafka', config),
      claim(input, 'kafka', kafka.storage),
      service(input, 'kafka', { kafka: PORT }, { headless: true }),
      service(input, 'kafka', { kafka: PORT }),
      statefulSet(input, 'kafka', pod(input, kafka, config)),
    ];
  },
};

/** One Kafka broker in KRaft mode, which is its own controller. */
import { createHash } from 'node:crypto';
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { addressOf, nameOf, PORTS } from './names.ts';
import { claim, configMap, service, statefulSet, type Managed } from './parts.ts';
import { claimName, claimVolume, configVolume, container, mebibytes, podTemplate, probes, scratch } from './pods.ts';
import type { PlatformInput } from './types.ts';

/** User `appuser` of the public image. */
const USER = 1000;
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

/** KRaft's cluster id: 16 bytes in base64url, the same for the same platform for ever, so that a kept volume is taken over. */
export function clusterId({ namespace, name }: Pick<PlatformInput, 'namespace' | 'name'>): string {
  return createHash('sha256').update(`${namespace}/${name}`).digest().subarray(0, 16).toString('base64url');
}

function serverProperties(input: PlatformInput): string {
  const advertised = `${nameOf(input, 'kafka-0')}.${addressOf(input, 'kafka-headless')}:${PORTS.kafka}`;
  return Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 0,
    'controller.quorum.voters': '0@localhost:9093',
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://:${PORTS.kafka},CONTROLLER://localhost:9093`,
    'advertised.listeners': `PLAINTEXT://${advertised}`,
    'log.dirs': DATA,
    // Topics are made by the operator: a typing error must not make one.
    'auto.create.topics.enable': false,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 10,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 10,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    // Consumers come one by one as they are scaled: waiting for more of them only adds delay.
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
  const broker = java(`-Xmx${mebibytes(kafka.heap)}m`, '-XX:+ExitOnOutOfMemoryError', 'kafka.Kafka', `${CONFIG}/server.properties`);
  return podTemplate(input, {
    component: 'kafka',
    placement: kafka,
    user: USER,
    config,
    gracePeriodSeconds: 60,
    initContainers: [container(input, { name: 'format', image: 'kafka', command: format, resources: kafka.resources, mounts })],
    containers: [
      container(input, {
        name: 'kafka',
        image: 'kafka',
        command: broker,
        ports: { kafka: PORTS.kafka },
        resources: kafka.resources,
        mounts,
        probes: probes({ tcpSocket: { port: PORTS.kafka } }),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'kafka')), claimVolume('data', claimName(input, 'kafka')), scratch('tmp', '64Mi')],
  });
}

/** The managed broker; nothing when Kafka is external. */
export function kafkaComponent(input: PlatformInput): Blueprint | undefined {
  const kafka = input.spec.kafka.managed;
  if (!kafka) return undefined;
  const config = { 'server.properties': serverProperties(input), 'log4j2.yaml': LOGGING };
  const drafts: Draft[] = [
    configMap(input, 'kafka', config),
    claim(input, 'kafka', kafka.storage),
    service(input, 'kafka', { kafka: PORTS.kafka }, { headless: true }),
    service(input, 'kafka', { kafka: PORTS.kafka }),
    statefulSet(input, 'kafka', pod(input, kafka, config)),
  ];
  return blueprint('kafka', 'stores', drafts);
}

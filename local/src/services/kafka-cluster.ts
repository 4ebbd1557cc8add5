/** A Kafka of three brokers for tests that lose one of them. */
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureRootfs, NONROOT_UID } from '../build/rootfs.ts';
import { serverFolder } from './folder.ts';
import { CLUSTER_ID, HOST, kafkaCommand, kafkaProperties, LOG4J, runInside } from './index.ts';
import { freePorts } from './ports.ts';
import { ServerProcess, type Service } from './process.ts';
import type { KafkaService } from './types.ts';

export interface KafkaCluster {
  /** The brokers by node id. Broker 0 is the only controller: without it nothing elects a leader. */
  readonly nodes: readonly Service[];
  /** The addresses of all brokers; what is done to it is done to broker 0. */
  readonly kafka: KafkaService;
  stop(): Promise<void>;
}

const BROKERS = 3;

/**
 * Starts three brokers. A topic has three replicas, and takes a record when two have it.
 * @throws Failure when a broker does not start
 */
export async function startKafkaCluster(): Promise<KafkaCluster> {
  const [root, folder, ports] = await Promise.all([ensureRootfs(), serverFolder('services'), freePorts(BROKERS + 1)]);
  const [controllerPort = 0, ...own] = ports;
  const stop = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  const brokers: ServerProcess[] = [];
  try {
    for (const [id, port] of own.entries()) brokers.push(await makeBroker({ root, folder, id, port, controllerPort }));
    await Promise.all(brokers.map((broker) => broker.start()));
    const [first] = brokers;
    if (first === undefined) throw new Error('a cluster has brokers');
    return { nodes: brokers, kafka: Object.assign(first, { brokers: own.map((port) => `${HOST}:${port}`) }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Place {
  readonly root: string;
  readonly folder: string;
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
}

async function makeBroker({ root, folder, id, port, controllerPort }: Place): Promise<ServerProcess> {
  const data = join(folder, `kafka-${id}`);
  await mkdir(data);
  await chown(data, NONROOT_UID, NONROOT_UID);
  await writeFile(join(data, 'server.properties'), brokerProperties(id, port, controllerPort));
  await writeFile(join(data, 'log4j2.properties'), LOG4J);
  const inside = { root, data, uid: NONROOT_UID };
  const format = ['format', '--cluster-id', CLUSTER_ID, '--config', '/data/server.properties'];
  await runInside(inside, kafkaCommand('kafka.tools.StorageTool', ...format));
  const command = kafkaCommand('kafka.Kafka', '/data/server.properties');
  return new ServerProcess({ name: `Kafka broker ${id}`, command, inside, logFile: join(folder, `kafka-${id}.log`), port });
}

/** A broker that returns leads its partitions again after seconds, not after minutes. */
const REBALANCE = 'leader.imbalance.check.interval.seconds=2\nleader.imbalance.per.broker.percentage=0\n';

/** Those of one node, with three replicas of everything; the other brokers are no controllers. */
function brokerProperties(id: number, port: number, controllerPort: number): string {
  const replicated = kafkaProperties(port, controllerPort)
    .replaceAll(/replication\.factor=1$/gm, `replication.factor=${BROKERS}`)
    .replaceAll(/min\.isr=1$/gm, 'min.isr=2');
  const defaults = `default.replication.factor=${BROKERS}\nmin.insync.replicas=2\n${REBALANCE}`;
  if (id === 0) return replicated + defaults;
  const broker = replicated
    .replace('process.roles=broker,controller', 'process.roles=broker')
    .replace('node.id=0', `node.id=${id}`)
    .replace(`,CONTROLLER://${HOST}:${controllerPort}`, '');
  return broker + defaults;
}

/**
 * Real servers for tests, on free ports of 127.0.0.1: Kafka, Postgres, PgBouncer and Redis from the fat root file system. They end with the
 * process that started them, even when that is killed. Kafka, which takes seconds to start, comes from the servers that the test runner
 * shares between test files, where there are any. The others start in half a second, so each test file has its own.
 */
import { chown, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../exec.ts';
import { copyTree, ensureFolder, ensureRootfs, NONROOT_UID, POSTGRES_UID } from '../build/rootfs.ts';
import { LimitedDisk } from './disk.ts';
import { serverFolder } from './folder.ts';
import { jvmFlags } from './jvm.ts';
import { freePorts } from './ports.ts';
import { insideCommand, ServerProcess, type Service, type ServerOptions } from './process.ts';
import { leaseKafka } from './shared.ts';
import type { KafkaService } from './types.ts';

export { startApiServer, type ApiServer } from './api-server.ts';
export type { Service } from './process.ts';
export type { KafkaService };

export interface PostgresService extends Service {
  readonly host: string;
  readonly port: number;
  /** The administrator. */
  readonly user: string;
  readonly password: string;
  /** What the server logs. */
  readonly logFile: string;
  /** False after it has ended, by itself too. */
  readonly running: boolean;
  /** Of a Postgres with `postgresDiskMebibytes`. */
  readonly disk?: LimitedDisk | undefined;
  /** Address of a database for the administrator, with the password; default: `postgres`. */
  url(database?: string): string;
}

export interface RedisService extends Service {
  readonly url: string;
}

export interface ServiceSet {
  kafka: KafkaService;
  postgres: PostgresService;
  /** In front of `postgres`: any role and database of it, transaction pooling. */
  pgbouncer: PostgresService;
  redis: RedisService;
}

export interface ServiceOptions {
  /** Start a Kafka of this process's own: for a test that stops, kills or freezes it. Default: a shared one, emptied first, when one is free. */
  readonly own?: boolean;
  /** Kafka accepts only the client that its `sasl` names. */
  readonly kafkaSasl?: boolean;
  /** Lines of server.properties for a Kafka of this process's own. */
  readonly kafkaSettings?: readonly string[];
  /** Further listeners of a Kafka of this process's own: by name, in capitals, the address `host:port` that the broker advertises there. */
  readonly kafkaListeners?: Readonly<Record<string, string>>;
  /** Settings of Postgres beside those that every test has. */
  readonly postgresSettings?: Readonly<Record<string, string | number>>;
  /** Size of the disk that Postgres has for its data, for a test that fills it. Default: it shares the machine's. */
  readonly postgresDiskMebibytes?: number;
  /** Port of 127.0.0.1 at which PgBouncer connects to Postgres; default: that of Postgres itself. */
  readonly postgresProxyPort?: number;
}

export const HOST = '127.0.0.1';
const PASSWORD = 'postgres';
const KAFKA_USER = { username: 'client', password: 'client-secret' };
export const CLUSTER_ID = 'bss-platform-test-AAAA';
const KAFKA_CLASSPATH = '/opt/kafka/libs/*';

type RunningServer = ServiceSet[keyof ServiceSet] & { readonly release: () => Promise<void> };

/**
 * Starts the servers that are named, all at the same time.
 * @example const { kafka, stop } = await startServices({ kafka: true });
 * @returns the servers, and `stop`, which ends them all and removes their data; it gives a shared server back
 * @throws Failure when a server does not start
 */
export async function startServices<N extends keyof ServiceSet>(
  wanted: Readonly<Record<N, true>>,
  {
    own = false,
    kafkaSasl = false,
    kafkaSettings = [],
    kafkaListeners,
    postgresSettings = {},
    postgresDiskMebibytes,
    postgresProxyPort,
  }: ServiceOptions = {},
): Promise<Pick<ServiceSet, N> & { stop(): Promise<void> }> {
  const names = Object.keys(wanted) as N[];
  const root = await ensureRootfs();
  const folder = await serverFolder('services');
  const postgresPorts = await freePorts(2);
  const makers: Record<keyof ServiceSet, () => Promise<RunningServer>> = {
    kafka: async () =>
      (own || kafkaSasl || kafkaSettings.length > 0 || kafkaListeners ? undefined : await leaseKafka()) ??
      started(await makeKafka(root, folder, kafkaSasl, kafkaSettings, kafkaListeners)),
    postgres: async () => started(await makePostgres(root, folder, postgresPorts[0] ?? 0, postgresSettings, postgresDiskMebibytes)),
    pgbouncer: async () => started(await makePgBouncer(root, folder, postgresProxyPort ?? postgresPorts[0] ?? 0, postgresPorts[1] ?? 0)),
    redis: async () => started(await makeRedis(root, folder)),
  };
  const results = await Promise.allSettled(names.map((name) => makers[name]()));
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.release()));
    await rm(folder, { recursive: true, force: true });
  };
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { ...(Object.fromEntries(names.map((name, index) => [name, servers[index]])) as unknown as Pick<ServiceSet, N>), stop };
}

async function started<S extends ServerProcess & { disk?: LimitedDisk | undefined }>(
  server: S,
): Promise<S & { release: () => Promise<void> }> {
  await server.start();
  const release = async (): Promise<void> => {
    await server.kill();
    server.disk?.unmount();
  };
  return Object.assign(server, { release });
}

async function makeKafka(
  root: string,
  folder: string,
  sasl: boolean,
  settings: readonly string[],
  advertised: Readonly<Record<string, string>> = {},
): Promise<ServerProcess & KafkaService> {
  const [port = 0, controllerPort = 0, innerPort = 0] = await freePorts(3);
  const data = await dataFolder(folder, 'kafka', NONROOT_UID);
  await copyTree(await formattedKafka(root, sasl), data);
  const properties = sasl ? saslProperties(port, controllerPort, innerPort) : kafkaProperties(port, controllerPort);
  const listeners = await listenersFor(advertised);
  const further = listenerProperties({ port, controllerPort }, advertised, listeners);
  await writeFile(join(data, 'server.properties'), [properties, ...further, ...settings, ''].join('\n'));
  await writeFile(join(data, 'log4j2.properties'), LOG4J);
  const server = new ServerProcess({
    name: 'Kafka',
    command: kafkaCommand('kafka.Kafka', '/data/server.properties'),
    inside: { root, data, uid: NONROOT_UID },
    logFile: join(folder, 'kafka.log'),
    port,
    readyLine: /Kafka Server started/,
  });
  return Object.assign(server, { brokers: [`${HOST}:${port}`], listeners, ...(sasl ? { sasl: KAFKA_USER } : {}) });
}

async function makePostgres(
  root: string,
  folder: string,
  port: number,
  further: Readonly<Record<string, string | number>>,
  diskMebibytes: number | undefined,
): Promise<ServerProcess & PostgresService> {
  const data = await dataFolder(folder, 'postgres', POSTGRES_UID);
  const disk = diskMebibytes === undefined ? undefined : await LimitedDisk.mount(data, diskMebibytes, POSTGRES_UID);
  await copyTree(await initializedPostgres(root), disk?.path ?? data);
  const logFile = join(folder, 'postgres.log');
  const settings = { listen_addresses: HOST, port, unix_socket_directories: '/tmp', fsync: 'off', max_connections: 200, ...further };
  const server = new ServerProcess({
    name: 'Postgres',
    command: ['postgres', '-D', '/data/pgdata', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    inside: { root, data, uid: POSTGRES_UID },
    logFile,
    port,
    readyLine: /database system is ready to accept connections/,
    stopSignal: 'SIGINT',
    disk,
  });
  return Object.assign(server, postgresAddress(port), { logFile, disk });
}

async function makePgBouncer(root: string, folder: string, postgresPort: number, port: number): Promise<ServerProcess & PostgresService> {
  const data = await dataFolder(folder, 'pgbouncer', NONROOT_UID);
  await writeFile(join(data, 'pgbouncer.ini'), pgbouncerSettings(postgresPort, port));
  await writeFile(join(data, 'userlist.txt'), `"postgres" "${PASSWORD}"\n`);
  const logFile = join(folder, 'pgbouncer.log');
  const server = new ServerProcess({
    name: 'PgBouncer',
    command: ['pgbouncer', '/data/pgbouncer.ini'],
    inside: { root, data, uid: NONROOT_UID },
    logFile,
    port,
    readyLine: /process up/,
    stopSignal: 'SIGTERM',
  });
  return Object.assign(server, postgresAddress(port), { logFile });
}

async function makeRedis(root: string, folder: string): Promise<ServerProcess & RedisService> {
  const [port = 0] = await freePorts(1);
  const data = await dataFolder(folder, 'redis', POSTGRES_UID);
  const server = new ServerProcess({
    name: 'Redis',
    command: ['redis-server', '--port', String(port), '--bind', HOST, '--dir', '/data', '--save', '', '--appendonly', 'yes'],
    inside: { root, data, uid: POSTGRES_UID },
    logFile: join(folder, 'redis.log'),
    port,
    readyLine: /Ready to accept connections/,
  });
  return Object.assign(server, { url: `redis://${HOST}:${port}` });
}

async function dataFolder(folder: string, name: string, uid: number): Promise<string> {
  const data = join(folder, name);
  await mkdir(data);
  await chown(data, uid, uid);
  return data;
}

function postgresAddress(port: number): Omit<PostgresService, keyof Service | 'logFile' | 'running' | 'disk'> {
  const url = (database = 'postgres'): string => `postgresql://postgres:${PASSWORD}@${HOST}:${port}/${database}`;
  return { host: HOST, port, user: 'postgres', password: PASSWORD, url };
}

/** Formatting takes a second and a half of a processor: it is done once for each root file system. */
function formattedKafka(root: string, sasl: boolean): Promise<string> {
  const { username, password } = KAFKA_USER;
  // Names and passwords of SCRAM are part of the cluster's metadata, from its first moment on.
  const users = SCRAM.flatMap((mechanism) => ['--add-scram', `${mechanism}=[name=${username},password=${password}]`]);
  const key = [root, kafkaProperties(1, 2), CLUSTER_ID, ...(sasl ? users : [])];
  return ensureFolder('kafka-data', key, async (data) => {
    await chown(data, NONROOT_UID, NONROOT_UID);
    await writeFile(join(data, 'server.properties'), kafkaProperties(1, 2));
    const format = ['format', '--cluster-id', CLUSTER_ID, '--config', '/data/server.properties', ...(sasl ? users : [])];
    await runInside({ root, data, uid: NONROOT_UID }, kafkaCommand('kafka.tools.StorageTool', ...format));
  });
}

/** The same for initdb. */
function initializedPostgres(root: string): Promise<string> {
  return ensureFolder('postgres-data', [root, PASSWORD], async (data) => {
    await chown(data, POSTGRES_UID, POSTGRES_UID);
    await writeFile(join(data, 'password'), PASSWORD);
    const options = ['--username=postgres', '--auth=scram-sha-256', '--pwfile=/data/password', '--encoding=UTF8', '--locale=C.UTF-8'];
    await runInside({ root, data, uid: POSTGRES_UID }, ['initdb', '-D', '/data/pgdata', '--no-sync', ...options]);
  });
}

export async function runInside(inside: NonNullable<ServerOptions['inside']>, command: readonly string[]): Promise<void> {
  await run('setpriv', ['--pdeathsig', 'KILL', ...insideCommand(inside, command)]);
}

export function kafkaCommand(mainClass: string, ...args: string[]): string[] {
  return ['java', ...jvmFlags(), '-Dlog4j2.configurationFile=/data/log4j2.properties', '-cp', KAFKA_CLASSPATH, mainClass, ...args];
}

export const LOG4J = `rootLogger.level=info
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1} %m%n
`;

/** One node that is broker and controller, without the delays that only help several nodes or members. */
export function kafkaProperties(port: number, controllerPort: number): string {
  return `process.roles=broker,controller
node.id=0
controller.quorum.voters=0@${HOST}:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}
advertised.listeners=PLAINTEXT://${HOST}:${port}
log.dirs=/data/kafka
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
`;
}

async function listenersFor(advertised: Readonly<Record<string, string>>): Promise<Record<string, string>> {
  const names = Object.keys(advertised);
  const ports = await freePorts(names.length);
  return Object.fromEntries(names.map((name, index) => [name, `${HOST}:${ports[index] ?? 0}`]));
}

/** Lines that replace the listeners of {@link kafkaProperties}; none without further listeners. */
function listenerProperties(
  { port, controllerPort }: { port: number; controllerPort: number },
  advertised: Readonly<Record<string, string>>,
  listeners: Readonly<Record<string, string>>,
): string[] {
  const names = Object.keys(listeners);
  if (names.length === 0) return [];
  const own = `PLAINTEXT://${HOST}:${port}`;
  const each = (addresses: Readonly<Record<string, string>>): string[] => names.map((name) => `${name}://${addresses[name]}`);
  return [
    `listeners=${[own, ...each(listeners), `CONTROLLER://${HOST}:${controllerPort}`].join(',')}`,
    `advertised.listeners=${[own, ...each(advertised)].join(',')}`,
    `listener.security.protocol.map=${['PLAINTEXT', 'CONTROLLER', ...names].map((name) => `${name}:PLAINTEXT`).join(',')}`,
    'inter.broker.listener.name=PLAINTEXT',
  ];
}

const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];

/** The same for clients that authenticate; the broker uses another port for its own connections. */
function saslProperties(port: number, controllerPort: number, innerPort: number): string {
  const { username, password } = KAFKA_USER;
  const module = 'org.apache.kafka.common.security';
  const own = `listeners=PLAINTEXT://${HOST}:${innerPort},SASL_PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}
advertised.listeners=PLAINTEXT://${HOST}:${innerPort},SASL_PLAINTEXT://${HOST}:${port}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=${['PLAIN', ...SCRAM].join(',')}
listener.name.sasl_plaintext.plain.sasl.jaas.config=${module}.plain.PlainLoginModule required user_${username}="${password}";
${SCRAM.map((name) => `listener.name.sasl_plaintext.${name.toLowerCase()}.sasl.jaas.config=${module}.scram.ScramLoginModule required;`).join('\n')}
`;
  const rest = kafkaProperties(port, controllerPort)
    .split('\n')
    .filter((line) => !/^(advertised\.)?listeners=/.test(line));
  return own + rest.join('\n');
}

/** Pool settings as in the platform; the passwords of all roles but the administrator's are read from Postgres itself. */
export function pgbouncerSettings(postgresPort: number, port: number): string {
  return `[databases]
* = host=${HOST} port=${postgresPort}
[pgbouncer]
listen_addr = ${HOST}
listen_port = ${port}
unix_socket_dir =
logfile =
pidfile =
auth_type = scram-sha-256
auth_file = /data/userlist.txt
auth_user = postgres
auth_dbname = postgres
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1
admin_users = postgres
pool_mode = transaction
max_client_conn = 100
default_pool_size = 20
min_pool_size = 5
reserve_pool_size = 5
server_login_retry = 1
`;
}

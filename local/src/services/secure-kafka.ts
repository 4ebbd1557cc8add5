/** A real Kafka that accepts clients by TLS only, with SASL or with a certificate of their own, for tests. */
import { chown, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../exec.ts';
import { ensureRootfs, NONROOT_UID } from '../build/rootfs.ts';
import { serverFolder } from './folder.ts';
import { jvmFlags } from './jvm.ts';
import { freePorts } from './ports.ts';
import { insideCommand, ServerProcess } from './process.ts';

export interface SecureKafka {
  /** One `host:port` with the host name of the certificate. */
  readonly brokers: string[];
  readonly username: string;
  readonly password: string;
  /** The CA certificate of the broker in PEM, which no client trusts by default, and its file. */
  readonly authority: string;
  readonly authorityPath: string;
  /** Files with the certificate of a client and its key, which the broker requires with `authentication: 'certificate'`. */
  readonly client: { readonly certificatePath: string; readonly keyPath: string };
  stop(): Promise<void>;
}

const [USERNAME, PASSWORD] = ['bss', 'a-password-for-the-test'];

type Authentication = 'scram' | 'certificate';

/** @param authentication SCRAM-SHA-512 over TLS, or mutual TLS @throws Failure when it does not start */
export async function startSecureKafka(authentication: Authentication = 'scram'): Promise<SecureKafka> {
  const [root, folder, ports] = await Promise.all([ensureRootfs(), serverFolder('services'), freePorts(3)]);
  const [port = 0, internalPort = 0, controllerPort = 0] = ports;
  const data = join(folder, 'kafka');
  await mkdir(data);
  const authorityPath = await makeKeystore(folder, data);
  const client = await makeClientCertificate(folder, data);
  await writeFile(join(data, 'server.properties'), properties(authentication, port, internalPort, controllerPort));
  await chown(data, NONROOT_UID, NONROOT_UID);
  const inside = { root, data, uid: NONROOT_UID };
  const credential = `SCRAM-SHA-512=[name=${USERNAME},password=${PASSWORD}]`;
  const format = ['format', '--cluster-id', 'bss-platform-test-BBBB', '--config', '/data/server.properties', '--add-scram', credential];
  await run('setpriv', ['--pdeathsig', 'KILL', ...insideCommand(inside, java('kafka.tools.StorageTool', ...format))]);
  const command = java('kafka.Kafka', '/data/server.properties');
  const server = new ServerProcess({ name: 'Kafka with TLS', command, inside, logFile: join(folder, 'kafka.log'), port });
  const stop = async (): Promise<void> => {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await server.start();
    const authority = await readFile(authorityPath, 'utf8');
    return { brokers: [`localhost:${port}`], username: USERNAME, password: PASSWORD, authority, authorityPath, client, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A certificate that is its own authority, for the broker as one file of PEM. @returns where the authority lies */
async function makeKeystore(folder: string, data: string): Promise<string> {
  const [key, certificate] = [join(folder, 'broker.key'), join(folder, 'ca.crt')];
  await makeCertificate(key, certificate, ['-subj', '/CN=kafka', '-addext', 'subjectAltName=DNS:localhost']);
  const keystore = join(data, 'keystore.pem');
  await writeFile(keystore, (await readFile(key, 'utf8')) + (await readFile(certificate, 'utf8')), { mode: 0o600 });
  await chown(keystore, NONROOT_UID, NONROOT_UID);
  return certificate;
}

/** A certificate that is its own authority, which the broker trusts. */
async function makeClientCertificate(folder: string, data: string): Promise<SecureKafka['client']> {
  const [keyPath, certificatePath] = [join(folder, 'client.key'), join(folder, 'client.crt')];
  await makeCertificate(keyPath, certificatePath, ['-subj', '/CN=client']);
  await copyFile(certificatePath, join(data, 'truststore.pem'));
  return { certificatePath, keyPath };
}

async function makeCertificate(key: string, certificate: string, subject: string[]): Promise<void> {
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', certificate]);
}

function java(mainClass: string, ...args: string[]): string[] {
  return ['java', ...jvmFlags(), '-cp', '/opt/kafka/libs/*', mainClass, ...args];
}

/** Clients have their own listener; the broker uses a plaintext listener for itself. */
function properties(authentication: Authentication, port: number, internalPort: number, controllerPort: number): string {
  const host = '127.0.0.1';
  return `process.roles=broker,controller
node.id=0
controller.quorum.voters=0@${host}:${controllerPort}
controller.listener.names=CONTROLLER
listeners=CLIENTS://${host}:${port},INTERNAL://${host}:${internalPort},CONTROLLER://${host}:${controllerPort}
advertised.listeners=CLIENTS://localhost:${port},INTERNAL://${host}:${internalPort}
listener.security.protocol.map=CLIENTS:${authentication === 'scram' ? 'SASL_SSL' : 'SSL'},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=/data/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=/data/truststore.pem
ssl.client.auth=${authentication === 'scram' ? 'none' : 'required'}
log.dirs=/data/kafka
auto.create.topics.enable=false
offsets.topic.num.partitions=5
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
`;
}

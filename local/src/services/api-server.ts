/** A real etcd and kube-apiserver for tests, on free ports of 127.0.0.1: no scheduler, no controllers, no nodes. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ensurePrograms } from '../build/programs.ts';
import { serverFolder } from './folder.ts';
import { freePorts } from './ports.ts';
import { ServerProcess } from './process.ts';
import { sharedApiServer } from './shared.ts';
import type { ApiServer } from './types.ts';

export type { ApiServer };

export interface ApiServerOptions {
  /**
   * Start an API server of this process's own: for a test that stops it, that installs definitions or rights for the whole cluster, or that
   * counts objects of all namespaces. Default: the one that the test runner shares, where there is one and no other option is given.
   */
  readonly own?: boolean;
  /** Write one audit event (who, what, which object, result; no bodies) for each finished request. */
  readonly audit?: boolean;
  /** Admission plugins beyond those that are on by default. */
  readonly admissionPlugins?: readonly string[];
}

const AUDIT_POLICY = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', omitStages: ['RequestReceived'], rules: [{ level: 'Metadata' }] };

/**
 * A test of a shared API server works in namespaces of its own names.
 * @throws Failure when the programs cannot be built or a server does not start
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const shareable = options.own !== true && options.audit !== true && (options.admissionPlugins ?? []).length === 0;
  return (shareable ? await sharedApiServer() : undefined) ?? startOwnApiServer(options);
}

async function startOwnApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const programs = await ensurePrograms(['etcd', 'kube-apiserver']);
  const folder = await serverFolder('api');
  const [port = 0, etcdPort = 0, peerPort = 0] = await freePorts(3);
  const token = randomBytes(16).toString('hex');
  await writeInputs(folder, token);

  const etcd = new ServerProcess({
    name: 'etcd',
    command: [programs.etcd, ...flags(etcdFlags(folder, etcdPort, peerPort))],
    logFile: join(folder, 'etcd.log'),
    port: etcdPort,
    readyLine: /ready to serve client requests/,
  });
  const server = new ServerProcess({
    name: 'kube-apiserver',
    command: [programs['kube-apiserver'], ...flags(apiServerFlags(folder, port, etcdPort, options))],
    logFile: join(folder, 'kube-apiserver.log'),
    port,
    probe: () => isReady(folder, port, token),
  });
  const stop = async (): Promise<void> => {
    await Promise.all([server.kill(), etcd.kill()]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all([etcd.start(), server.start()]);
    const kubeconfigPath = join(folder, 'kubeconfig');
    await writeFile(kubeconfigPath, kubeconfig(port, token, await readFile(join(folder, 'certificates', 'apiserver.crt'))));
    return {
      url: `https://127.0.0.1:${port}`,
      kubeconfigPath,
      token,
      auditLogPath: join(folder, 'audit.log'),
      start: () => server.start(),
      stop,
      kill: () => server.kill(),
      restart: () => server.restart(),
      freeze: () => server.freeze(),
      thaw: () => server.thaw(),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeInputs(folder: string, token: string): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writeFile(join(folder, 'service-accounts.key'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  await writeFile(join(folder, 'tokens.csv'), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  await writeFile(join(folder, 'audit-policy.json'), JSON.stringify(AUDIT_POLICY));
  await writeFile(join(folder, 'audit.log'), '');
}

function flags(values: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

function etcdFlags(folder: string, port: number, peerPort: number): Record<string, string | boolean> {
  return {
    'data-dir': join(folder, 'etcd'),
    'listen-client-urls': `http://127.0.0.1:${port}`,
    'advertise-client-urls': `http://127.0.0.1:${port}`,
    'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
    'unsafe-no-fsync': true,
  };
}

/** Without controllers there are no service accounts, and nothing uses the endpoints of the API server. */
function apiServerFlags(
  folder: string,
  port: number,
  etcdPort: number,
  { audit = false, admissionPlugins = [] }: ApiServerOptions,
): Record<string, string | number | boolean> {
  const key = join(folder, 'service-accounts.key');
  const auditFlags = { 'audit-policy-file': join(folder, 'audit-policy.json'), 'audit-log-path': join(folder, 'audit.log') };
  return {
    'etcd-servers': `http://127.0.0.1:${etcdPort}`,
    'bind-address': '127.0.0.1',
    'secure-port': port,
    'cert-dir': join(folder, 'certificates'),
    'token-auth-file': join(folder, 'tokens.csv'),
    'authorization-mode': 'RBAC',
    'service-cluster-ip-range': '10.0.0.0/16',
    'service-account-issuer': 'https://kubernetes.default.svc',
    'service-account-key-file': key,
    'service-account-signing-key-file': key,
    'disable-admission-plugins': 'ServiceAccount',
    ...(admissionPlugins.length > 0 ? { 'enable-admission-plugins': admissionPlugins.join(',') } : {}),
    'endpoint-reconciler-type': 'none',
    'allow-privileged': true,
    ...(audit ? auditFlags : {}),
  };
}

/** The server creates its own certificate at its first start. */
async function isReady(folder: string, port: number, token: string): Promise<boolean> {
  try {
    const ca = await readFile(join(folder, 'certificates', 'apiserver.crt'));
    return await new Promise((resolve, reject) => {
      const request = get(
        { host: '127.0.0.1', port, path: '/readyz', ca, agent: false, timeout: 2000, headers: { authorization: `Bearer ${token}` } },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        },
      );
      request.once('timeout', () => request.destroy(new Error('no answer')));
      request.once('error', reject);
    });
  } catch {
    return false;
  }
}

function kubeconfig(port: number, token: string, certificate: Buffer): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'test', cluster: { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': certificate.toString('base64') } },
    ],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace: 'default' } }],
    'current-context': 'test',
  });
}

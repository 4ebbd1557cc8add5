/** Certificates of one cluster: made by openssl when it starts, gone with it. Each component has an identity of its own. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../exec.ts';
import { API_SERVICE_IP, NODE_IP } from './node-config.ts';

export type ClientName = 'admin' | 'kubelet' | 'controller-manager' | 'scheduler' | 'proxy' | 'dns';

interface Certificate {
  readonly file: string;
  readonly authority: 'ca' | 'front-proxy-ca';
  /** Common name is the user, organisation the group. */
  readonly subject: string;
  readonly extensions: readonly string[];
}

const CLIENT = ['extendedKeyUsage=clientAuth'];

/** Users and groups are those that Kubernetes' built-in roles are bound to. */
export function certificates(nodeName: string): Certificate[] {
  const client = (file: string, subject: string): Certificate => ({ file, authority: 'ca', subject, extensions: CLIENT });
  return [
    {
      file: 'apiserver',
      authority: 'ca',
      subject: '/CN=kube-apiserver',
      extensions: [
        'extendedKeyUsage=serverAuth',
        `subjectAltName=IP:127.0.0.1,IP:${API_SERVICE_IP},IP:${NODE_IP},DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,` +
          'DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local',
      ],
    },
    { file: 'kubelet-server', authority: 'ca', subject: `/CN=${nodeName}`, extensions: [`subjectAltName=IP:${NODE_IP},DNS:${nodeName}`] },
    client('apiserver-kubelet', '/O=system:masters/CN=kube-apiserver-kubelet-client'),
    client('admin', '/O=system:masters/CN=bss-platform-admin'),
    client('kubelet', `/O=system:nodes/CN=system:node:${nodeName}`),
    client('controller-manager', '/CN=system:kube-controller-manager'),
    client('scheduler', '/CN=system:kube-scheduler'),
    client('proxy', '/CN=system:kube-proxy'),
    client('dns', '/CN=system:coredns'),
    { file: 'front-proxy-client', authority: 'front-proxy-ca', subject: '/CN=front-proxy-client', extensions: CLIENT },
  ];
}

/** Writes `<file>.crt` and `<file>.key` of every certificate, of both authorities, and the key of service accounts, into `folder`. */
export async function makeCertificates(folder: string, nodeName: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o700);
  await Promise.all([makeAuthority(folder, 'ca'), makeAuthority(folder, 'front-proxy-ca'), makeServiceAccountKey(folder)]);
  await Promise.all(certificates(nodeName).map((certificate) => makeCertificate(folder, certificate)));
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '365'];

async function makeAuthority(folder: string, name: string): Promise<void> {
  const extensions = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  await openssl(folder, [
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
    '-subj',
    `/CN=bss-platform-${name}`,
    ...extensions,
  ]);
}

async function makeCertificate(folder: string, { file, authority, subject, extensions }: Certificate): Promise<void> {
  const added = ['basicConstraints=critical,CA:FALSE', ...extensions].flatMap((extension) => ['-addext', extension]);
  const signer = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`];
  await openssl(folder, [
    'req',
    '-x509',
    ...signer,
    ...NEW_KEY,
    '-keyout',
    `${file}.key`,
    '-out',
    `${file}.crt`,
    '-subj',
    subject,
    ...added,
  ]);
}

async function makeServiceAccountKey(folder: string): Promise<void> {
  await openssl(folder, ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', 'service-accounts.key']);
  await openssl(folder, ['pkey', '-in', 'service-accounts.key', '-pubout', '-out', 'service-accounts.pub']);
}

async function openssl(folder: string, args: readonly string[]): Promise<void> {
  await run('openssl', args, { cwd: folder });
}

/** A kubeconfig that names certificate files by their paths, for the node's own components. */
export function kubeconfig(server: string, pki: string, client: ClientName): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bss-platform', cluster: { server, 'certificate-authority': join(pki, 'ca.crt') } }],
    users: [{ name: client, user: { 'client-certificate': join(pki, `${client}.crt`), 'client-key': join(pki, `${client}.key`) } }],
    contexts: [{ name: 'bss-platform', context: { cluster: 'bss-platform', user: client } }],
    'current-context': 'bss-platform',
  });
}

/** Name of a cluster, its user and its context in a kubeconfig. */
export function contextName(cluster: string): string {
  return `bss-platform-${cluster}`;
}

/** A kubeconfig that holds the certificates themselves, so that it can be copied. Cluster, user and context are called `bss-platform-<name>`. */
export async function inlineKubeconfig(server: string, pki: string, client: ClientName, name: string): Promise<string> {
  const read = async (file: string): Promise<string> => (await readFile(join(pki, file))).toString('base64');
  const [authority, certificate, key] = await Promise.all([read('ca.crt'), read(`${client}.crt`), read(`${client}.key`)]);
  const id = contextName(name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: id, cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: id, user: { 'client-certificate-data': certificate, 'client-key-data': key } }],
    contexts: [{ name: id, context: { cluster: id, user: id } }],
    'current-context': id,
  };
  return `${JSON.stringify(config, undefined, 1)}\n`;
}

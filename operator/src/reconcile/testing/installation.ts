/** What an installation gives the operator, read from the manifest that users apply: its account, its rights, its environment. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ensurePrograms } from '../../../../local/src/build/programs.ts';
import type { ApiServer } from '../../../../local/src/services/index.ts';
import type { KubeClient, KubernetesObject } from '../../runtime/index.ts';

const run = promisify(execFile);
const CHART = fileURLToPath(new URL('../../../../charts/bss-operator', import.meta.url));
const INSTALL = new URL('../../../../charts/install.yaml', import.meta.url);
export const NAMESPACE = 'bss-system';
export const ACCOUNT = 'bss-operator';
/** By this name the API server's audit log knows the operator. */
export const USERNAME = `system:serviceaccount:${NAMESPACE}:${ACCOUNT}`;

const RIGHTS = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']);

export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

interface Role extends KubernetesObject {
  rules: PolicyRule[];
}

/** What users install: the plain manifest, or what the chart renders with values of theirs. */
export async function manifests(values: readonly string[] = []): Promise<KubernetesObject[]> {
  const text = values.length === 0 ? await readFile(INSTALL, 'utf8') : await render(values);
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubernetesObject | null)
    .filter((manifest) => manifest !== null);
}

/** @param values as for `--set` */
async function render(values: readonly string[]): Promise<string> {
  const { helm } = await ensurePrograms(['helm']);
  const settings = values.flatMap((value) => ['--set', value]);
  return (await run(helm, ['template', ACCOUNT, CHART, '--namespace', NAMESPACE, '--no-hooks', ...settings])).stdout;
}

/** Creates the operator's account and rights. Its namespace must exist. */
export async function installRights(client: KubeClient, installed: readonly KubernetesObject[]): Promise<void> {
  for (const manifest of installed) if (RIGHTS.has(manifest.kind)) await client.create(manifest);
}

/** Rules of the operator's own ClusterRole and Role; those for users are others. @param values as for `--set` */
export async function grantedRules(values: readonly string[] = []): Promise<PolicyRule[]> {
  const roles = (await manifests(values)).filter(
    ({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === ACCOUNT,
  ) as Role[];
  return roles.flatMap(({ rules }) => rules);
}

/** Environment of the operator's container, as far as it is written there. */
export function containerEnvironment(installed: readonly KubernetesObject[]): Record<string, string> {
  const deployment = installed.find(({ kind }) => kind === 'Deployment');
  const { spec } = deployment as unknown as { spec: { template: { spec: { containers: { env: { name: string; value?: string }[] }[] } } } };
  const env = spec.template.spec.containers[0]?.env ?? [];
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}

export interface Login {
  kubeconfigPath: string;
  /** As in the audit log, where it distinguishes two replicas of one account. */
  credentialId: string;
}

/** A token of the operator's account, as a pod gets one, in a kubeconfig beside that of the administrator. */
export async function logIn(api: ApiServer, client: KubeClient): Promise<Login> {
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } };
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${ACCOUNT}/token`;
  const { status, body } = await client.raw('POST', path, { body: request, contentType: 'application/json' });
  if (status !== 201) throw new Error(`no token for the operator's account: HTTP ${status} ${JSON.stringify(body)}`);
  const { token } = (body as { status: { token: string } }).status;
  const { jti } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string };
  const config = parse(await readFile(api.kubeconfigPath, 'utf8')) as { users: object[] };
  const kubeconfigPath = join(dirname(api.kubeconfigPath), `${ACCOUNT}-${jti}`);
  await writeFile(kubeconfigPath, stringify({ ...config, users: [{ name: 'admin', user: { token } }] }), { mode: 0o600 });
  return { kubeconfigPath, credentialId: `JTI=${jti}` };
}

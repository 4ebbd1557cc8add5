/**
 * `helm test` runs this script in a pod. It checks that the API server accepts a platform of this chart's version, that one of the operator's pods
 * leads, and that all of them serve their endpoints. The pod gets this one file, so it imports only modules of Node.
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';

const { NAMESPACE = 'default', SELECTOR = '', API_SERVER = 'https://kubernetes.default.svc', LIMIT_SECONDS = '60' } = process.env;
const { TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token', METRICS_PORT = '8081' } = process.env;
const PLATFORMS = '/apis/bss-platform.io/v1alpha1';

interface Pod {
  metadata: { name: string };
  status: { podIP?: string };
}

interface Lease {
  spec?: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number };
}

/** The answer of the API server. @throws Error with its message if it rejects the request */
async function api<T>(path: string, body?: object): Promise<T> {
  const token = (await readFile(TOKEN_FILE, 'utf8')).trim();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const request = body === undefined ? { headers } : { headers, method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(API_SERVER + path, request);
  const answer = (await response.json()) as T & { message?: string };
  if (!response.ok) throw new Error(answer.message ?? `HTTP ${response.status} for ${path}`);
  return answer;
}

/** Sends a field that is new in this version, because helm does not upgrade the CRD. */
async function acceptsPlatforms(): Promise<string> {
  const spec = { workloads: { gateway: { route: { parentRefs: [{ name: 'public' }] } } } };
  const platform = { apiVersion: 'bss-platform.io/v1alpha1', kind: 'BssPlatform', metadata: { name: 'helm-test' }, spec };
  const path = `${PLATFORMS}/namespaces/${NAMESPACE}/bssplatforms?dryRun=All&fieldValidation=Strict`;
  try {
    const stored = await api<{ spec: { profile?: string } }>(path, platform);
    if (stored.spec.profile === undefined) throw new Error('the object has no defaults');
  } catch (error) {
    const advice = 'if the CRD is older than the chart, run: helm show crds <chart> | kubectl apply --server-side --force-conflicts -f -';
    throw new Error(`the API server rejects a BssPlatform of this version (${advice})`, { cause: error });
  }
  return 'the API server accepts a BssPlatform and sets the defaults of this version';
}

async function leads(pods: Pod[]): Promise<string> {
  const { spec = {} } = await api<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/bss-operator`);
  const { holderIdentity = '', renewTime = '', leaseDurationSeconds = 15 } = spec;
  const holder = pods.find(({ metadata }) => holderIdentity.startsWith(`${metadata.name}_`));
  if (holder === undefined) throw new Error(`"${holderIdentity}" holds the Lease; expected one of ${names(pods)}`);
  const age = (Date.now() - Date.parse(renewTime)) / 1000;
  if (!(age < leaseDurationSeconds)) throw new Error(`${holder.metadata.name} has not renewed its Lease for ${Math.round(age)} s`);
  return `${holder.metadata.name} leads`;
}

async function serves({ metadata: { name }, status: { podIP } }: Pod): Promise<string> {
  if (podIP === undefined) throw new Error(`${name} has no pod IP yet`);
  const host = podIP.includes(':') ? `[${podIP}]` : podIP;
  for (const path of ['livez', 'readyz', 'metrics']) {
    const response = await fetch(`http://${host}:${METRICS_PORT}/${path}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`${name} answers /${path} with ${response.status}: ${text.trim().slice(0, 200)}`);
    if (path === 'metrics' && !text.includes('bss_operator_')) throw new Error(`/metrics of ${name} has no metric bss_operator_*`);
  }
  return `${name} serves /livez, /readyz and /metrics`;
}

function names(pods: Pod[]): string {
  return pods.map(({ metadata }) => metadata.name).join(', ');
}

async function check(): Promise<string[]> {
  const found = await acceptsPlatforms();
  const { items } = await api<{ items: Pod[] }>(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(SELECTOR)}`);
  if (items.length === 0) throw new Error(`the operator has no pods (${SELECTOR})`);
  return [found, await leads(items), ...(await Promise.all(items.map(serves)))];
}

/** Message and causes in one line. */
function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${words(error.cause)}`;
}

const limit = Date.now() + Number(LIMIT_SECONDS) * 1000;
for (;;) {
  try {
    console.log((await check()).map((line) => `ok: ${line}`).join('\n'));
    break;
  } catch (error) {
    if (Date.now() > limit) {
      console.error(`failed: ${words(error)}`);
      process.exit(1);
    }
  }
  await setTimeout(2000);
}

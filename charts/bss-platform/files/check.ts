/**
 * `helm test` runs this script in a pod. It checks that the platform is ready and that its gateway answers. The pod gets this one file, so it imports
 * only modules of Node.
 */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';

const { NAMESPACE = 'default', NAME = '', API_SERVER = 'https://kubernetes.default.svc', LIMIT_SECONDS = '180' } = process.env;
const { TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token' } = process.env;

interface Platform {
  metadata: { generation: number };
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string; observedGeneration?: number }[];
    endpoints?: { name: string; address: string }[];
  };
}

async function platform(): Promise<Platform> {
  const token = (await readFile(TOKEN_FILE, 'utf8')).trim();
  const url = `${API_SERVER}/apis/bss-platform.io/v1alpha1/namespaces/${NAMESPACE}/bssplatforms/${NAME}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const answer = (await response.json()) as Platform & { message?: string };
  if (!response.ok) throw new Error(answer.message ?? `HTTP ${response.status}`);
  return answer;
}

function isReady({ metadata: { generation }, status }: Platform): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready === undefined) throw new Error(`BssPlatform ${NAME} has no Ready condition yet; is the operator running?`);
  if (ready.observedGeneration !== generation)
    throw new Error(`the operator has not reconciled the latest generation of BssPlatform ${NAME} yet`);
  if (ready.status !== 'True') throw new Error(`BssPlatform ${NAME} is not ready: ${ready.reason}: ${ready.message}`);
  return `BssPlatform ${NAME} is ready: ${ready.message}`;
}

async function answers({ status }: Platform): Promise<string> {
  const gateway = status?.endpoints?.find(({ name }) => name === 'gateway');
  if (gateway === undefined) return 'the platform has no gateway';
  const response = await fetch(`${gateway.address}/openapi.json`);
  const { openapi = '' } = response.ok ? ((await response.json()) as { openapi?: string }) : {};
  if (openapi === '') throw new Error(`the gateway answers ${gateway.address}/openapi.json with ${response.status}`);
  return `the gateway answers at ${gateway.address}`;
}

async function check(): Promise<string[]> {
  const found = await platform();
  return [isReady(found), await answers(found)];
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

/** A receiver of Alertmanager's notifications inside the cluster, which hands out what it got. */
import type { Kubectl } from '../../local/src/target/kubectl.ts';
import type { Environment } from './environment.ts';
import { NAMESPACE } from './environment.ts';

/** Its port, and the name of its objects and of the Secret with its URL. */
export const CATCHER = { name: 'catcher', port: 8099 };

/** Keeps every alert of every notification; GET returns them all. */
const PROGRAM = `
const alerts = [];
require('node:http').createServer((request, response) => {
  if (request.method === 'GET') return response.end(JSON.stringify(alerts));
  let body = '';
  request.on('data', (chunk) => (body += chunk)).on('end', () => {
    for (const alert of JSON.parse(body).alerts) alerts.push({ ...alert, receivedAt: Date.now() });
    response.end();
  });
}).listen(${CATCHER.port});
`;

/** One alert of a notification, as Alertmanager's webhook sends it. */
export interface Notification {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Epoch milliseconds. */
  readonly receivedAt: number;
}

export class Catcher {
  readonly #url: string;
  readonly #kubectl: Kubectl;

  private constructor(url: string, kubectl: Kubectl) {
    this.#url = url;
    this.#kubectl = kubectl;
  }

  /** Starts it, with a Secret that holds its address. */
  static async start({ kubectl, target }: Environment): Promise<Catcher> {
    const { name, port } = CATCHER;
    await kubectl.run(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects() }) });
    await kubectl.run(['rollout', 'status', `deployment/${name}`, '-n', NAMESPACE, '--timeout=60s']);
    return new Catcher(await target.forward(NAMESPACE, name, port), kubectl);
  }

  async stop(): Promise<void> {
    await this.#kubectl.run(['delete', 'deployment,service,secret', CATCHER.name, '-n', NAMESPACE, '--wait=false']);
  }

  async notifications(): Promise<Notification[]> {
    const response = await fetch(this.#url);
    return (await response.json()) as Notification[];
  }
}

function objects(): object[] {
  const { name, port } = CATCHER;
  const labels = { app: name };
  const metadata = { name, namespace: NAMESPACE, labels };
  const container = {
    name,
    image: 'bss-platform/workloads:0.1.0',
    imagePullPolicy: 'IfNotPresent',
    command: ['node', '-e', PROGRAM],
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    readinessProbe: { httpGet: { path: '/', port }, periodSeconds: 1 },
  };
  const securityContext = { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } };
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata, stringData: { 'webhook-url': `http://${name}.${NAMESPACE}.svc:${port}/` } },
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selector: labels, ports: [{ port, targetPort: port }] } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { securityContext, containers: [container] } } },
    },
  ];
}

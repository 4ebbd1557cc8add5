/**
 * The node's supervisor, inside its namespaces: starts the components in the order in which they need each other, restarts what ends, and
 * carries connections from the host in. It ends with its process 1, and the whole node with it.
 * Events for the agent are lines of JSON on standard output.
 */
import http from 'node:http';
import https from 'node:https';
import { connect, type Socket } from 'node:net';
import { Resolver } from 'node:dns/promises';
import { join as joinPath } from 'node:path';
import process from 'node:process';
import { run } from '../exec.ts';
import { createAddons } from './addons.ts';
import { ApiClient } from './api-client.ts';
import { components, type ComponentName } from './components.ts';
import { connected, join, serveLines } from './lines.ts';
import { keepRotating } from './log-rotation.ts';
import { API_PORT, NODE_IP, readNodeConfig, type NodeConfig } from './node-config.ts';
import { Provisioner } from './provisioner.ts';
import { ManagedProcess } from './managed-process.ts';
import { eventually } from './wait.ts';
import { type ComponentStatus, type NodeEvent, type Stage, type TunnelRequest } from './protocol.ts';

/** Longest wait for one component; a busy machine may take several times what an idle one does. */
const LIMIT_MS = 90_000;

class Supervisor {
  readonly #node: NodeConfig;
  readonly #api: ApiClient;
  readonly #processes = new Map<ComponentName, ManagedProcess>();

  constructor(node: NodeConfig) {
    this.#node = node;
    this.#api = new ApiClient(node.paths.pki);
  }

  /** Resolves when pods can be started. */
  async start(): Promise<void> {
    await Promise.all([this.#startContainerd(), this.#startControlPlane()]);
    await this.#startNode();
  }

  status(): ComponentStatus[] {
    return [...this.#processes.values()].map((managed) => managed.status());
  }

  async #startContainerd(): Promise<void> {
    this.#launch('containerd');
    const address = ['--address', this.#node.paths.containerdSocket];
    await this.#until('containerd', () => succeeds('ctr', [...address, 'version']));
    await run('ctr', [...address, '--namespace', 'k8s.io', 'images', 'import', joinPath(this.#node.paths.state, 'pause.tar')]);
    report({ stage: 'containers' });
  }

  async #startControlPlane(): Promise<void> {
    this.#launch('etcd');
    await this.#until('etcd', () => answers('http://127.0.0.1:2379/health'));
    this.#launch('apiserver');
    await this.#until('apiserver', () => this.#api.healthy('/readyz'));
    report({ stage: 'api' });
  }

  async #startNode(): Promise<void> {
    for (const name of ['kubelet', 'controller-manager', 'scheduler', 'proxy'] as const) this.#launch(name);
    await this.#until('apiserver', () => this.#api.healthy('/api/v1/namespaces/kube-system'));
    await createAddons(this.#api);
    this.#launch('dns');
    new Provisioner(this.#api, joinPath(this.#node.paths.state, 'volumes'), this.#node.nodeName).start();
    await Promise.all([
      this.#until('kubelet', () => this.#nodeIsReady()),
      this.#until('dns', () => answers('http://127.0.0.1:8181/ready')),
      this.#until('proxy', () => answers('http://127.0.0.1:10256/healthz')),
      // Pods are refused in a namespace that has no service account yet.
      this.#until('controller-manager', () => this.#api.healthy('/api/v1/namespaces/default/serviceaccounts/default')),
      this.#until('scheduler', () => answers('https://127.0.0.1:10259/healthz')),
    ]);
  }

  async #nodeIsReady(): Promise<boolean> {
    interface Node {
      readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
    }
    const node = await this.#api.get<Node>(`/api/v1/nodes/${this.#node.nodeName}`).catch(() => undefined);
    return node?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  }

  #launch(name: ComponentName): void {
    const component = components(this.#node)[name];
    this.#processes.set(name, new ManagedProcess(component, this.#node));
  }

  /** @throws naming the component, so that the right log is shown */
  async #until(name: ComponentName, condition: () => Promise<boolean>): Promise<void> {
    await eventually(`${name} is ready`, LIMIT_MS, async () => {
      const managed = this.#processes.get(name);
      if (managed !== undefined && managed.keepsFailing()) throw new ComponentFailure(name);
      return condition();
    }).catch(() => {
      throw new ComponentFailure(name);
    });
    report({ stage: name });
  }
}

class ComponentFailure extends Error {
  readonly component: ComponentName;
  constructor(component: ComponentName) {
    super(`${component} did not become ready`);
    this.component = component;
  }
}

function report(event: { stage: Stage } | NodeEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return run(program, args, { timeoutMs: 5000 }).then(
    () => true,
    () => false,
  );
}

/** Whether a health check on loopback answers 200. The scheduler's certificate is of its own making. */
function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const call = url.startsWith('https:') ? https.get(url, { rejectUnauthorized: false }) : http.get(url);
    call.on('response', (response) => resolve(response.resume().statusCode === 200));
    call.on('error', () => resolve(false));
    call.setTimeout(2000, () => call.destroy());
  });
}

/** Host names are looked up in cluster DNS at each connection, so a forward outlives the Service's address. */
const resolver = new Resolver();
resolver.setServers([NODE_IP]);

async function dial(host: string, port: number): Promise<Socket> {
  const address = /^[\d.]+$/.test(host) ? host : (await resolver.resolve4(host))[0];
  const socket = connect({ host: address ?? host, port, allowHalfOpen: true });
  await connected(socket);
  return socket;
}

/** A client whose target cannot be reached sees a closed connection, as it would without the tunnel. */
async function carry(socket: Socket, host: string, port: number): Promise<void> {
  try {
    join(socket, await dial(host, port));
  } catch {
    socket.destroy();
  }
}

async function main(): Promise<void> {
  const node = readNodeConfig(process.argv[2] ?? '');
  const supervisor = new Supervisor(node);
  keepRotating(node.paths.logs);
  await serveLines(node.paths.tunnelSocket, async (line, socket) => {
    const { op, host, port }: TunnelRequest = JSON.parse(line);
    if (op === 'status') socket.end(`${JSON.stringify({ components: supervisor.status() })}\n`);
    else await carry(socket, host ?? '127.0.0.1', port ?? API_PORT);
  });
  try {
    await supervisor.start();
    report({ stage: 'ready' });
  } catch (error) {
    report({ stage: 'failed', ...(error instanceof ComponentFailure ? { component: error.component } : {}), message: String(error) });
  }
}

// An unhandled rejection is written to the supervisor's log; it must not end the node.
process.on('unhandledRejection', (error) => console.error(error));
await main();

/**
 * The cluster's only process on the host: it starts the node's namespaces, listens on the loopback ports, and removes everything when the node
 * ends, on SIGTERM, or when `up` ends before the node is ready. Killing it kills the node.
 * Usage: agent.ts NAME CONFIG; standard input: open for as long as `up` waits; standard output: events, one line of JSON each.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, connect, type Socket } from 'node:net';
import { openSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withLock } from '../lock.ts';
import { PROJECT_DIR, SHARED_FOLDERS } from '../paths.ts';
import { createCgroups } from './cgroups.ts';
import { listenOnLoopback, portCandidates } from './loopback.ts';
import { removeCluster } from './remove.ts';
import { ask, connected, join, serveLines } from './lines.ts';
import { API_PORT, NODE_IP, readNodeConfig, type NodeConfig } from './node-config.ts';
import { inlineKubeconfig } from './pki.ts';
import type { AgentRequest, AgentStatus, ComponentStatus, Forward, NodeEvent } from './protocol.ts';

const SCRIPT = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Enters the groups first, so that not one process of the node is ever outside of them. $1: folders, one per line. */
const ENTER_AND_UNSHARE = `for folder in $1; do echo 0 >"$folder/cgroup.procs"; done; shift
exec setpriv --pdeathsig KILL unshare --net --mount --pid --uts --ipc --fork --kill-child "$@"`;

class Agent {
  readonly #node: NodeConfig;
  readonly #startedAt = new Date().toISOString();
  readonly #forwards: Forward[] = [];
  #chain: ChildProcess | undefined;
  #apiPort = 0;
  #ready = false;
  #stopping = false;

  constructor(node: NodeConfig) {
    this.#node = node;
  }

  async start(): Promise<void> {
    const { paths } = this.#node;
    await writeFile(joinPath(paths.run, 'agent.pid'), String(process.pid));
    const folders = await withLock(SHARED_FOLDERS, () => createCgroups(paths.cgroup));
    this.#apiPort = await this.#listen('127.0.0.1', API_PORT);
    await writeFile(paths.kubeconfig, await inlineKubeconfig(`https://127.0.0.1:${this.#apiPort}`, paths.pki, 'admin', paths.name), {
      mode: 0o600,
    });
    await serveLines(paths.agentSocket, (line, socket) => this.#answer(line, socket));
    this.#startNode(folders);
  }

  /** Ends the node, removes what it left, and ends this process. */
  async stop(code: number): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#chain?.kill('SIGKILL');
    await removeCluster(this.#node.paths, { keepLogs: code !== 0 });
    process.exit(code);
  }

  /** `up` has ended: the node stays if it is ready; otherwise nothing waits for it, and it is removed. */
  async onStarterGone(): Promise<void> {
    if (!this.#ready) await this.stop(1);
  }

  #startNode(cgroups: readonly string[]): void {
    const { paths, cache, nodeName } = this.#node;
    const errors = openSync(joinPath(paths.logs, 'supervisor.log'), 'a');
    const init = [
      paths.state,
      paths.run,
      cache,
      PROJECT_DIR,
      process.execPath,
      nodeName,
      NODE_IP,
      SCRIPT('supervisor.ts'),
      joinPath(paths.config, 'node.json'),
    ];
    const args = ['-c', ENTER_AND_UNSHARE, 'sh', cgroups.join('\n'), 'sh', SCRIPT('init.sh'), ...init];
    this.#chain = spawn('sh', args, { stdio: ['ignore', 'pipe', errors], cwd: '/' });
    this.#chain.on('exit', () => void this.stop(1));
    this.#chain.on('error', () => void this.stop(1));
    if (this.#chain.stdout === null) return;
    createInterface({ input: this.#chain.stdout }).on('line', (line) => {
      process.stdout.write(`${line}\n`);
      const event: NodeEvent = JSON.parse(line);
      if (event.stage === 'ready') this.#ready = true;
      if (event.stage === 'failed') void this.stop(1);
    });
  }

  async #answer(line: string, socket: Socket): Promise<void> {
    const request: AgentRequest = JSON.parse(line);
    const answer = request.op === 'forward' ? await this.#forward(request.host, request.port) : await this.#status();
    socket.end(`${JSON.stringify(answer)}\n`);
  }

  async #status(): Promise<AgentStatus> {
    const { components } = await ask<{ components: ComponentStatus[] }>(this.#node.paths.tunnelSocket, { op: 'status' }).catch(() => ({
      components: [],
    }));
    return {
      ready: this.#ready,
      agentPid: process.pid,
      initPid: await this.#initPid(),
      apiPort: this.#apiPort,
      startedAt: this.#startedAt,
      forwards: this.#forwards,
      components,
    };
  }

  /** Process 1 is the only child of `unshare`. */
  async #initPid(): Promise<number | undefined> {
    const id = this.#chain?.pid;
    if (id === undefined) return undefined;
    const children = await readFile(`/proc/${id}/task/${id}/children`, 'utf8').catch(() => '');
    const first = Number(children.trim().split(' ')[0]);
    return first > 0 ? first : undefined;
  }

  /** The same target keeps its port. */
  async #forward(host: string, port: number): Promise<Forward> {
    const existing = this.#forwards.find((forward) => forward.host === host && forward.port === port);
    if (existing !== undefined) return existing;
    const forward = { host, port, localPort: await this.#listen(host, port) };
    this.#forwards.push(forward);
    return forward;
  }

  /** Opens a port on loopback whose connections go to that host and port inside; returns it. */
  #listen(host: string, port: number): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => void this.#carry(socket, host, port));
    return listenOnLoopback(server, portCandidates(this.#node.paths.name, host, port));
  }

  async #carry(socket: Socket, host: string, port: number): Promise<void> {
    socket.on('error', () => socket.destroy());
    const tunnel = connect({ path: this.#node.paths.tunnelSocket, allowHalfOpen: true });
    try {
      await connected(tunnel);
      tunnel.write(`${JSON.stringify({ host, port })}\n`);
      join(socket, tunnel);
    } catch {
      socket.destroy();
    }
  }
}

async function main(): Promise<void> {
  const agent = new Agent(readNodeConfig(process.argv[3] ?? ''));
  // `up` may be gone before the last event is written.
  process.stdout.on('error', () => undefined);
  process.stdin.on('end', () => void agent.onStarterGone()).resume();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void agent.stop(0));
  try {
    await agent.start();
  } catch (error) {
    console.error(error);
    await agent.stop(1);
  }
}

await main();

/** The local cluster: a real Kubernetes control plane and node, in namespaces of its own on this machine. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, openSync, closeSync } from 'node:fs';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '../exec.ts';
import { Failure, tellingLines } from '../failure.ts';
import { withLock } from '../lock.ts';
import { clusterPaths, SHARED_FOLDERS, type ClusterPaths } from '../paths.ts';
import { prepareMachine } from '../preflight.ts';
import { contentHash, ensurePrograms } from '../build/programs.ts';
import { formatDuration, Progress } from '../progress.ts';
import { memoryInUse } from './cgroups.ts';
import { configFiles, type ComponentName } from './components.ts';
import { ask } from './lines.ts';
import { NODE_PROGRAMS, nodeConfig, nodeConfigFile, type NodeConfig } from './node-config.ts';
import { pauseArchive } from './small-images.ts';
import { contextName, makeCertificates } from './pki.ts';
import type { AgentStatus, Forward, NodeEvent, Stage } from './protocol.ts';
import { mergeInto, userKubeconfig } from './user-kubeconfig.ts';
import { endAgents, keptLogs, removeCluster } from './remove.ts';

export { knownClusters, leftovers } from './leftovers.ts';
export type { AgentStatus, ComponentStatus, Forward } from './protocol.ts';

const AGENT = fileURLToPath(new URL('agent.ts', import.meta.url));

export interface UpOptions {
  readonly name: string;
  /** Writes every API request's metadata to `logs/audit.log` of the cluster. */
  readonly audit?: boolean;
  /** Called when containerd answers, so that images can be imported while the rest still starts; not called when the cluster is already running. */
  readonly onContainerd?: () => void;
}

export interface Cluster {
  readonly name: string;
  /** File for any Kubernetes client on this machine. */
  readonly kubeconfig: string;
  /** Folder with kubectl and helm (and the node's programs). */
  readonly bin: string;
  /** False when it ran already. */
  readonly started: boolean;
}

/**
 * Starts the cluster of that name unless it runs; resolves when its node is Ready and pods can be created.
 * It first removes the remains of an interrupted start. A signal or an error during the start removes everything.
 * @throws Failure naming the component whose log has the cause
 */
export async function up({ name, audit = false, onContainerd }: UpOptions): Promise<Cluster> {
  const node = nodeConfig(name, audit);
  const cluster = { name, kubeconfig: node.paths.kubeconfig, bin: node.bin };
  return withLock(`cluster-${name}`, async () => {
    if (await isReady(node.paths)) return { ...cluster, started: false };
    await start(node, onContainerd);
    return { ...cluster, started: true };
  });
}

/** Stops the cluster and removes everything it has on this machine but the build cache. No error when there is none. */
export async function down({ name }: { readonly name: string }): Promise<void> {
  const paths = clusterPaths(name);
  if (process.getuid?.() !== 0) throw new Failure('Only root can remove a cluster.', { tryNext: ['sudo env "PATH=$PATH" make down'] });
  await endAgents(name);
  await removeCluster(paths, { keepLogs: false });
}

/** The running cluster's state; undefined when it does not run. */
export async function status(name: string): Promise<AgentStatus | undefined> {
  const { agentSocket } = clusterPaths(name);
  return ask<AgentStatus>(agentSocket, { op: 'status' }).catch(() => undefined);
}

/** Bytes in use by the control plane (with kubelet and containerd) and by all pods. */
export async function memory(name: string): Promise<{ system: number | undefined; pods: number | undefined }> {
  const { cgroup } = clusterPaths(name);
  const [system, pods] = await Promise.all([memoryInUse(cgroup, 'system'), memoryInUse(cgroup, 'kubepods')]);
  return { system, pods };
}

/** Environment in which kubectl, helm and any Kubernetes client find the cluster. */
export function clusterEnvironment(name: string): NodeJS.ProcessEnv {
  const { kubeconfig, state } = clusterPaths(name);
  return {
    ...process.env,
    KUBECONFIG: kubeconfig,
    KUBECACHEDIR: join(state, 'kube-cache'),
    PATH: `${join(state, 'bin')}:${process.env['PATH'] ?? ''}`,
  };
}

/**
 * Adds a running cluster to the user's own kubeconfig, as the context `bss-platform-<name>`; `down` removes it again.
 * @returns the file and the context
 */
export async function mergeKubeconfig(name: string): Promise<{ file: string; context: string }> {
  await requireRunning(name);
  const { kubeconfig, mergedInto } = clusterPaths(name);
  const file = userKubeconfig();
  if (file === kubeconfig)
    throw new Failure(`KUBECONFIG is that of the cluster ${name} itself.`, { tryNext: ['leave the shell of the cluster first'] });
  // Recorded first: whatever happens next, down removes what was added.
  await writeFile(mergedInto, file);
  await mergeInto(file, await readFile(kubeconfig, 'utf8'));
  return { file, context: contextName(name) };
}

/** Log file of a component; those of the last failed start when the cluster does not exist. */
export function logFile(name: string, component: ComponentName | 'supervisor' | 'agent' | 'audit'): string {
  const { logs } = clusterPaths(name);
  return join(existsSync(logs) ? logs : keptLogs(name), `${component}.log`);
}

/** Imports an image archive (OCI or Docker, as a tar file) under the names that it carries; one that this cluster has already is left alone. */
export async function loadImage(name: string, archive: string): Promise<void> {
  await requireRunning(name);
  const { size, mtimeMs } = await stat(archive);
  const record = join(clusterPaths(name).state, 'loaded', contentHash([archive, String(size), String(mtimeMs)]));
  if (existsSync(record)) return;
  await ctr(name, ['images', 'import', '--all-platforms=false', archive]);
  await mkdir(dirname(record), { recursive: true });
  await writeFile(record, '');
}

/** Names of the images that the node has. */
export async function listImages(name: string): Promise<string[]> {
  await requireRunning(name);
  const { stdout } = await ctr(name, ['images', 'list', '--quiet']);
  return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('sha256:'));
}

/** Runs containerd's client on the namespace of Kubernetes. */
export function ctr(name: string, args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { state, containerdSocket } = clusterPaths(name);
  return run(join(state, 'bin', 'ctr'), ['--address', containerdSocket, '--namespace', 'k8s.io', ...args]);
}

/**
 * Opens a port on 127.0.0.1 that leads to a port inside the cluster, for as long as the cluster runs; the same target gets the same port.
 * `url` is its address for HTTP.
 * @param host a Service as `<service>.<namespace>`, a full DNS name, or an address inside
 */
export async function forward(name: string, host: string, port: number): Promise<Forward & { readonly url: string }> {
  await requireRunning(name);
  const target = /^[\d.]+$/.test(host) || host.endsWith('.cluster.local') ? host : `${host}.svc.cluster.local`;
  const opened = await ask<Forward>(clusterPaths(name).agentSocket, { op: 'forward', host: target, port });
  return { ...opened, url: `http://127.0.0.1:${opened.localPort}` };
}

async function requireRunning(name: string): Promise<void> {
  if ((await status(name)) === undefined)
    throw new Failure(`The cluster ${name} does not run.`, { tryNext: [`node local/src/cli.ts up --name ${name}`] });
}

async function isReady(paths: ClusterPaths): Promise<boolean> {
  return (await status(paths.name))?.ready === true;
}

async function start(node: NodeConfig, onContainerd: () => void = () => undefined): Promise<void> {
  const { name } = node.paths;
  const progress = new Progress('cluster', 6);
  await progress.step('check this machine', (note) => prepareMachine(note));
  const programs = await progress.step('programs', (note) => ensurePrograms(NODE_PROGRAMS, note));
  await undoneOnSignal(name, async (signal) => {
    await progress.step('certificates, configuration', async () => {
      await down({ name });
      await writeState(node, programs);
    });
    signal.throwIfAborted();
    await startNode(node, progress, onContainerd);
  });
}

async function startNode(node: NodeConfig, progress: Progress, onContainerd: () => void): Promise<void> {
  const events = startAgent(node);
  try {
    // A start that fails is reported by the steps below.
    events.until('containers').then(onContainerd, () => undefined);
    await progress.step('etcd, API server, containerd', () => events.until('api'));
    await progress.step('node Ready', () => events.until('kubelet'));
    await progress.step('DNS, Services, scheduler, accounts', () => events.until('ready'));
  } finally {
    events.release();
  }
}

/** Ctrl-C and SIGTERM remove what was begun before they end this process; so does an error. */
async function undoneOnSignal(name: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    process.exitCode = signal === 'SIGINT' ? 130 : 143;
    stop.abort();
    // The work fails when its agent ends.
    void endAgents(name);
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    await work(stop.signal);
  } catch (error) {
    await down({ name });
    if (stop.signal.aborted) process.exit();
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

async function writeState(node: NodeConfig, programs: Readonly<Record<string, string>>): Promise<void> {
  const { paths } = node;
  await withLock(SHARED_FOLDERS, () => mkdir(paths.run, { recursive: true }));
  await withLock(SHARED_FOLDERS, () => mkdir(paths.state, { recursive: true }));
  for (const folder of [paths.logs, node.bin, join(paths.state, 'volumes')]) await mkdir(folder, { recursive: true });
  for (const [program, file] of Object.entries(programs)) await symlink(file, join(node.bin, program));
  for (const [file, content] of Object.entries(configFiles(node))) {
    await mkdir(dirname(join(paths.config, file)), { recursive: true });
    await writeFile(join(paths.config, file), content);
  }
  const linkPause = async (): Promise<void> => symlink(await pauseArchive(programs['pause'] ?? ''), join(paths.state, 'pause.tar'));
  await Promise.all([makeCertificates(paths.pki, node.nodeName), linkPause()]);
}

interface StartEvents {
  /** Resolves when the stage has been reached; throws a Failure when the start fails. */
  readonly until: (stage: Stage) => Promise<void>;
  /** Lets this process end without the agent. */
  readonly release: () => void;
}

function startAgent(node: NodeConfig): StartEvents {
  const { name, logs } = node.paths;
  const errors = openSync(join(logs, 'agent.log'), 'a');
  const agent = spawn(process.execPath, [AGENT, name, nodeConfigFile(node.paths)], {
    detached: true,
    stdio: ['pipe', 'pipe', errors],
    cwd: '/',
  });
  if (agent.stdout === null) throw new Failure('the agent has no standard output');
  closeSync(errors);
  const { until, fail, reach } = stageWaiter();
  let failed: NodeEvent | undefined;
  createInterface({ input: agent.stdout }).on('line', (line) => {
    const event: NodeEvent = JSON.parse(line);
    if (event.stage === 'failed') failed = event;
    else reach(event.stage);
  });
  agent.on('error', (error) => fail(error));
  agent.on('exit', () => void startFailure(name, failed).then(fail));
  return { until, release: () => release(agent) };
}

function release(agent: ChildProcess): void {
  agent.removeAllListeners('exit');
  agent.stdin?.destroy();
  agent.stdout?.destroy();
  agent.unref();
}

interface StageWaiter {
  readonly until: StartEvents['until'];
  readonly reach: (stage: Stage) => void;
  readonly fail: (error: Error) => void;
}

function stageWaiter(): StageWaiter {
  const reached = new Set<Stage>();
  const waiting = new Map<Stage, { resolve: () => void; reject: (error: Error) => void }>();
  let failure: Error | undefined;
  return {
    until: (stage) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) reject(failure);
        else if (reached.has(stage)) resolve();
        else waiting.set(stage, { resolve, reject });
      }),
    reach: (stage) => {
      reached.add(stage);
      waiting.get(stage)?.resolve();
    },
    fail: (error) => {
      failure = error;
      for (const { reject } of waiting.values()) reject(error);
    },
  };
}

/** The log with the cause: that of the failed component, else the supervisor's. */
async function startFailure(name: string, event: NodeEvent | undefined): Promise<Failure> {
  const component = event?.component ?? 'supervisor';
  const file = join(keptLogs(name), `${component}.log`);
  const log = tellingLines(await readFile(file, 'utf8').catch(() => ''));
  const what =
    event?.component === undefined ? `the node ended: ${event?.message ?? 'no reason given'}` : `${component} did not become ready`;
  return new Failure(`The cluster ${name} did not start: ${what}. Everything that it had created is removed.`, {
    log,
    logFile: file,
    tryNext: [`node local/src/cli.ts logs ${component} --name ${name}`, `node local/src/cli.ts up --name ${name}`],
  });
}

/** For the commands' last line. */
export function describeStart(cluster: Cluster, ms: number): string {
  return cluster.started
    ? `The cluster ${cluster.name} is ready after ${formatDuration(ms)}.`
    : `The cluster ${cluster.name} is already running.`;
}

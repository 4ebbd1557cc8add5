/**
 * One server process for tests. It ends with the process that started it, however that ends. It is ready when its log says so and its port answers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure, tellingLines } from '../failure.ts';
import { MOUNT_PROC_AND_DEV, ROOTFS_PATH } from '../build/rootfs.ts';
import type { LimitedDisk } from './disk.ts';

/** How a test controls a server. Each call resolves when its effect is complete; stop, kill and start keep data and port. */
export interface Service {
  /** @throws Failure with the relevant lines of its log when it ends or is not ready in time */
  start(): Promise<void>;
  /** Sends its stop signal, as the kubelet would. */
  stop(): Promise<void>;
  /** Sends SIGKILL, as a crash would end it. */
  kill(): Promise<void>;
  /** stop and start. */
  restart(): Promise<void>;
  /** Stops it (SIGSTOP): it keeps its connections and does not answer. */
  freeze(): void;
  /** Ends `freeze`. */
  thaw(): void;
}

/** Runs the program inside a root file system, which it cannot write to, as a container would. */
export interface RootOptions {
  readonly root: string;
  /** Host folder that appears as /data. */
  readonly data: string;
  readonly uid: number;
}

export interface ServerOptions {
  readonly name: string;
  readonly command: readonly string[];
  /** Without it the program runs in the host's file system. */
  readonly inside?: RootOptions;
  readonly logFile: string;
  readonly port: number;
  /** What it logs when it is ready, if it does. */
  readonly readyLine?: RegExp;
  /** Whether it serves; default: its port takes connections. */
  readonly probe?: () => Promise<boolean>;
  /** Signal for a fast graceful shutdown; default: SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Where its data is in a file system of its own. */
  readonly disk?: LimitedDisk | undefined;
}

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;
const POLL_MS = 20;

/** "$1": root, "$2": data, "$3": uid, then the command. The death signal is set last: a change of user id clears it. */
const INSIDE_SCRIPT = `
mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"
${MOUNT_PROC_AND_DEV}
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"; mount -t tmpfs tmpfs "$1/run"
mount --bind "$2" "$1/data"
root=$1; uid=$3; shift 3
exec chroot "$root" setpriv --reuid "$uid" --regid "$uid" --clear-groups --pdeathsig KILL \\
  env -i PATH=${ROOTFS_PATH} HOME=/tmp LC_ALL=C.UTF-8 "$@"
`;

/** The command line that runs a program with a root, mounts and process ids of its own, in the host's network. */
export function insideCommand(inside: RootOptions, command: readonly string[]): string[] {
  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child'];
  return [...namespaces, 'sh', '-euc', INSIDE_SCRIPT, 'sh', inside.root, inside.data, String(inside.uid), ...command];
}

export class ServerProcess implements Service {
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** False after it has ended, by itself too. */
  get running(): boolean {
    return this.#child !== undefined;
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Failure(`${this.#options.name} is already running`);
    const { command, inside, logFile, disk } = this.#options;
    const own = inside === undefined ? command : insideCommand(inside, command);
    const line = disk === undefined ? own : disk.inside(own);
    const log = openSync(logFile, 'a');
    const logStart = statSync(logFile).size;
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...line], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#child = undefined;
        resolve();
      };
      child.once('error', end);
      child.once('exit', end);
    });
    await this.#ready(logStart);
  }

  async stop(): Promise<void> {
    this.thaw();
    this.#signal(this.#options.stopSignal ?? 'SIGTERM');
    const ended = await Promise.race([this.#ended.then(() => true), delay(STOP_LIMIT_MS, false, { ref: false })]);
    if (!ended) await this.kill();
  }

  async kill(): Promise<void> {
    this.#signal('SIGKILL');
    await this.#ended;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  freeze(): void {
    const pids = this.#processes();
    for (const pid of pids) signalProcess(pid, 'SIGSTOP');
    const deadline = Date.now() + STOP_LIMIT_MS;
    while (!pids.every(isStopped)) {
      if (Date.now() > deadline) throw new Failure(`${this.#options.name} did not stop within ${STOP_LIMIT_MS / 1000} s`);
    }
  }

  thaw(): void {
    for (const pid of this.#processes()) signalProcess(pid, 'SIGCONT');
  }

  async #ready(logStart: number): Promise<void> {
    const { name, logFile, port, readyLine = /^/, probe = () => answers(port) } = this.#options;
    const deadline = Date.now() + START_LIMIT_MS;
    const log = (): string => readFileSync(logFile).subarray(logStart).toString();
    while (!(readyLine.test(log()) && (await probe()))) {
      const ended = this.#child === undefined;
      if (ended || Date.now() > deadline) {
        await this.kill();
        const what = ended ? 'ended while starting' : `was not ready within ${START_LIMIT_MS / 1000} s`;
        throw new Failure(`${name} ${what}`, { log: tellingLines(log()), logFile });
      }
      await delay(POLL_MS);
    }
  }

  /** To the server itself: unshare does not pass signals on. */
  #signal(signal: NodeJS.Signals): void {
    const [server] = this.#processes();
    if (server !== undefined) signalProcess(server, signal);
    else this.#child?.kill(signal);
  }

  /** The server and its descendants, parents first. */
  #processes(): number[] {
    const child = this.#child?.pid;
    if (child === undefined) return [];
    return this.#options.inside === undefined ? [child, ...descendants(child)] : descendants(child);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function descendants(pid: number): number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap((child) => descendants(child))];
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** Each thread stops when it is scheduled next: until then it may still answer. */
function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      // The name, in parentheses, may hold anything; the state follows it.
      return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
    });
  } catch {
    // A thread ended meanwhile, or the process is gone: looked at again, or nothing is left to stop.
    return !existsSync(`/proc/${pid}`);
  }
}

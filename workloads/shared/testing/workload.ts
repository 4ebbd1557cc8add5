import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../../local/src/services/ports.ts';
import { waitFor } from './wait.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A workload in a process of its own, as a container would run it. It ends with the process that started it. */
export class Workload {
  readonly name: string;
  readonly metricsUrl: string;
  readonly #child: ChildProcess;
  readonly #logFile: string | undefined;
  #log = '';

  private constructor(path: string, metricsPort: number, env: Record<string, string>, logFile?: string) {
    const [name = path, file = 'main'] = path.split('/');
    this.name = path;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
    const command = [process.execPath, `workloads/${name}/${file}.ts`];
    const variables = { ...runnerVariables(), METRICS_PORT: String(metricsPort), POD_NAME: `${name}-${metricsPort}`, ...env };
    this.#logFile = logFile;
    const output = logFile === undefined ? 'pipe' : openSync(logFile, 'a');
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { cwd: ROOT, env: variables, stdio: ['ignore', output, output] });
    if (typeof output === 'number') closeSync(output);
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
  }

  /**
   * Starts `workloads/<name>/main.ts`, or with the name `<name>/<file>` another file of the folder.
   * @param logFile what the process logs goes there; by default it is kept in memory, which costs this process time for each line
   */
  static async start(name: string, env: Record<string, string>, logFile?: string): Promise<Workload> {
    return new Workload(name, await freePort(), env, logFile);
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#logFile === undefined ? this.#log : readFileSync(this.#logFile, 'utf8');
  }

  /** Its process id. @throws Error when it was not started */
  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} was not started`);
    return this.#child.pid;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until `/readyz` answers 200. @throws Error with its log when it ends instead */
  async ready(): Promise<this> {
    const ended = (): number | string | null => this.#child.exitCode ?? this.#child.signalCode;
    const ready = async (): Promise<boolean> => ended() !== null || (await fetch(`${this.metricsUrl}/readyz`)).ok;
    await waitFor(`${this.name} to be ready`, ready);
    if (ended() !== null) throw new Error(`${this.name} ended with ${ended()}:\n${this.log.slice(-4000)}`);
    return this;
  }

  /** Waits until its log matches. */
  async logged(pattern: RegExp): Promise<void> {
    await waitFor(`${this.name} to log ${String(pattern)}`, () => pattern.test(this.log));
  }

  /** The value of a metric summed over its series whose labels contain `labels`; 0 when there is none. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${this.metricsUrl}/metrics`)).text();
    const lines = text.split('\n').filter((line) => /^[^#]/.test(line) && line.split(/[{ ]/)[0] === name && line.includes(labels));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** Sends a signal; SIGSTOP and SIGCONT freeze and thaw. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Drains the process, and kills it when the drain takes longer than 10 s. */
  async stop(): Promise<void> {
    this.#child.kill('SIGCONT');
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), 10_000);
    await this.end('SIGTERM');
    clearTimeout(kill);
  }

  /** Sends a signal and waits for the end. Resolves to exit code or signal. */
  async end(signal: NodeJS.Signals): Promise<number | string> {
    const before = this.#child.exitCode ?? this.#child.signalCode;
    if (before !== null) return before;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
    return this.#child.exitCode ?? this.#child.signalCode ?? 'unknown';
  }
}

/** What a workload takes from the environment of its test. */
function runnerVariables(): Record<string, string> {
  const names = ['PATH', 'NODE_COMPILE_CACHE'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

/** A TCP port of loopback that is free now, and that the kernel assigns to no outgoing connection. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

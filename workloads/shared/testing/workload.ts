import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { waitFor } from './wait.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** A workload in a process of its own, as a container would run it. It ends with the process that started it. */
export class Workload {
  readonly name: string;
  readonly metricsUrl: string;
  readonly #child: ChildProcess;
  #log = '';

  private constructor(name: string, metricsPort: number, env: Record<string, string>) {
    this.name = name;
    this.metricsUrl = `http://127.0.0.1:${metricsPort}`;
    const command = [process.execPath, `workloads/${name}/main.ts`];
    const variables = { PATH: process.env['PATH'] ?? '', METRICS_PORT: String(metricsPort), POD_NAME: `${name}-${metricsPort}`, ...env };
    this.#child = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { cwd: ROOT, env: variables, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#log += chunk.toString()));
  }

  /** Starts `workloads/<name>/main.ts`. */
  static async start(name: string, env: Record<string, string>): Promise<Workload> {
    return new Workload(name, await freePort(), env);
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#log;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Waits until `/readyz` answers 200. @throws Error with its log when it ends instead */
  async ready(): Promise<this> {
    const ready = async (): Promise<boolean> => this.exitCode !== null || (await fetch(`${this.metricsUrl}/readyz`)).ok;
    await waitFor(`${this.name} to be ready`, ready);
    if (this.exitCode !== null) throw new Error(`${this.name} ended with ${this.exitCode}:\n${this.#log.slice(-4000)}`);
    return this;
  }

  /** Waits until its log matches. */
  async logged(pattern: RegExp): Promise<void> {
    await waitFor(`${this.name} to log ${String(pattern)}`, () => pattern.test(this.#log));
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

/** A TCP port of loopback that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The operator as its own process, as it runs in a pod. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const START_LIMIT_MS = 60_000;

export class OperatorProcess {
  readonly #child: ChildProcess;
  #log = '';
  /** Where it serves metrics. */
  url = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const note = (chunk: Buffer) => (this.#log += chunk.toString());
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** Resolves when it leads. */
  static async start(kubeconfigPath: string, environment: Record<string, string> = {}): Promise<OperatorProcess> {
    const env = { ...process.env, KUBECONFIG: kubeconfigPath, METRICS_PORT: '0', POD_NAMESPACE: 'bss-system', ...environment };
    const operator = new OperatorProcess(spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
    await operator.#untilLeading();
    return operator;
  }

  get log(): string {
    return this.#log;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Text of its /metrics. */
  async metrics(): Promise<string> {
    return (await fetch(`${this.url}/metrics`)).text();
  }

  /** @returns the exit code, null after a kill */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    if (!this.running) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
    return this.#child.exitCode;
  }

  async #untilLeading(): Promise<void> {
    const limit = AbortSignal.timeout(START_LIMIT_MS);
    while (!this.#log.includes('"leading"')) {
      if (!this.running) throw new Error(`the operator ended with ${this.#child.exitCode}:\n${this.#log}`);
      if (limit.aborted) throw new Error(`the operator does not lead:\n${this.#log}`);
      await Promise.race([once(this.#child, 'exit'), this.#child.stdout && once(this.#child.stdout, 'data'), once(limit, 'abort')]);
    }
    const port = /"port":(\d+)/.exec(this.#log)?.[1];
    this.url = `http://127.0.0.1:${port}`;
  }
}

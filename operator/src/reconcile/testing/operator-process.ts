/** The operator as its own process, as it runs in a pod. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { tellOnTimeout, until } from '../../runtime/testing/harness.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const START_LIMIT_MS = 60_000;
/** Of the log, in messages of failed tests. */
const LAST_LINES = 20;

interface Command {
  readonly main: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Starts it again when it has ended by itself, as the kubelet does: on a busy machine it can renew its lease too late. */
  readonly restarts: boolean;
}

export class OperatorProcess {
  readonly #command: Command;
  #child: ChildProcess;
  #log = '';
  /** Where the log of the present process begins. */
  #begin = 0;
  #isEnded = false;
  readonly #crashes: string[] = [];
  readonly #forget: () => void;

  private constructor(command: Command) {
    this.#command = command;
    this.#child = this.#spawn();
    this.#forget = tellOnTimeout(() => this.#state());
  }

  /** Resolves when it leads. It is started again when it ends by itself. */
  static async start(kubeconfigPath: string, environment: Record<string, string> = {}, main = MAIN): Promise<OperatorProcess> {
    const operator = await OperatorProcess.#launch(kubeconfigPath, { environment, main, restarts: true });
    await operator.#logs(LEADING);
    return operator;
  }

  /** Resolves when it is ready to lead: its caches are filled. It ends when it loses its lease. */
  static launch(kubeconfigPath: string, environment: Record<string, string> = {}): Promise<OperatorProcess> {
    return OperatorProcess.#launch(kubeconfigPath, { environment, main: MAIN, restarts: false });
  }

  static async #launch(kubeconfigPath: string, command: Command): Promise<OperatorProcess> {
    const base = { ...process.env, KUBECONFIG: kubeconfigPath, METRICS_PORT: '0', POD_NAMESPACE: 'bss-system' };
    const operator = new OperatorProcess({ ...command, environment: { ...base, ...command.environment } });
    await operator.#logs(SERVING);
    await until('the operator to be ready', START_LIMIT_MS, () => operator.#isReady());
    return operator;
  }

  #spawn(): ChildProcess {
    const { main, environment } = this.#command;
    // It ends with the test, however that ends.
    const command = ['--pdeathsig', 'KILL', process.execPath, main];
    const child = spawn('setpriv', command, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const note = (chunk: Buffer) => (this.#log += chunk.toString());
    child.stdout.on('data', note);
    child.stderr.on('data', note);
    child.once('close', () => this.#restart());
    return child;
  }

  /** Whether it runs, and the end of its log. */
  #state(): string {
    const { pid, exitCode, signalCode } = this.#child;
    const state = this.running ? `runs as ${pid}` : `ended with ${signalCode ?? `code ${exitCode}`}`;
    return `the operator ${state}:\n${this.#log.trimEnd().split('\n').slice(-LAST_LINES).join('\n')}`;
  }

  #restart(): void {
    if (this.#isEnded || !this.#command.restarts) return;
    const isLost = LOST.test(this.#log.slice(this.#begin));
    if (!isLost) this.#crashes.push(this.#state());
    console.error(`the operator of the test is started again: ${isLost ? 'it lost its lease' : this.#state()}`);
    this.#begin = this.#log.length;
    this.#child = this.#spawn();
  }

  /** Where it serves metrics. */
  get url(): string {
    return `http://127.0.0.1:${SERVING.exec(this.#log.slice(this.#begin))?.[1]}`;
  }

  get log(): string {
    return this.#log;
  }

  /** How it ended by itself, with the end of its log; not because it lost its lease. */
  get crashes(): readonly string[] {
    return this.#crashes;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get leads(): boolean {
    return LEADING.test(this.#log);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Text of its /metrics. */
  async metrics(): Promise<string> {
    return (await fetch(`${this.url}/metrics`)).text();
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** @returns the exit code, null after a kill */
  async exited(): Promise<number | null> {
    if (this.running) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  /** @returns the exit code, null after a kill */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    this.#isEnded = true;
    this.#forget();
    if (!this.running) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
    return this.#child.exitCode;
  }

  async #isReady(): Promise<boolean> {
    if (!this.running) throw new Error(`the operator ended with ${this.#child.exitCode}:\n${this.#log}`);
    return fetch(`${this.url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  async #logs(pattern: RegExp): Promise<void> {
    const limit = AbortSignal.timeout(START_LIMIT_MS);
    while (!pattern.test(this.#log)) {
      if (!this.running) throw new Error(`the operator ended with ${this.#child.exitCode}:\n${this.#log}`);
      if (limit.aborted) throw new Error(`the operator does not log ${pattern}:\n${this.#log}`);
      await Promise.race([once(this.#child, 'exit'), this.#child.stdout && once(this.#child.stdout, 'data'), once(limit, 'abort')]);
    }
  }
}

const LEADING = /"msg":"acquired the lease"/;
const SERVING = /"port":(\d+)/;
const LOST = /"msg":"lost the lease"/;

/** A thin wrapper of `kubectl`: it parses JSON output, and its errors contain kubectl's message. */
import { spawn } from 'node:child_process';

/** Thrown when kubectl ends with a non-zero code; `stderr` is what it said. */
export class KubectlError extends Error {
  readonly stderr: string;
  constructor(args: readonly string[], code: number | null, stderr: string) {
    super(`kubectl ${args.join(' ')} failed with code ${code}: ${stderr.trim()}`);
    this.name = 'KubectlError';
    this.stderr = stderr;
  }
}

export interface KubectlOptions {
  /** Text for standard input, such as a manifest for `apply -f -`. */
  readonly input?: string;
  /** Milliseconds after which the process is ended and the call fails. */
  readonly timeoutMs?: number;
}

export class Kubectl {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
  readonly context: string | undefined;

  /**
   * @param program absolute path or name of kubectl
   * @param env environment in which it, like any Kubernetes client, finds the cluster
   * @param context name of the context to use; undefined takes the file's current one
   */
  constructor(program: string, env: NodeJS.ProcessEnv = process.env, context?: string) {
    this.program = program;
    this.env = env;
    this.context = context;
  }

  /** The words that follow the program's name. */
  arguments(args: readonly string[]): readonly string[] {
    return this.context === undefined ? args : ['--context', this.context, ...args];
  }

  /** Runs kubectl and returns its standard output. Throws KubectlError. */
  run(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn(this.program, this.arguments(args), {
        env: this.env,
        timeout: options.timeoutMs,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const out: Buffer[] = [];
      const err: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
      child.on('error', (error) => reject(new Error(`cannot start ${this.program}: ${error.message}`, { cause: error })));
      child.on('close', (code) => {
        if (code === 0) resolve(Buffer.concat(out).toString());
        else reject(new KubectlError(args, code, Buffer.concat(err).toString()));
      });
      child.stdin.on('error', () => undefined);
      child.stdin.end(options.input ?? '');
    });
  }

  /** Runs kubectl with `-o json` and parses what it prints. The caller names the shape that it asked for. */
  async json<T>(args: readonly string[], options: KubectlOptions = {}): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'], options)) as T;
  }

  /** The object, or undefined where the API server says that there is none (of the name, or of the kind). */
  async find<T>(args: readonly string[]): Promise<T | undefined> {
    const text = await this.run(['get', ...args, '--ignore-not-found', '-o', 'json']);
    return text.trim() === '' ? undefined : (JSON.parse(text) as T);
  }
}

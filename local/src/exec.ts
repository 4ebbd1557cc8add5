/** Child processes: runs one to its end; its error contains the output of the process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { Failure, tellingLines } from './failure.ts';

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment of the child; default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Text for standard input; without it the child reads end of file. */
  readonly input?: string;
  /** Milliseconds after which the child is killed and the call fails. */
  readonly timeoutMs?: number;
  /** File to which both output streams are appended as well. */
  readonly logFile?: string;
  /** Called for every complete line of either output stream. */
  readonly onLine?: (line: string) => void;
  /** Kills the child when aborted. */
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** A child that ended with a code other than 0, by a signal, or by its time limit. */
export class RunError extends Failure {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(command: string, why: string, code: number | null, output: RunResult, logFile?: string) {
    const log = tellingLines(output.stderr.trim() === '' ? output.stdout : output.stderr);
    super(`${command}: ${why}`, { log, ...(logFile === undefined ? {} : { logFile }) });
    this.name = 'RunError';
    this.code = code;
    this.stdout = output.stdout;
    this.stderr = output.stderr;
  }
}

/**
 * Runs a program to its end and returns what it printed.
 * @throws RunError when it does not end with code 0; Failure when it cannot be started
 */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: options.timeoutMs,
    killSignal: 'SIGKILL',
    signal: options.signal,
  });
  if (options.input !== undefined) {
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input);
  }
  return finished(child, commandLine(program, args), options);
}

/** Runs a program on this terminal; resolves to its exit code (128 + n for signal n is not distinguished: any signal gives 1). */
export function runInTerminal(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    // The terminal sends Ctrl-C to the child as well; the child decides what it means.
    process.on('SIGINT', ignore);
    child.on('error', (error) => reject(startFailure(program, error)));
    child.on('exit', (code) => {
      process.off('SIGINT', ignore);
      resolve(code ?? 1);
    });
  });
}

/** Absolute path of a program on PATH (with /usr/sbin and /sbin, which a user's PATH may lack), or undefined. */
export function which(program: string, path: string = process.env['PATH'] ?? ''): string | undefined {
  return [...path.split(delimiter), '/usr/sbin', '/sbin'].map((folder) => join(folder, program)).find(isExecutable);
}

function ignore(): void {}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function finished(child: ChildProcess, command: string, options: RunOptions): Promise<RunResult> {
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: 'a' });
  log?.write(`$ ${command}\n`);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  collect(child.stdout, out, log, options.onLine);
  collect(child.stderr, err, log, options.onLine);
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      if (child.pid === undefined) reject(startFailure(command, error));
    });
    child.on('close', (code, signal) => {
      log?.end();
      const result = { stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
      if (code === 0) resolve(result);
      else
        reject(
          new RunError(command, signal === null ? `ended with code ${code}` : `was ended by ${signal}`, code, result, options.logFile),
        );
    });
  });
}

function collect(
  stream: NodeJS.ReadableStream | null,
  chunks: Buffer[],
  log: NodeJS.WritableStream | undefined,
  onLine: RunOptions['onLine'],
): void {
  let rest = '';
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    log?.write(chunk);
    if (onLine === undefined) return;
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
}

function startFailure(command: string, error: Error): Failure {
  return new Failure(`cannot start ${command}: ${error.message}`, { cause: error });
}

function commandLine(program: string, args: readonly string[]): string {
  const text = [program.split('/').at(-1), ...args].join(' ');
  return text.length > 160 ? `${text.slice(0, 160)} …` : text;
}

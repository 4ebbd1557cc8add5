/** Runs one test file in a process of its own, with a time limit. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { ReportLine } from './reporter.ts';

const REPORTER = fileURLToPath(new URL('reporter.ts', import.meta.url));
/** Time for a file's `after` hooks once it has been asked to end. */
const GRACE_MS = 10_000;
const LAST_LINES = 20;

export interface FileResult {
  readonly file: string;
  readonly passed: number;
  /** What failed: "test name: beginning of its error", or what is wrong with the file as a whole. */
  readonly failures: readonly string[];
  /** "test name (reason)" of tests that were skipped. */
  readonly skipped: readonly string[];
  readonly seconds: number;
  /** Both output streams, with the report for people. */
  readonly output: string;
}

export interface FileOptions {
  readonly limitMs: number;
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Prints the output as it comes. */
  readonly live?: boolean;
}

/** Processes of test files that run now: each leads a process group. */
const running = new Set<ChildProcess>();

let interrupted = false;

/** Ends all test files and their children at once. No file starts after it: {@link runFile} does not settle then. */
export function killAll(): void {
  interrupted = true;
  for (const child of running) signalGroup(child, 'SIGKILL');
}

/**
 * Runs a file to its end or its limit; the file's children end with it.
 * @returns its counts; a file that reports no test, ends with another code than 0 or exceeds its limit has a failure
 */
export async function runFile(file: string, { limitMs, cwd, env = process.env, live = false }: FileOptions): Promise<FileResult> {
  const folder = await mkdtemp(join(tmpdir(), 'bss-test-report-'));
  const report = join(folder, 'report');
  const started = performance.now();
  try {
    const reporters = [`--test-reporter=spec`, '--test-reporter-destination=stdout', `--test-reporter=${REPORTER}`];
    const args = [...reporters, `--test-reporter-destination=${report}`, join(cwd, file)];
    const { code, signal, timedOut, output } = await runToEnd(args, { limitMs, cwd, env: withoutRunner(env), live });
    const counts = countReport(parseReport(await readFile(report, 'utf8').catch(() => '')));
    const failures = [...counts.failures];
    if (timedOut) failures.push(describeTimeout(limitMs, counts.unfinished, output));
    else if (code !== 0 && failures.length === 0) failures.push(`the process ended with ${signal ?? `code ${code}`}\n${lastLines(output)}`);
    else if (counts.passed + counts.skipped.length + failures.length === 0) failures.push('the file has no tests');
    return { file, passed: counts.passed, skipped: counts.skipped, failures, seconds: (performance.now() - started) / 1000, output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Node's own runner marks its children by this variable; a file that this runner starts is none of them. */
function withoutRunner({ NODE_TEST_CONTEXT: _context, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly output: string;
}

function runToEnd(args: readonly string[], { limitMs, cwd, env, live }: Required<FileOptions>): Promise<Ended> {
  // The suite that awaits it must not go on: the process is about to exit.
  if (interrupted) return new Promise(() => undefined);
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  running.add(child);
  const chunks: Buffer[] = [];
  const collect = (chunk: Buffer): void => {
    chunks.push(chunk);
    if (live) process.stdout.write(chunk);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  let timedOut = false;
  const timers = [
    setTimeout(() => {
      timedOut = true;
      child.kill('SIGTERM');
    }, limitMs),
    setTimeout(() => signalGroup(child, 'SIGKILL'), limitMs + GRACE_MS),
  ];
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const timer of timers) clearTimeout(timer);
      // A child that outlives its file would hold the output streams open.
      signalGroup(child, 'SIGKILL');
      running.delete(child);
      child.once('close', () => resolve({ code, signal, timedOut, output: Buffer.concat(chunks).toString() }));
    });
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Every process of the group has ended.
  }
}

/** The lines that were written whole: a killed process may leave half of one. */
export function parseReport(text: string): ReportLine[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ReportLine);
}

export interface ReportCounts {
  readonly passed: number;
  readonly failures: readonly string[];
  readonly skipped: readonly string[];
  /** Tests that began and did not end, outermost first. */
  readonly unfinished: readonly string[];
}

/** Counts tests, not the suites that hold them. Pure. */
export function countReport(lines: readonly ReportLine[]): ReportCounts {
  let passed = 0;
  const failures: string[] = [];
  const skipped: string[] = [];
  const open: ReportLine[] = [];
  for (const line of lines) {
    if (line.type === 'start') {
      open.push(line);
      continue;
    }
    const at = open.findIndex(({ name, nesting }) => name === line.name && nesting === line.nesting);
    if (at >= 0) open.splice(at, 1);
    if (line.suite) continue;
    if (line.skipped !== undefined) skipped.push(line.skipped === '' ? line.name : `${line.name} (${line.skipped})`);
    else if (line.type === 'pass') passed += 1;
    else failures.push(line.error ? `${line.name}: ${line.error}` : line.name);
  }
  return { passed, failures, skipped, unfinished: open.map(({ name }) => name) };
}

function describeTimeout(limitMs: number, unfinished: readonly string[], output: string): string {
  const what = unfinished.length === 0 ? 'no test was running: something keeps the process alive' : `running: ${unfinished.join(' > ')}`;
  return `the file exceeded its limit of ${limitMs / 1000} s; ${what}\n${lastLines(output)}`;
}

/** The end of an output, indented. */
function lastLines(output: string): string {
  const lines = output.trimEnd().split('\n').slice(-LAST_LINES);
  return lines.map((line) => `    | ${line}`).join('\n');
}

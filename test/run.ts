/**
 * Runs the test suites in order of cost and closes with one line of counts, `N passed, N failed`.
 *
 *   node test/run.ts              every suite
 *   node test/run.ts unit e2e     some of them
 *
 * Each suite is a list of files for node's own runner, which starts one process a file. Servers that a test needs are started by the
 * test itself and end with it.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import type { EventData } from 'node:test';
import { spec } from 'node:test/reporters';
import process from 'node:process';

const ROOT = new URL('..', import.meta.url).pathname;
// Every child runs the Node and the tools of this project, whatever the machine has.
process.env['PATH'] = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;

interface Counts {
  passed: number;
  failed: number;
  failures: string[];
}

interface Suite {
  readonly about: string;
  readonly run: () => Promise<Counts>;
}

const SUITES: Record<string, Suite> = {
  check: { about: 'types, lint, import rules, unused code, format, generated files', run: runChecks },
  unit: { about: 'pure logic', run: () => runFiles(unitFiles(), availableParallelism()) },
  prepare: { about: 'programs, root file system and images (from the cache where it has them)', run: prepare },
  operator: { about: 'operator against a real API server', run: () => runFiles(integrationFiles('{operator,charts}'), 1) },
  workloads: {
    about: 'workloads against real Kafka, Postgres, PgBouncer and Redis',
    run: () => runFiles(integrationFiles('workloads'), 1),
  },
  local: { about: 'the local cluster itself', run: () => runFiles(integrationFiles('local'), 1) },
  e2e: { about: 'the whole platform on a cluster of its own', run: runEndToEnd },
};

const NEEDS_PREPARE = new Set(['operator', 'workloads', 'local', 'e2e']);

function glob(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT, exclude: (path) => path.includes('node_modules') }).toSorted();
}

function unitFiles(): string[] {
  return glob('{operator,workloads,local,test,dashboards,charts}/**/*.test.ts').filter(
    (file) => !/\.(integration|e2e)\.test\.ts$/.test(file),
  );
}

function integrationFiles(area: string): string[] {
  return glob(`${area}/**/*.integration.test.ts`);
}

/** Runs files with node's runner; prints its `spec` report as it goes. */
async function runFiles(files: string[], concurrency: number): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, failures: [] };
  if (files.length === 0) return { ...counts, failed: 1, failures: ['the suite has no files'] };
  const stream = run({ files: files.map((file) => ROOT + file), concurrency, cwd: ROOT });
  stream.on('test:pass', (event) => count(counts, event, true));
  stream.on('test:fail', (event) => count(counts, event, false));
  for await (const chunk of stream.compose(spec)) process.stdout.write(String(chunk));
  return counts;
}

/** One cluster for all files: the first brings it up, and it ends here, whatever the files came to. */
async function runEndToEnd(): Promise<Counts> {
  const cluster = `e2e-${process.pid}`;
  process.env['E2E_CLUSTER'] = cluster;
  const down = (): Promise<boolean> => execute('cluster down', 'node', ['local/src/cli.ts', 'down', '--name', cluster]);
  const interrupted = (): void => void down().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    return await runFiles(glob('test/e2e/*.e2e.test.ts'), 1);
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await down();
  }
}

/** Counts leaf tests; a file or suite that merely holds tests is not one, but a file that fails by itself is. */
function count(counts: Counts, event: EventData.TestPass | EventData.TestFail, passed: boolean): void {
  if (event.skip !== undefined || event.todo !== undefined) return;
  if (event.details.type === 'suite') return;
  if (passed) counts.passed += 1;
  else {
    counts.failed += 1;
    counts.failures.push(`${event.file?.replace(ROOT, '') ?? ''} ${event.name}`.trim());
  }
}

/** Checks are commands: each counts as one test. */
async function runChecks(): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, failures: [] };
  for (const [name, command, ...args] of [
    ['types', 'tsc', '--noEmit', '-p', '.'],
    ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
    ['unused code', 'npm', 'run', '--silent', 'unused'],
    ['import rules', 'npm', 'run', '--silent', 'import-rules'],
    ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
    ['generated files', 'node', 'operator/src/generate.ts', '--check'],
  ] as const) {
    const ok = await execute(name, command, args);
    if (ok) counts.passed += 1;
    else {
      counts.failed += 1;
      counts.failures.push(`check: ${name} (${command} ${args.join(' ')})`);
    }
  }
  return counts;
}

async function prepare(): Promise<Counts> {
  const ok = await execute('build', 'node', ['local/src/cli.ts', 'build']);
  return ok ? { passed: 1, failed: 0, failures: [] } : { passed: 0, failed: 1, failures: ['prepare: node local/src/cli.ts build'] };
}

function execute(name: string, command: string, args: readonly string[]): Promise<boolean> {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}; run 'make setup' first`);
      resolve(false);
    });
    child.on('exit', (code) => {
      console.log(`${code === 0 ? '✔' : '✖'} ${name} (${seconds(started)})`);
      resolve(code === 0);
    });
  });
}

function seconds(since: number): string {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

function chosenSuites(args: string[]): string[] {
  const unknown = args.filter((name) => !(name in SUITES));
  if (unknown.length > 0) {
    console.error(`unknown suite ${unknown.join(', ')}: choose from ${Object.keys(SUITES).join(', ')}`);
    process.exit(2);
  }
  if (args.length === 0) return Object.keys(SUITES);
  const prepared = args.some((name) => NEEDS_PREPARE.has(name)) ? ['prepare', ...args] : args;
  return Object.keys(SUITES).filter((name) => prepared.includes(name));
}

async function main(): Promise<void> {
  const names = chosenSuites(process.argv.slice(2));
  const started = Date.now();
  const total: Counts = { passed: 0, failed: 0, failures: [] };
  for (const [index, name] of names.entries()) {
    const suite = SUITES[name];
    if (suite === undefined) continue;
    const suiteStarted = Date.now();
    console.log(`\n=== [${index + 1}/${names.length}] ${name}: ${suite.about}`);
    const counts = await suite.run();
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.failures.push(...counts.failures);
    console.log(`=== ${name}: ${counts.passed} passed, ${counts.failed} failed in ${seconds(suiteStarted)} (${seconds(started)} in all)`);
    if (name === 'prepare' && counts.failed > 0) break;
  }
  if (total.failures.length > 0) console.log(`\nFailed:\n${total.failures.map((name) => `  ${name}`).join('\n')}`);
  console.log(`\n${total.passed} passed, ${total.failed} failed`);
  process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
}

await main();

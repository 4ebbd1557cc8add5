/**
 * Runs the test suites in order of cost and closes with one line of counts, `N passed, N failed`.
 *
 *   node test/run.ts              every suite
 *   node test/run.ts unit e2e     some of them
 *   TEST_SEED=7 node test/run.ts  files in another order
 *
 * Each suite is a list of files; each file runs in a process of its own with a time limit. Files run side by side, except those that measure
 * time: a comment `Runs alone: REASON` in the file says so. The suites share the servers that are slow to start.
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { BRIEF_SERVERS } from '../local/src/services/jvm.ts';
import { SHARED_SERVERS } from '../local/src/services/shared.ts';
import { killAll } from './runner/run-file.ts';
import { startTestServers, type TestServers } from './runner/servers.ts';
import { addCounts, closingLine, noCounts, runSuite, type Counts, type Limits } from './runner/suite.ts';
import { saveTimes } from './runner/times.ts';

const ROOT = new URL('..', import.meta.url).pathname;
// Every child runs the Node and the tools of this project, whatever the machine has.
process.env['PATH'] = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;
process.env[BRIEF_SERVERS] = '1';
// Hundreds of processes load the same modules: each one is compiled once.
process.env['NODE_COMPILE_CACHE'] ??= `${ROOT}node_modules/.cache/compile`;

const MINUTE = 60_000;
/** Files listed at the end, slowest first. */
const SLOWEST = 10;

interface Suite {
  readonly about: string;
  readonly run: () => Promise<Counts>;
}

/**
 * Integration tests wait for servers most of their time: with one file more than there are processors, these are idle for half of it. With five on
 * two processors, a slow machine renewed leases and answered requests too late.
 */
const SIDE_BY_SIDE = 2 * availableParallelism();
/** Fewer than files: most need none, and a file that finds them taken starts its own. */
const SHARED_KAFKAS = availableParallelism() + 1;
// A file's limit is at least five times what it takes on two processors: a hung file fails, a slow machine does not fail it.
const UNIT: Limits = { fileMs: 3 * MINUTE, suiteMs: 10 * MINUTE, concurrency: availableParallelism() };
const INTEGRATION: Limits = { fileMs: 15 * MINUTE, suiteMs: 30 * MINUTE, concurrency: SIDE_BY_SIDE };
/** These tests start and stop whole clusters, and compare what the machine has before and after. */
const CLUSTER: Limits = { fileMs: 10 * MINUTE, suiteMs: 20 * MINUTE, concurrency: 1 };
const END_TO_END: Limits = { fileMs: 30 * MINUTE, suiteMs: 55 * MINUTE, concurrency: 1 };

const SUITES: Record<string, Suite> = {
  check: { about: 'types, lint, import rules, unused code, format, generated files', run: runChecks },
  unit: { about: 'pure logic', run: () => runSuite(ROOT, unitFiles(), UNIT) },
  prepare: { about: 'programs, root file system and images (from the cache where it has them)', run: prepare },
  operator: { about: 'operator against a real API server', run: () => runWithServers(integrationFiles('{operator,charts}')) },
  workloads: {
    about: 'workloads and load tests against real Kafka, Postgres, PgBouncer and Redis',
    run: () => runWithServers(integrationFiles('{workloads,k6}')),
  },
  dashboards: { about: 'rules and dashboards under promtool', run: () => runSuite(ROOT, integrationFiles('dashboards'), INTEGRATION) },
  local: { about: 'the local cluster itself', run: () => runSuite(ROOT, integrationFiles('local'), CLUSTER) },
  charts: {
    about: 'charts against a real API server, and kube-score over all manifests',
    run: () => runWithServers(glob('{operator,charts}/**/{charts,upgrade,kube-score}.integration.test.ts')),
  },
  e2e: { about: 'the whole platform on a cluster of its own', run: runEndToEnd },
};

/** Part of the operator suite: it runs by its name only. */
const ON_REQUEST = new Set(['charts']);
const NEEDS_PREPARE = new Set(['operator', 'workloads', 'dashboards', 'local', 'charts', 'e2e']);

function glob(pattern: string): string[] {
  return globSync(pattern, { cwd: ROOT, exclude: (path) => path.includes('node_modules') }).toSorted();
}

function unitFiles(): string[] {
  return glob('{operator,workloads,local,test,dashboards,charts,k6}/**/*.test.ts').filter(
    (file) => !/\.(integration|e2e)\.test\.ts$/.test(file),
  );
}

function integrationFiles(area: string): string[] {
  return glob(`${area}/**/*.integration.test.ts`);
}

let servers: TestServers | undefined;

/** With the servers that files share; they stay up for the next suite. */
async function runWithServers(files: string[]): Promise<Counts> {
  const started = Date.now();
  if (servers === undefined) {
    servers = await startTestServers(SHARED_KAFKAS);
    console.log(`shared servers: ${SHARED_KAFKAS} Kafka and 1 API server, started in ${seconds(started)}`);
  }
  process.env[SHARED_SERVERS] = servers.file;
  try {
    return await runSuite(ROOT, files, INTEGRATION);
  } finally {
    delete process.env[SHARED_SERVERS];
  }
}

/**
 * The files of the end-to-end tests, in order, on one cluster: two whole platforms side by side leave two processors no time, and limits that count
 * seconds then measure the machine. The file that deletes the platform comes last: the files after it would wait for a new one.
 */
function endToEndFiles(): string[] {
  const last = 'test/e2e/platform.e2e.test.ts';
  return [...glob('test/e2e/*.e2e.test.ts').filter((file) => file !== last), last];
}

/** The first file brings up the cluster. It ends here, whatever the result. */
async function runEndToEnd(): Promise<Counts> {
  const cluster = `e2e-${process.pid}`;
  onInterrupt = () => clusterDown(cluster);
  try {
    return await runSuite(ROOT, endToEndFiles(), END_TO_END, { ...process.env, E2E_CLUSTER: cluster });
  } finally {
    await clusterDown(cluster);
    onInterrupt = undefined;
  }
}

function clusterDown(name: string): Promise<boolean> {
  return execute('cluster down', 'node', ['local/src/cli.ts', 'down', '--name', name]);
}

/** Removes what must not stay behind when a person interrupts the run. */
let onInterrupt: (() => Promise<unknown>) | undefined;

async function interrupted(): Promise<void> {
  killAll();
  await Promise.allSettled([onInterrupt?.(), servers?.stop()]);
  process.exit(130);
}

/** Checks are commands: each counts as one test. */
async function runChecks(): Promise<Counts> {
  const counts = noCounts();
  for (const [name, command, ...args] of [
    ['types', 'tsc', '--noEmit', '-p', '.'],
    ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
    ['unused code', 'npm', 'run', '--silent', 'unused'],
    ['import rules', 'npm', 'run', '--silent', 'import-rules'],
    ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
    ['generated files', 'node', 'operator/src/generate.ts', '--check'],
    ['generated rules and dashboards', 'node', 'dashboards/src/generate.ts', '--check'],
  ] as const) {
    if (await execute(name, command, args)) counts.passed += 1;
    else counts.failures.push(`check: ${name} (${command} ${args.join(' ')})`);
  }
  return counts;
}

async function prepare(): Promise<Counts> {
  const ok = await execute('build', 'node', ['local/src/cli.ts', 'build']);
  return ok ? { ...noCounts(), passed: 1 } : noCounts(['prepare: node local/src/cli.ts build']);
}

function execute(name: string, command: string, args: readonly string[]): Promise<boolean> {
  const started = Date.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(`cannot start ${command}: ${error.message}. Run 'make setup' first.`);
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
  if (args.length === 0) return Object.keys(SUITES).filter((name) => !ON_REQUEST.has(name));
  const prepared = args.some((name) => NEEDS_PREPARE.has(name)) ? ['prepare', ...args] : args;
  return Object.keys(SUITES).filter((name) => prepared.includes(name));
}

async function main(): Promise<void> {
  const names = chosenSuites(process.argv.slice(2));
  process.once('SIGINT', () => void interrupted()).once('SIGTERM', () => void interrupted());
  const started = Date.now();
  let total = noCounts();
  for (const [index, name] of names.entries()) {
    const suite = SUITES[name];
    if (suite === undefined) continue;
    const suiteStarted = Date.now();
    console.log(`\n=== [${index + 1}/${names.length}] ${name}: ${suite.about}`);
    const counts = await suite.run();
    total = addCounts([total, counts]);
    console.log(`=== ${name}: ${closingLine(counts)} in ${seconds(suiteStarted)} (${seconds(started)} in all)`);
    if (name === 'prepare' && counts.failures.length > 0) break;
  }
  await servers?.stop();
  saveTimes(total.times);
  printEnd(total);
  process.exit(total.failures.length > 0 || total.passed === 0 ? 1 : 0);
}

function printEnd(total: Counts): void {
  const slowest = Object.entries(total.times)
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, SLOWEST)
    .map(([file, took]) => `${took.toFixed(1).padStart(6)} s  ${file}`);
  for (const [title, lines] of [
    ['Slowest files', slowest],
    ['Skipped', total.skipped],
    ['Failed', total.failures],
    ['Output of the failed files', total.logs],
  ] as const) {
    if (lines.length > 0) console.log(`\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
  }
  console.log(`\n${closingLine(total)}`);
}

await main();

/** `node local/src/cli.ts COMMAND`: controls the local cluster. The Makefile's targets and the tests call the same functions. */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import process from 'node:process';
import { parseArgs } from 'node:util';
import {
  clusterEnvironment,
  describeStart,
  down,
  forward,
  knownClusters,
  leftovers,
  listImages,
  loadImage,
  logFile,
  memory,
  mergeKubeconfig,
  status,
  up,
} from './cluster/index.ts';
import { COMPONENT_NAMES } from './cluster/components.ts';
import { formatStatus } from './cluster/format-status.ts';
import { runInTerminal } from './exec.ts';
import { describeError, Failure } from './failure.ts';
import { cacheDir, clusterPaths } from './paths.ts';
import { prepareMachine } from './preflight.ts';
import { describePruned, pruneCache } from './build/cache.ts';
import { ALL_PROGRAMS, ensurePrograms, MODULE_NAMES } from './build/programs.ts';
import { printBuildTimes } from './build/times.ts';
import { ensureSchemathesis } from './build/python.ts';
import { Progress } from './progress.ts';

interface Command {
  readonly usage: string;
  readonly help: string;
  /** Resolves to the exit code. */
  run(args: readonly string[]): Promise<number>;
}

const LOGS = [...COMPONENT_NAMES, 'supervisor', 'agent', 'audit'] as const;

const COMMANDS: Readonly<Record<string, Command>> = {
  up: { usage: 'up [--audit]', help: 'start the cluster; does nothing when it runs. --audit: log every API request', run: runUp },
  down: {
    usage: 'down [--all]',
    help: 'stop the cluster and remove everything that it has on this machine; the build cache stays',
    run: runDown,
  },
  status: { usage: 'status', help: 'print its components, memory and addresses; exit code 1 when it does not run', run: runStatus },
  load: { usage: 'load [ARCHIVE...]', help: "import image archives; without one, build and import the project's images", run: runLoad },
  images: { usage: 'images', help: 'list the images of the node', run: runImages },
  kubectl: { usage: 'kubectl ARGS...', help: 'run kubectl on the cluster', run: (args) => runTool('kubectl', args) },
  helm: { usage: 'helm ARGS...', help: 'run helm on the cluster', run: (args) => runTool('helm', args) },
  shell: { usage: 'shell', help: 'start a shell whose kubectl, helm and KUBECONFIG are those of the cluster', run: runShell },
  kubeconfig: {
    usage: 'kubeconfig [--merge]',
    help: "print the path of the cluster's kubeconfig; --merge: add it to your own as a context, until down",
    run: runKubeconfig,
  },
  forward: {
    usage: 'forward SERVICE.NAMESPACE PORT',
    help: 'forward a port of 127.0.0.1 to a Service for as long as the cluster runs',
    run: runForward,
  },
  logs: {
    usage: `logs [-f] [${LOGS.join('|')}]`,
    help: 'print the log of a component; without a running cluster, that of the last failed start',
    run: runLogs,
  },
  leftovers: {
    usage: 'leftovers',
    help: 'list what the cluster has on this machine (without --name: all clusters); exit code 1 when there is anything',
    run: runLeftovers,
  },
  build: {
    usage: 'build [--programs] [--images]',
    help: 'fill the build cache without a cluster: programs, images, or both',
    run: runBuild,
  },
  'build-times': {
    usage: 'build-times [MODULE...]',
    help: 'compile each Go module with an empty compile cache, and print a table of the times; keeps nothing',
    run: runBuildTimes,
  },
  prune: { usage: 'prune', help: 'remove what no checkout has used for two weeks from the build cache; build does it too', run: runPrune },
  clean: { usage: 'clean', help: 'remove the build cache', run: runClean },
};

function help(): string {
  const width = 34;
  const lines = Object.values(COMMANDS).map(({ usage, help: text }) =>
    usage.length < width ? `  ${usage.padEnd(width)}${text}` : `  ${usage}\n  ${''.padEnd(width)}${text}`,
  );
  return `A real Kubernetes node on this machine, without Docker, in namespaces of its own.

Usage: node local/src/cli.ts COMMAND [--name NAME]

${lines.join('\n')}

  --name NAME   name of the cluster; default: $NAME, else "bss". For kubectl and helm it precedes their own arguments.
`;
}

/** Takes `--name` (anywhere, or only in front for tools whose arguments are their own) out of the arguments. */
export function takeName(args: readonly string[], onlyInFront: boolean): { name: string | undefined; rest: string[] } {
  const at = args.findIndex((arg) => arg === '--name' || arg.startsWith('--name='));
  if (at < 0 || (onlyInFront && at > 0)) return { name: undefined, rest: [...args] };
  const inline = args[at]?.startsWith('--name=') === true;
  const name = inline ? args[at]?.slice('--name='.length) : args[at + 1];
  return { name, rest: [...args.slice(0, at), ...args.slice(at + (inline ? 1 : 2))] };
}

function defaultName(): string {
  return process.env['NAME'] ?? 'bss';
}

function parse(args: readonly string[], flags: readonly string[] = []): { name: string; flags: ReadonlySet<string>; words: string[] } {
  const { name, rest } = takeName(args, false);
  const options = Object.fromEntries(
    flags.map((flag) => [flag, { type: 'boolean' as const, ...(flag === 'follow' ? { short: 'f' } : {}) }]),
  );
  const { values, positionals } = parseArgs({ args: rest, options, allowPositionals: true });
  return { name: name ?? defaultName(), flags: new Set(Object.keys(values)), words: positionals };
}

async function runUp(args: readonly string[]): Promise<number> {
  const { name, flags } = parse(args, ['audit']);
  const startedAt = Date.now();
  const cluster = await up({ name, audit: flags.has('audit') });
  console.log(
    `${describeStart(cluster, Date.now() - startedAt)}\n\n  export KUBECONFIG=${cluster.kubeconfig}\n  node local/src/cli.ts shell --name ${name}`,
  );
  return 0;
}

async function runDown(args: readonly string[]): Promise<number> {
  const { name, flags } = parse(args, ['all']);
  const names = flags.has('all') ? await knownClusters() : [name];
  for (const each of names) {
    await down({ name: each });
    console.log(`The cluster ${each} is removed.`);
  }
  return 0;
}

async function runStatus(args: readonly string[]): Promise<number> {
  const { name } = parse(args);
  const state = await status(name);
  if (state === undefined) {
    console.log(`The cluster ${name} does not run.`);
    return 1;
  }
  console.log(formatStatus(name, clusterPaths(name).kubeconfig, state, await memory(name)));
  return 0;
}

async function runLoad(args: readonly string[]): Promise<number> {
  const { name, words } = parse(args);
  const archives = words.length > 0 ? words : await buildImages();
  const progress = new Progress('load', archives.length);
  for (const archive of archives) await progress.step(archive.split('/').at(-1) ?? archive, () => loadImage(name, archive));
  return 0;
}

async function runImages(args: readonly string[]): Promise<number> {
  console.log((await listImages(parse(args).name)).join('\n'));
  return 0;
}

async function runTool(tool: 'kubectl' | 'helm', args: readonly string[]): Promise<number> {
  const { name = defaultName(), rest } = takeName(args, true);
  requireKubeconfig(name);
  return runInTerminal(tool, rest, clusterEnvironment(name));
}

async function runShell(args: readonly string[]): Promise<number> {
  const { name } = parse(args);
  requireKubeconfig(name);
  console.log(`kubectl and helm work on the cluster ${name} here; leave with exit.`);
  return runInTerminal(process.env['SHELL'] ?? '/bin/sh', [], clusterEnvironment(name));
}

function requireKubeconfig(name: string): void {
  if (existsSync(clusterPaths(name).kubeconfig)) return;
  throw new Failure(`The cluster ${name} does not run.`, { tryNext: [`node local/src/cli.ts up --name ${name}`] });
}

async function runForward(args: readonly string[]): Promise<number> {
  const { name, words } = parse(args);
  const [host, port] = words;
  if (host === undefined || !/^\d+$/.test(port ?? '')) throw new Failure('usage: forward SERVICE.NAMESPACE PORT');
  console.log((await forward(name, host, Number(port))).url);
  return 0;
}

async function runKubeconfig(args: readonly string[]): Promise<number> {
  const { name, flags } = parse(args, ['merge']);
  if (!flags.has('merge')) {
    console.log(clusterPaths(name).kubeconfig);
    return 0;
  }
  const { file, context } = await mergeKubeconfig(name);
  console.log(`${file} has the context ${context} until the cluster is stopped: kubectl --context ${context} get bss -A`);
  return 0;
}

async function runLogs(args: readonly string[]): Promise<number> {
  const { name, flags, words } = parse(args, ['follow']);
  const component = LOGS.find((each) => each === (words[0] ?? 'supervisor'));
  if (component === undefined) throw new Failure(`"${words[0]}" has no log; choose from ${LOGS.join(', ')}`);
  const file = logFile(name, component);
  if (!existsSync(file))
    throw new Failure(`There is no log of ${component}: the cluster ${name} was never started, or was stopped by down.`);
  return runInTerminal('tail', [...(flags.has('follow') ? ['--follow'] : []), '--lines', '200', file]);
}

async function runLeftovers(args: readonly string[]): Promise<number> {
  const { name } = takeName(args, false);
  const names = name === undefined ? await knownClusters() : [name];
  const found = (await Promise.all(names.map(async (each) => (await leftovers(each)).map((line) => `${each}: ${line}`)))).flat();
  console.log(found.length === 0 ? 'Nothing remains.' : found.join('\n'));
  return found.length === 0 ? 0 : 1;
}

async function runBuild(args: readonly string[]): Promise<number> {
  const { flags } = parse(args, ['programs', 'images', 'all']);
  const both = flags.has('all') || flags.size === 0;
  await Promise.all([both || flags.has('programs') ? buildPrograms() : undefined, both || flags.has('images') ? buildImages() : undefined]);
  const pruned = describePruned(await pruneCache());
  if (pruned !== undefined) console.log(pruned);
  return 0;
}

async function runBuildTimes(args: readonly string[]): Promise<number> {
  const { words } = parse(args);
  await printBuildTimes(words.length > 0 ? words : MODULE_NAMES);
  return 0;
}

async function runPrune(args: readonly string[]): Promise<number> {
  parse(args);
  console.log(describePruned(await pruneCache()) ?? 'The build cache holds nothing that is unused.');
  return 0;
}

async function buildPrograms(): Promise<void> {
  const progress = new Progress('build', 3);
  await progress.step('check this machine', (note) => prepareMachine(note, ['cluster', 'tests']));
  await progress.step('programs', (note) => ensurePrograms(ALL_PROGRAMS, note));
  await progress.step('Schemathesis', () => ensureSchemathesis());
}

/** Paths of the project's image archives. Loaded late: the other commands need none of it. */
async function buildImages(): Promise<string[]> {
  const images = await import('./build/images.ts');
  const progress = new Progress('images', 3);
  await progress.step('check this machine', (note) => prepareMachine(note, ['images']));
  const built = await progress.step('build', (note) => images.buildImages(note));
  const stack = await progress.step('build the monitoring stack', (note) => images.buildStack(note));
  return [...built, stack].map((image) => image.archive);
}

async function runClean(args: readonly string[]): Promise<number> {
  parse(args);
  const running = await knownClusters();
  if (running.length > 0) {
    throw new Failure(`The build cache is in use by: ${running.join(', ')}`, { tryNext: ['node local/src/cli.ts down --all'] });
  }
  await rm(cacheDir(), { recursive: true, force: true });
  console.log(`${cacheDir()} is removed.`);
  return 0;
}

async function main(): Promise<number> {
  const [word = '', ...args] = process.argv.slice(2);
  const command = COMMANDS[word];
  const asksForHelp = args.includes('--help') && word !== 'kubectl' && word !== 'helm';
  if (command === undefined || asksForHelp) {
    const wanted = command !== undefined || ['', 'help', '--help', '-h'].includes(word);
    console.log(command === undefined ? help() : `node local/src/cli.ts ${command.usage} [--name NAME]\n  ${command.help}`);
    if (!wanted) console.error(`There is no command "${word}".`);
    return wanted ? 0 : 2;
  }
  return command.run(args);
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(describeError(error));
    process.exitCode = 1;
  }
}

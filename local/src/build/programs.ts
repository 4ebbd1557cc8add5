/**
 * The programs of the node, built from pinned sources (go.mod and go.sum below local/programs) and kept in the cache by the hash of everything
 * that they were built from.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { freemem } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { run, which } from '../exec.ts';
import { Failure } from '../failure.ts';
import { withLock } from '../lock.ts';
import { cacheDir, cachePath, PROJECT_DIR } from '../paths.ts';
import { markUsed } from './cache.ts';
import type { Note } from '../progress.ts';

export const KUBERNETES_VERSION = 'v1.36.3';
/** Its Go module numbers this v0.316.0. */
export const PROMETHEUS_VERSION = 'v3.16.0';
/** Its Go module numbers this v1.76.0. */
const JAEGER_VERSION = 'v2.13.0';
const LOKI_VERSION = '3.7.8';
const NODE_EXPORTER_VERSION = '1.12.1';
export const K6_VERSION = 'v1.8.1';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

interface ModuleBuild {
  /** Arguments of `go build`, after `-trimpath`. */
  readonly flags: readonly string[];
  /** Build static programs, which need no file of their image. */
  readonly static?: true;
  /** Package of each program; `.` is the module itself. */
  readonly packages: Readonly<Record<string, string>>;
}

const STRIPPED = '-s -w';
/** The linker would strip it; not to write it at all spares the compiler a tenth of its work, and panics are as readable. */
const NO_DEBUG_INFORMATION = '-gcflags=all=-dwarf=false';

/** Go's own resolver and user database in place of the C library's. Modules with the same tags share compiled packages. */
const PURE_GO = 'netgo,osusergo';

/** go build names a program after its package; `server` is what etcd's is called. */
const MODULES = {
  kubernetes: {
    flags: ['-ldflags', `${STRIPPED} ${kubernetesVersionFlags()}`],
    packages: {
      'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
      'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
      'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
      'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
      kubelet: 'k8s.io/kubernetes/cmd/kubelet',
      kubectl: 'k8s.io/kubernetes/cmd/kubectl',
      etcd: 'go.etcd.io/etcd/server/v3',
      helm: 'helm.sh/helm/v4/cmd/helm',
      coredns: './coredns',
    },
  },
  containerd: {
    flags: ['-ldflags', STRIPPED],
    packages: {
      containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
      'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
      ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
    },
  },
  runc: {
    flags: ['-tags', 'seccomp urfave_cli_no_docs', '-ldflags', STRIPPED],
    packages: { runc: 'github.com/opencontainers/runc' },
  },
  cni: {
    flags: ['-ldflags', STRIPPED],
    packages: {
      bridge: 'github.com/containernetworking/plugins/plugins/main/bridge',
      loopback: 'github.com/containernetworking/plugins/plugins/main/loopback',
      'host-local': 'github.com/containernetworking/plugins/plugins/ipam/host-local',
      portmap: 'github.com/containernetworking/plugins/plugins/meta/portmap',
    },
  },
  // Of the service discoveries, those that the configuration uses: the clients of the clouds are half of the code.
  monitoring: {
    flags: [
      '-tags',
      `${PURE_GO},remove_all_sd,enable_dns_sd,enable_kubernetes_sd`,
      '-ldflags',
      `${STRIPPED} -X github.com/prometheus/common/version.Version=${PROMETHEUS_VERSION.slice(1)}`,
    ],
    packages: {
      prometheus: 'github.com/prometheus/prometheus/cmd/prometheus',
      promtool: 'github.com/prometheus/prometheus/cmd/promtool',
    },
  },
  'kube-score': {
    flags: ['-ldflags', STRIPPED],
    packages: { 'kube-score': 'github.com/zegl/kube-score/cmd/kube-score' },
  },
  loki: {
    static: true,
    flags: ['-tags', PURE_GO, '-ldflags', `${STRIPPED} -X github.com/grafana/loki/v3/pkg/util/build.Version=${LOKI_VERSION}`],
    packages: { loki: 'github.com/grafana/loki/v3/cmd/loki', logcli: 'github.com/grafana/loki/v3/cmd/logcli' },
  },
  jaeger: {
    static: true,
    flags: [
      '-tags',
      PURE_GO,
      '-ldflags',
      `${STRIPPED} -X github.com/jaegertracing/jaeger/internal/version.latestVersion=${JAEGER_VERSION}`,
    ],
    packages: { jaeger: 'github.com/jaegertracing/jaeger/cmd/jaeger' },
  },
  collector: {
    static: true,
    flags: ['-tags', PURE_GO, '-ldflags', STRIPPED],
    packages: { 'otelcol-contrib': '.' },
  },
  'node-exporter': {
    static: true,
    flags: ['-tags', PURE_GO, '-ldflags', `${STRIPPED} -X github.com/prometheus/common/version.Version=${NODE_EXPORTER_VERSION}`],
    packages: { node_exporter: 'github.com/prometheus/node_exporter' },
  },
  k6: {
    flags: ['-ldflags', STRIPPED],
    packages: { k6: 'go.k6.io/k6' },
  },
} as const satisfies Record<string, ModuleBuild>;

type ModuleName = keyof typeof MODULES;
type ProgramsOf<M extends ModuleName> = keyof (typeof MODULES)[M]['packages'];
/** A program that can be asked for; `pause` is the C program that holds a pod's namespaces. */
export type ProgramName = { [M in ModuleName]: ProgramsOf<M> }[ModuleName] | 'pause';

/** Modules of the monitoring stack: they are compiled one after the other, behind a running cluster. */
const STACK_MODULES: readonly ModuleName[] = ['collector', 'node-exporter', 'jaeger', 'loki'];
export const MODULE_NAMES: readonly ModuleName[] = [
  'kubernetes',
  'containerd',
  'runc',
  'cni',
  'monitoring',
  'kube-score',
  'k6',
  ...STACK_MODULES,
];

/**
 * Everything that a node needs, kubectl and helm included, Prometheus with promtool, the linter of the manifests, the load generator, and the monitoring stack.
 */
export const ALL_PROGRAMS: readonly ProgramName[] = [...MODULE_NAMES.flatMap((module) => programsOf(module)), 'pause'];

/** Whether a program of this name is built here. */
export function isProgram(name: string): name is ProgramName {
  return ALL_PROGRAMS.some((program) => program === name);
}

/**
 * Builds what is not in the cache and returns the absolute path of each program. Safe to call from several processes at once.
 * @throws Failure with the compiler's output when a build fails
 */
export async function ensurePrograms<N extends ProgramName>(names: readonly N[], note: Note = () => undefined): Promise<Record<N, string>> {
  const wanted: readonly ProgramName[] = names;
  const ofModule = async (module: ModuleName): Promise<Record<string, string>> => {
    const mine = programsOf(module).filter((name) => wanted.includes(name));
    return mine.length === 0 ? {} : ensureModule(module, mine, note);
  };
  const groups = MODULE_NAMES.filter((module) => !STACK_MODULES.includes(module)).map(ofModule);
  if (wanted.includes('pause')) groups.push(ensurePause());
  const paths: Record<N, string> = Object.assign({}, ...(await Promise.all([...groups, inTurn(STACK_MODULES, ofModule)])));
  return paths;
}

/** Some packages of these modules take more than a gigabyte to compile: one module at a time keeps the memory of the whole in bounds. */
async function inTurn(
  modules: readonly ModuleName[],
  ensure: (module: ModuleName) => Promise<Record<string, string>>,
): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const module of modules) Object.assign(paths, await ensure(module));
  return paths;
}

/** Where `ensurePrograms` keeps each program, built or not. */
export async function programPaths(names: readonly ProgramName[]): Promise<Record<string, string>> {
  const all = MODULE_NAMES.map(async (module) => {
    const mine = programsOf(module).filter((name) => names.includes(name));
    return mine.length === 0 ? {} : pathsInModule(module, mine);
  });
  const paths: Record<string, string> = Object.assign({}, ...(await Promise.all(all)));
  return paths;
}

/** A key that changes with anything that the result depends on. Parts are kept apart, so that moving text between them changes it too. */
export function contentHash(parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}

function programsOf(module: ModuleName): ProgramName[] {
  const { packages }: { readonly packages: Partial<Record<ProgramName, string>> } = MODULES[module];
  return keysOf(packages);
}

/** Object.keys for an object whose keys are known to its type. */
function keysOf<K extends string>(record: Readonly<Partial<Record<K, unknown>>>): K[] {
  const keys: K[] = [];
  for (const key in record) keys.push(key);
  return keys;
}

async function ensureModule(module: ModuleName, names: readonly ProgramName[], note: Note): Promise<Record<string, string>> {
  const build: ModuleBuild = MODULES[module];
  const folder = moduleFolder(module);
  const targets = await pathsInModule(module, names);
  for (const target of Object.values(targets)) markUsed(target);
  const missing = (): string[] => names.filter((name) => !existsSync(targets[name] ?? ''));
  if (missing().length === 0) return targets;
  await withLock(`programs-${module}`, async () => {
    // Another process may have built them while this one waited.
    const toBuild = missing();
    if (toBuild.length > 0) await buildModule({ ...build, module, folder, toBuild, targets }, note);
  });
  return targets;
}

function moduleFolder(module: ModuleName): string {
  return join(PROJECT_DIR, 'local', 'programs', module);
}

/** The path of a program holds the hash of what it is built from. */
async function pathsInModule(module: ModuleName, names: readonly ProgramName[]): Promise<Record<string, string>> {
  const { flags, packages, ...build }: ModuleBuild = MODULES[module];
  const folder = moduleFolder(module);
  const toolchain = [await goVersion(), ...(build.static ? ['static'] : [])];
  const pinned = await contentsOf(folder, ['go.mod', 'go.sum']);
  const keyOf = async (goPackage: string): Promise<string> => {
    const own = goPackage.startsWith('.') ? await contentsOf(folder, await goFiles(folder)) : [];
    return contentHash([...toolchain, ...flags, goPackage, ...pinned, ...own]);
  };
  const targets: Record<string, string> = {};
  for (const name of names) targets[name] = cachePath('programs', await keyOf(packages[name] ?? ''), name);
  return targets;
}

interface Build extends ModuleBuild {
  readonly folder: string;
  readonly toBuild: readonly string[];
}

/** How go is called. */
export interface GoBuild {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** @param output folder for the programs */
function goBuild({ folder, flags, packages, toBuild, static: isStatic }: Build, output: string): GoBuild {
  const wanted = toBuild.map((name) => packages[name] ?? name);
  return {
    args: ['build', '-v', '-trimpath', '-buildvcs=false', NO_DEBUG_INFORMATION, ...flags, '-o', `${output}/`, ...wanted],
    cwd: folder,
    env: { ...goEnvironment(isStatic), ...compilerMemory(freemem()) },
  };
}

/**
 * How all programs of a module are built.
 * @throws Failure when there is no such module
 */
export function goBuildOf(name: string, output: string): GoBuild {
  const module = MODULE_NAMES.find((each) => each === name);
  if (module === undefined) throw new Failure(`There is no module ${name}: choose from ${MODULE_NAMES.join(', ')}`);
  return goBuild({ ...MODULES[module], folder: moduleFolder(module), toBuild: programsOf(module) }, output);
}

interface BuildJob extends Build {
  readonly module: string;
  readonly targets: Readonly<Record<string, string>>;
}

async function buildModule(job: BuildJob, note: Note): Promise<void> {
  note(`building ${job.toBuild.join(', ')}`);
  await removeDrafts(job.module);
  const output = await draftFolder(job.module);
  let compiled = 0;
  const countPackages = (): void => {
    compiled += 1;
    if (compiled % 100 === 0) note(`${job.module}: ${compiled} packages compiled`);
  };
  try {
    const { args, cwd, env } = goBuild(job, output);
    // Clusters that run on this machine keep their pace.
    await run('nice', ['-n', '10', 'go', ...args], { cwd, env, onLine: countPackages });
    for (const name of job.toBuild) await publish(join(output, builtName(job.packages[name] ?? name, job.module)), job.targets[name] ?? '');
  } catch (error) {
    throw buildFailure(`building ${job.module} (${job.toBuild.join(', ')})`, error);
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}

/** The file name that go build gives to a package's program: its last path element, a version suffix left out. */
function builtName(goPackage: string, module: string): string {
  return goPackage === '.' ? module : basename(goPackage.replace(/\/v\d+$/, ''));
}

async function ensurePause(): Promise<Record<string, string>> {
  const source = join(PROJECT_DIR, 'local', 'programs', 'pause', 'pause.c');
  const flags = ['-static', '-Os', '-s'];
  const target = cachePath('programs', contentHash([await readFile(source), ...flags]), 'pause');
  markUsed(target);
  if (existsSync(target)) return { pause: target };
  const output = await draftFolder('pause');
  try {
    await run('gcc', [...flags, '-o', join(output, 'pause'), source]);
    await publish(join(output, 'pause'), target);
  } catch (error) {
    throw buildFailure('building pause', error);
  } finally {
    await rm(output, { recursive: true, force: true });
  }
  return { pause: target };
}

/** A folder on the cache's file system, so that finished files can be moved in one step. */
async function draftFolder(module: string): Promise<string> {
  await mkdir(cachePath('programs'), { recursive: true });
  return mkdtemp(cachePath('programs', draftPrefix(module)));
}

function draftPrefix(module: string): string {
  return `.draft-${module}-`;
}

/** What a build that was killed has left. Only the holder of the module's lock has a draft of it. */
async function removeDrafts(module: string): Promise<void> {
  const drafts = (await readdir(cachePath('programs')).catch(() => [])).filter((name) => name.startsWith(draftPrefix(module)));
  for (const draft of drafts) await rm(cachePath('programs', draft), { recursive: true, force: true });
}

/** A program appears at its final path when it is complete. */
async function publish(draft: string, target: string): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  await rename(draft, target);
}

async function goFiles(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.go')).toSorted();
}

/** Names and contents in turn. */
async function contentsOf(folder: string, files: readonly string[]): Promise<(string | Buffer)[]> {
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file))));
  return files.flatMap((file, index) => [file, contents[index] ?? '']);
}

let goVersionText: Promise<string> | undefined;

function goVersion(): Promise<string> {
  goVersionText ??= run('go', ['version'], { env: goEnvironment(), cwd: join(PROJECT_DIR, 'local', 'programs', 'kubernetes') }).then(
    ({ stdout }) => stdout.trim(),
  );
  return goVersionText;
}

/**
 * A compiler lives for seconds: collecting garbage costs it a fifth of its time and is only worth that when memory is short. Several run at once.
 * @param available bytes of free memory
 */
export function compilerMemory(available: number): { readonly GOGC: string; readonly GOMEMLIMIT: string } {
  const limit = Math.min(3 * GIB, Math.max(GIB / 2, available / 8));
  return { GOGC: '800', GOMEMLIMIT: `${Math.floor(limit / MIB)}MiB` };
}

/** A workspace file or flags of the user's own must not change what is built. */
function goEnvironment(withoutC = false): NodeJS.ProcessEnv {
  return { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: withoutC ? '0' : '1' };
}

function buildFailure(what: string, error: unknown): Failure {
  const details = error instanceof Failure ? { log: error.log } : {};
  const missing = which('go') === undefined ? ['install Go 1.26 or newer: https://go.dev/doc/install'] : [];
  return new Failure(`${what} failed`, {
    ...details,
    tryNext: [
      ...missing,
      'check that the Go module proxy can be reached (go env GOPROXY), then run the same command again',
      `df -h ${cacheDir()}`,
    ],
    cause: error,
  });
}

function kubernetesVersionFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split('.');
  const values = { gitVersion: KUBERNETES_VERSION, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  return Object.entries(values)
    .map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`)
    .join(' ');
}

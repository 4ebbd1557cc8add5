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

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

interface ModuleBuild {
  /** Arguments of `go build`, after `-trimpath`. */
  readonly flags: readonly string[];
  /** Package of each program. */
  readonly packages: Readonly<Record<string, string>>;
}

const STRIPPED = '-s -w';
/** The linker would strip it; not to write it at all spares the compiler a tenth of its work, and panics are as readable. */
const NO_DEBUG_INFORMATION = '-gcflags=all=-dwarf=false';

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
      'netgo,osusergo,remove_all_sd,enable_dns_sd,enable_kubernetes_sd',
      '-ldflags',
      `${STRIPPED} -X github.com/prometheus/common/version.Version=${PROMETHEUS_VERSION.slice(1)}`,
    ],
    packages: {
      prometheus: 'github.com/prometheus/prometheus/cmd/prometheus',
      promtool: 'github.com/prometheus/prometheus/cmd/promtool',
    },
  },
} as const satisfies Record<string, ModuleBuild>;

type ModuleName = keyof typeof MODULES;
type ProgramsOf<M extends ModuleName> = keyof (typeof MODULES)[M]['packages'];
/** A program that can be asked for; `pause` is the C program that holds a pod's namespaces. */
export type ProgramName = { [M in ModuleName]: ProgramsOf<M> }[ModuleName] | 'pause';

const MODULE_NAMES: readonly ModuleName[] = ['kubernetes', 'containerd', 'runc', 'cni', 'monitoring'];

/** Everything that a node needs, kubectl and helm included, and Prometheus with promtool. */
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
  const groups: Promise<Record<string, string>>[] = MODULE_NAMES.map((module) => {
    const mine = programsOf(module).filter((name) => wanted.includes(name));
    return mine.length === 0 ? Promise.resolve({}) : ensureModule(module, mine, note);
  });
  if (wanted.includes('pause')) groups.push(ensurePause());
  const paths: Record<N, string> = Object.assign({}, ...(await Promise.all(groups)));
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
  const { flags, packages }: ModuleBuild = MODULES[module];
  const folder = join(PROJECT_DIR, 'local', 'programs', module);
  const toolchain = await goVersion();
  const pinned = await contentsOf(folder, ['go.mod', 'go.sum']);
  const keyOf = async (goPackage: string): Promise<string> => {
    const own = goPackage.startsWith('./') ? await contentsOf(folder, await goFiles(folder)) : [];
    return contentHash([toolchain, ...flags, goPackage, ...pinned, ...own]);
  };
  const targets: Record<string, string> = {};
  for (const name of names) targets[name] = cachePath('programs', await keyOf(packages[name] ?? ''), name);
  for (const target of Object.values(targets)) markUsed(target);
  const missing = (): string[] => names.filter((name) => !existsSync(targets[name] ?? ''));
  if (missing().length === 0) return targets;
  await withLock(`programs-${module}`, async () => {
    // Another process may have built them while this one waited.
    const toBuild = missing();
    if (toBuild.length > 0) await buildModule({ module, folder, flags, packages, toBuild, targets }, note);
  });
  return targets;
}

interface BuildJob extends ModuleBuild {
  readonly module: string;
  readonly folder: string;
  readonly toBuild: readonly string[];
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
    const packages = job.toBuild.map((name) => job.packages[name] ?? name);
    const args = ['build', '-v', '-trimpath', '-buildvcs=false', NO_DEBUG_INFORMATION, ...job.flags, '-o', `${output}/`, ...packages];
    await run('go', args, { cwd: job.folder, env: { ...goEnvironment(), ...compilerMemory(freemem()) }, onLine: countPackages });
    for (const name of job.toBuild) await publish(join(output, builtName(job.packages[name] ?? name)), job.targets[name] ?? '');
  } catch (error) {
    throw buildFailure(`building ${job.module} (${job.toBuild.join(', ')})`, error);
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}

/** The file name that go build gives to a package's program: its last path element, a version suffix left out. */
function builtName(goPackage: string): string {
  return basename(goPackage.replace(/\/v\d+$/, ''));
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
function goEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, GOFLAGS: '', GOWORK: 'off', CGO_ENABLED: '1' };
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

/** Checks the machine before any work starts and reports each problem with its remedy. Missing Debian packages are named, then installed. */
import { mkdir, mkdtemp, readFile, rm, rmdir, statfs } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { run, which } from './exec.ts';
import { Failure } from './failure.ts';
import { withLock } from './lock.ts';
import { cacheDir, cachePath, SHARED_FOLDERS, STATE_ROOT } from './paths.ts';
import type { Note } from './progress.ts';

export type Purpose = 'cluster' | 'images' | 'tests';

/** Debian packages, by what they are needed for. */
export const DEBIAN_PACKAGES: Readonly<Record<Purpose, readonly string[]>> = {
  cluster: ['openssl', 'iproute2', 'iptables', 'kmod', 'gcc', 'libc6-dev', 'pkg-config', 'libseccomp-dev'],
  images: ['debootstrap', 'buildah'],
  tests: ['python3-venv'],
};

const GIB = 1024 ** 3;
const LEAST_MEMORY = 2 * GIB;
/** Programs, root file systems and Go's own caches, as README measures them: of the first build, and of a later one. */
const FIRST_CACHE_DISK = 17 * GIB;
const LATER_CACHE_DISK = 2 * GIB;
/** Unpacked images and the volumes of a demo. */
const LEAST_STATE_DISK = 4 * GIB;

/** What was found out about the machine; sizes in bytes. */
export interface MachineFacts {
  readonly platform: string;
  readonly userId: number;
  readonly hasApt: boolean;
  /** Commands of the toolchains that are not there. */
  readonly missingTools: readonly string[];
  /** Kernel features whose probe failed; empty before the probe could run. */
  readonly missingFeatures: readonly string[];
  readonly memoryAvailable: number;
  /** `filled`: an earlier build has filled it. */
  readonly cacheDisk: { readonly path: string; readonly free: number; readonly filled: boolean };
  readonly stateDisk: { readonly path: string; readonly free: number };
}

export interface Problem {
  readonly problem: string;
  readonly remedy: string;
}

const TOOL_REMEDIES: Readonly<Record<string, string>> = {
  go: 'install Go 1.26 or newer (https://go.dev/doc/install) and put it on PATH; under sudo, keep PATH: sudo env "PATH=$PATH" make …',
  java: 'install a Java runtime, version 17 or newer: apt-get install default-jre-headless',
  mvn: 'install Maven: apt-get install maven',
};

const FEATURE_REMEDIES: Readonly<Record<string, string>> = {
  namespaces: 'inside a container, start that with --privileged; on a machine of your own, use a kernel with CONFIG_NAMESPACES',
  overlayfs: `modprobe overlay; inside a container, mount a volume at ${STATE_ROOT}, because layers cannot lie on layers`,
  bridge: 'modprobe bridge br_netfilter (CONFIG_BRIDGE, CONFIG_BRIDGE_NETFILTER)',
  veth: 'modprobe veth (CONFIG_VETH)',
  'iptables NAT': 'modprobe nf_nat xt_MASQUERADE xt_conntrack xt_comment xt_statistic (CONFIG_NF_NAT and the xtables matches)',
  cgroups: 'mount the cgroup file systems writable at /sys/fs/cgroup; inside a container, start that with --privileged --cgroupns=host',
};

/** Problems that prevent a start, in the order in which a user should solve them. Pure. */
export function findProblems(facts: MachineFacts): Problem[] {
  if (facts.platform !== 'linux') {
    return [
      {
        problem: `This is ${facts.platform}; the local cluster needs Linux.`,
        remedy: 'use kind instead: CLUSTER=kind make demo (needs Docker and kind)',
      },
    ];
  }
  if (facts.userId !== 0) {
    return [
      {
        problem: 'The local cluster needs root: it creates namespaces, mounts and cgroups.',
        remedy: 'sudo env "PATH=$PATH" make demo, or without root on Docker: CLUSTER=kind make demo',
      },
    ];
  }
  const problems: Problem[] = [];
  if (!facts.hasApt) {
    problems.push({
      problem: 'apt-get is missing; packages and images come from Debian.',
      remedy: 'use Debian 12 or newer, or Ubuntu 24.04 or newer',
    });
  }
  for (const tool of facts.missingTools)
    problems.push({ problem: `${tool} is not on PATH.`, remedy: TOOL_REMEDIES[tool] ?? `install ${tool}` });
  for (const feature of facts.missingFeatures)
    problems.push({ problem: `The kernel does not provide ${feature}.`, remedy: FEATURE_REMEDIES[feature] ?? '' });
  if (facts.memoryAvailable < LEAST_MEMORY) {
    problems.push({
      problem: `Only ${gib(facts.memoryAvailable)} of memory is free; a cluster needs ${gib(LEAST_MEMORY)}, the demo 6 GiB.`,
      remedy: 'stop other programs, or use a larger machine',
    });
  }
  return [...problems, ...diskProblems(facts)];
}

function diskProblems({ cacheDisk, stateDisk }: MachineFacts): Problem[] {
  return [
    ...diskProblem(
      cacheDisk,
      cacheDisk.filled ? LATER_CACHE_DISK : FIRST_CACHE_DISK,
      'free some space, or set XDG_CACHE_HOME to a larger disk',
    ),
    ...diskProblem(stateDisk, LEAST_STATE_DISK, `free some space, or mount a larger disk at ${STATE_ROOT}`),
  ];
}

function diskProblem({ path, free }: MachineFacts['stateDisk'], least: number, remedy: string): Problem[] {
  return free >= least ? [] : [{ problem: `Only ${gib(free)} of disk is free at ${path}; ${gib(least)} are needed.`, remedy }];
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}

/**
 * Checks the machine and installs the Debian packages that are missing, after saying which.
 * @throws Failure naming every problem with its remedy; nothing has been changed then
 */
export async function prepareMachine(note: Note, purposes: readonly Purpose[] = ['cluster']): Promise<void> {
  refuse(findProblems(await gatherFacts(purposes)));
  await installPackages(
    purposes.flatMap((purpose) => DEBIAN_PACKAGES[purpose]),
    note,
  );
  if (purposes.includes('cluster')) refuse(findProblems({ ...(await gatherFacts(purposes)), missingFeatures: await missingFeatures() }));
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  throw new Failure(problems.map(({ problem }) => problem).join('\n'), { tryNext: problems.map(({ remedy }) => remedy) });
}

async function gatherFacts(purposes: readonly Purpose[]): Promise<MachineFacts> {
  const tools = purposes.includes('images') ? ['go', 'java', 'mvn'] : ['go'];
  return {
    platform: process.platform,
    userId: process.getuid?.() ?? -1,
    hasApt: which('apt-get') !== undefined,
    missingTools: tools.filter((tool) => which(tool) === undefined),
    missingFeatures: [],
    memoryAvailable: await memoryAvailable(),
    cacheDisk: { ...(await diskOf(cacheDir())), filled: existsSync(cachePath('programs')) },
    stateDisk: await diskOf(STATE_ROOT),
  };
}

async function memoryAvailable(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}

/** The disk that a folder is on, or will be on. */
async function diskOf(path: string): Promise<{ path: string; free: number }> {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  return { path, free: bavail * bsize };
}

async function installPackages(packages: readonly string[], note: Note): Promise<void> {
  if ((await missingPackages(packages)).length === 0) return;
  await withLock('apt', async () => {
    const missing = await missingPackages(packages);
    if (missing.length === 0) return;
    note(`installing Debian packages: ${missing.join(' ')}`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const install = (): Promise<unknown> => run('apt-get', ['install', '--yes', '--no-install-recommends', ...missing], { env });
    // The lists of a fresh machine may be missing or old.
    await install().catch(async () => {
      await run('apt-get', ['update'], { env });
      await install();
    });
  });
}

async function missingPackages(packages: readonly string[]): Promise<string[]> {
  const { stdout } = await run('dpkg-query', ['--show', '--showformat', '${Package} ${db:Status-Status}\\n']);
  return notInstalled(packages, stdout);
}

/** @param listing lines of `<package> <status>` */
export function notInstalled(packages: readonly string[], listing: string): string[] {
  const installed = new Set(
    listing
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(' ')[0]),
  );
  return packages.filter((name) => !installed.has(name));
}

/** Tries each feature in namespaces of its own, so that the host is not touched; prints those that fail. $1: a folder on the cluster's disk. */
const PROBE = `
try() { feature=$1; shift; "$@" >/dev/null 2>&1 || echo "$feature"; }
mkdir "$1/lower" "$1/upper" "$1/work" "$1/merged"
try overlayfs mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/merged"
try bridge ip link add bss-probe type bridge
try bridge test -e /proc/sys/net/bridge/bridge-nf-call-iptables
try veth ip link add bss-probe-a type veth peer name bss-probe-b
try 'iptables NAT' iptables -w -t nat -A POSTROUTING -m comment --comment probe -m conntrack --ctstate NEW -m statistic --mode random --probability 0.5 -j MASQUERADE
`;

async function missingFeatures(): Promise<string[]> {
  const first = await probe();
  if (first.length === 0) return first;
  // The modules of what failed may only be waiting to be loaded.
  await run('modprobe', [
    '--all',
    'overlay',
    'bridge',
    'br_netfilter',
    'veth',
    'nf_nat',
    'xt_MASQUERADE',
    'xt_conntrack',
    'xt_comment',
    'xt_statistic',
  ]).catch(() => undefined);
  return probe();
}

async function probe(): Promise<string[]> {
  const folder = await withLock(SHARED_FOLDERS, async () => {
    await mkdir(STATE_ROOT, { recursive: true });
    return mkdtemp(join(STATE_ROOT, '.probe-'));
  });
  try {
    const namespaces = ['--net', '--mount', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];
    const inNamespaces = run('unshare', [...namespaces, 'sh', '-c', PROBE, 'sh', folder]).then(
      ({ stdout }) => stdout.split('\n').filter((line) => line !== ''),
      () => ['namespaces'],
    );
    return [...new Set([...(await inNamespaces), ...(await probeCgroups())])];
  } finally {
    await rm(folder, { recursive: true, force: true });
    await withLock(SHARED_FOLDERS, () => rmdir(STATE_ROOT).catch(() => undefined));
  }
}

async function probeCgroups(): Promise<string[]> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  const mountPoint = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup' || type === 'cgroup2')?.[1];
  if (mountPoint === undefined) return ['cgroups'];
  const folder = join(mountPoint, `bss-probe-${process.pid}`);
  return mkdir(folder)
    .then(() => rmdir(folder))
    .then(
      () => [],
      () => ['cgroups'],
    );
}

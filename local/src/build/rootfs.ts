/**
 * Root file systems made from Debian packages and Kafka's jars, kept in the cache by the hash of their recipes. One fat file system holds every
 * third-party program of the platform: it is packed as their images, and tests run the same programs from it.
 */
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import type { DebianSource } from '../../../operator/src/platform/definition.ts';
import { thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { run } from '../exec.ts';
import { Failure } from '../failure.ts';
import { withLock } from '../lock.ts';
import { cachePath, PROJECT_DIR } from '../paths.ts';
import { markUsed } from './cache.ts';
import { contentHash, ensurePrograms, isProgram } from './programs.ts';
import type { Note } from '../progress.ts';

const SUITE = 'trixie';

/** Needed by Node's official build, absent from a minimal Debian. */
const DEBIAN_EXTRA = ['libatomic1'];

/** The monitoring stack has a root file system of its own. */
const SOURCES = thirdPartyImages(DEFINITIONS).flatMap(({ debian }) => (debian === undefined || debian.stack ? [] : debian));

const PACKAGES = ['ca-certificates', ...SOURCES.flatMap(({ packages }) => packages)].toSorted((a, b) => (a < b ? -1 : 1));

/** Programs that are built from their Go modules, because Debian has not the version that the image has. */
const BUILT = SOURCES.flatMap(({ built = [] }) => built).filter(isProgram);

/** The same in the fat file system and in the public images, because volumes keep these numbers. */
export const POSTGRES_UID = 999;
/** For programs that need no name in /etc/passwd. */
export const NONROOT_UID = 65532;

/** Where programs that are built here are in a root file system. */
export const BUILT_FOLDER = '/usr/local/bin';

/** PATH of a process in the fat file system. */
export const ROOTFS_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin';

/**
 * Left out: documentation, translations, web assets nobody serves, and the compiler behind Postgres' JIT (180 MB), which Postgres does without
 * when it is missing.
 */
const DPKG_CONFIG = `force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/i18n/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/javascript/*
path-exclude=/usr/share/fonts/*
path-exclude=/usr/lib/llvm-*
path-exclude=/usr/lib/x86_64-linux-gnu/libLLVM*
path-exclude=/usr/lib/x86_64-linux-gnu/libz3*
`;

/** Mounts a private /proc and /dev below "$1"; host devices are bound, because the file system may be mounted nodev. */
export const MOUNT_PROC_AND_DEV = `
mount -t proc proc "$1/proc"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for device in null zero full random urandom; do : > "$1/dev/$device"; mount --bind "/dev/$device" "$1/dev/$device"; done
ln -s /proc/self/fd "$1/dev/fd"; ln -s /proc/self/fd/1 "$1/dev/stdout"; ln -s /proc/self/fd/2 "$1/dev/stderr"
mkdir "$1/dev/shm"; mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
`;

/** Empty folders stay: installation scripts put links to manual pages in them. */
const TRIM_SCRIPT = `
find "$1/usr/share/doc" -mindepth 1 ! -type d ! -name copyright -delete
find "$1/usr/share/man" "$1/usr/share/info" "$1/usr/share/locale" "$1/usr/share/lintian" ! -type d -delete
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/*.log "$1"/var/log/apt "$1"/etc/resolv.conf "$1"/etc/ssl/private/*.key
`;

const DEBOOTSTRAP_SCRIPT = `
debootstrap --variant=minbase --include=${DEBIAN_EXTRA.join(',')} ${SUITE} "$1"
${TRIM_SCRIPT}`;

/** "$2": apt settings of this machine. User ids are fixed before the packages would pick them; daemons are not started, and no cluster is made at installation. */
const INSTALL_SCRIPT = `
${MOUNT_PROC_AND_DEV}
cp /etc/resolv.conf "$1/etc/resolv.conf"
cp "$2" "$1/etc/apt/apt.conf.d/99machine"
printf '#!/bin/sh\\nexit 101\\n' > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"
mkdir -p "$1/etc/postgresql-common"; echo 'create_main_cluster = false' > "$1/etc/postgresql-common/createcluster.conf"
cat > "$1/etc/dpkg/dpkg.cfg.d/platform" <<'END'
${DPKG_CONFIG}END
chroot "$1" groupadd --gid ${POSTGRES_UID} postgres
chroot "$1" useradd --uid ${POSTGRES_UID} --gid ${POSTGRES_UID} --home-dir /var/lib/postgresql --shell /bin/bash postgres
chroot "$1" groupadd --gid ${NONROOT_UID} nonroot
chroot "$1" useradd --key UID_MAX=${NONROOT_UID} --uid ${NONROOT_UID} --gid ${NONROOT_UID} --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin nonroot
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
chroot "$1" apt-get update -q
chroot "$1" apt-get install -q -y --no-install-recommends ${PACKAGES.join(' ')}
rm "$1/etc/apt/apt.conf.d/99machine" "$1/usr/sbin/policy-rc.d"
${SOURCES.flatMap((source) => linkCommands(source)).join('\n')}
mkdir "$1/data"
${TRIM_SCRIPT}`;

/** Shell commands that give the programs their names and paths of the public image, in a root file system "$1". Pure. */
export function linkCommands({ programs = {}, built = [] }: Pick<DebianSource, 'programs' | 'built'>): string[] {
  return Object.entries(programs).map(([name, program]) => {
    if (!name.startsWith('/')) return `ln -s ${program} "$1/usr/bin/${name}"`;
    const folder = built.includes(program) ? BUILT_FOLDER : '/usr/bin';
    return `mkdir -p "$1${dirname(name)}"; ln -s ${join(folder, program)} "$1${name}"`;
  });
}

/** The minimal Debian that every image starts from. */
export function ensureDebian(note: Note = () => undefined): Promise<string> {
  return ensureFolder('debian', [DEBOOTSTRAP_SCRIPT], async (draft) => {
    note(`debootstrap ${SUITE}`);
    await downloading(`creating a minimal Debian ${SUITE}`, 'the Debian archive', runIsolated(DEBOOTSTRAP_SCRIPT, [draft]));
  });
}

/**
 * The file system with every third-party program: Postgres, PgBouncer, Redis, Java with Kafka, Prometheus, exporters.
 * @returns its path; the content must not be changed
 * @throws Failure when a download or an installation fails
 */
export async function ensureRootfs(note: Note = () => undefined): Promise<string> {
  const pom = await readFile(join(PROJECT_DIR, 'local', 'kafka', 'pom.xml'));
  const built: Record<string, string> = await ensurePrograms(BUILT, note);
  // Their paths hold the hash of what they were built from.
  return ensureFolder('programs', [DEBOOTSTRAP_SCRIPT, INSTALL_SCRIPT, pom, ...Object.values(built)], async (draft) => {
    const [debian, jars] = await Promise.all([ensureDebian(note), ensureKafkaJars(pom, note)]);
    note('installing the Debian packages');
    await copyTree(debian, draft);
    const installed = withMachineAptSettings((settings) => runIsolated(INSTALL_SCRIPT, [draft, settings]));
    await downloading('installing the Debian packages', 'the Debian archive', installed);
    await mkdir(join(draft, 'opt', 'kafka'), { recursive: true });
    await copyTree(jars, join(draft, 'opt', 'kafka', 'libs'));
    for (const [name, path] of Object.entries(built)) await copyFile(path, join(draft, BUILT_FOLDER, name));
  });
}

function ensureKafkaJars(pom: Buffer, note: Note): Promise<string> {
  return ensureFolder('kafka', [pom], async (draft) => {
    note('fetching the jars of Kafka');
    const project = join(PROJECT_DIR, 'local', 'kafka', 'pom.xml');
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${draft}`];
    const fetched = run('mvn', ['--batch-mode', '--quiet', '--file', project, ...goal]).then(() => undefined);
    await downloading('fetching the jars of Kafka', 'Maven Central', fetched);
  });
}

/**
 * A folder in the cache that is made once for each content of its inputs. It appears under its final name only when complete, and only one
 * process makes it while others wait.
 * @param build fills the empty folder that it is given
 */
export async function ensureFolder(
  kind: string,
  inputs: readonly (string | Buffer)[],
  build: (draft: string) => Promise<void>,
): Promise<string> {
  const target = cachePath('rootfs', `${kind}-${contentHash(inputs)}`);
  markUsed(target);
  if (existsSync(target)) return target;
  await withLock(`rootfs-${kind}`, async () => {
    if (existsSync(target)) return;
    await removeDrafts(kind);
    const draft = await mkdtemp(join(dirname(target), `.draft-${kind}-`));
    try {
      // The folder becomes a root directory that every user must be able to enter.
      await chmod(draft, 0o755);
      await build(draft);
      await rename(draft, target);
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      throw error;
    }
  });
  return target;
}

/** Removes drafts of interrupted runs. The caller holds the lock of the kind, so no other process uses them. */
async function removeDrafts(kind: string): Promise<void> {
  const folder = cachePath('rootfs');
  await mkdir(folder, { recursive: true });
  const drafts = (await readdir(folder)).filter((name) => name.startsWith(`.draft-${kind}-`));
  await Promise.all(drafts.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

/** Copies a folder's content with owners, modes and times, sharing blocks where the file system can. */
export async function copyTree(from: string, to: string): Promise<void> {
  await run('cp', ['--archive', '--reflink=auto', '--no-target-directory', from, to]);
}

/** Runs a shell script as root with mounts and processes of its own, which end with this process at the latest. */
export async function runIsolated(script: string, args: readonly string[]): Promise<void> {
  const namespaces = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  await run('setpriv', ['--pdeathsig', 'KILL', ...namespaces, 'sh', '-euc', script, 'sh', ...args]);
}

/** The installation inside uses the proxies and the like that this machine's apt uses. */
async function withMachineAptSettings(work: (file: string) => Promise<void>): Promise<void> {
  const { stdout } = await run('apt-config', ['dump', 'Acquire']);
  const folder = await mkdtemp(cachePath('rootfs', '.apt-'));
  try {
    const file = join(folder, 'apt.conf');
    await writeFile(file, machineAptSettings(stdout));
    await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of `apt-config dump Acquire` the lines about reaching a mirror. Pure. */
export function machineAptSettings(dump: string): string {
  const lines = dump.split('\n').filter((line) => /^Acquire::(https?::|Check-|Retries|ForceIPv)/i.test(line));
  return lines.map((line) => `${line}\n`).join('');
}

/** Adds remedies to the error of a download. */
async function downloading(what: string, source: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Failure(`${what} failed`, {
      log: error instanceof Failure ? error.log : [],
      tryNext: [`check that ${source} can be reached, then run the same command again`, `df -h ${cachePath()}`],
      cause: error,
    });
  }
}

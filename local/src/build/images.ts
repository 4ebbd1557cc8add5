/**
 * The images of the platform. Ours are built from their Dockerfiles, without Docker by buildah on a Debian base made here, or by Docker for kind;
 * those of other programs are one root file system under all of their names.
 */
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import type { Image } from '../../../operator/src/platform/definition.ts';
import { testedImage, thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { run } from '../exec.ts';
import { withLock } from '../lock.ts';
import { packFolder, packPushed, type ImageEntry } from './oci.ts';
import { cachePath, PROJECT_DIR } from '../paths.ts';
import { markUsed } from './cache.ts';
import { contentHash } from './programs.ts';
import type { Note } from '../progress.ts';
import { copyTree, ensureDebian, ensureFolder, ensureRootfs, ROOTFS_PATH, runIsolated } from './rootfs.ts';
import { ensureStackRootfs, stackImages } from './stack.ts';

export interface ImageArchive {
  /** Path of an OCI archive, for `ctr images import`. */
  readonly archive: string;
  /** Full names of the images in it. */
  readonly refs: readonly string[];
}

/** Each has a Dockerfile in the folder of its name. */
const OURS = ['operator', 'workloads'] as const;

const VERSION = '0.1.0';
const NPM_VERSION = '11.19.1';
const BASE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The name under which containerd knows an image of Docker Hub. */
function fullName(ref: string): string {
  return `docker.io/${ref.includes('/') ? '' : 'library/'}${ref}`;
}

/** One entry for each stop signal: the images share their layers. Stop signals are those of the public images. */
function entriesOf(images: readonly Image[]): ImageEntry[] {
  const bySignal = Map.groupBy(images, ({ debian }) => debian?.stopSignal);
  return [...bySignal].map(([stopSignal, some]) => ({
    refs: some.map((image) => fullName(testedImage(image))),
    settings: { Env: [`PATH=${ROOTFS_PATH}`], ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }) },
  }));
}

/** The images of the programs that the operator's definitions name, without the monitoring stack. */
export const THIRD_PARTY: readonly ImageEntry[] = entriesOf(
  thirdPartyImages(DEFINITIONS).filter(({ debian }) => debian !== undefined && !debian.stack),
);

/** "$1": storage of buildah, "$2": work folder, "$3": base archive, "$4": its name, "$5": repository; then options of the build. */
const BUILD_SCRIPT = `
storage=$1 work=$2 archive=$3 base=$4 project=$5; shift 5
export TMPDIR="$storage/tmp"; mkdir -p "$TMPDIR"
engine() { buildah --root "$storage/images" --runroot "$work/run" "$@"; }
build() {
  image=$1; shift
  engine bud --quiet --isolation chroot --layers --pull=false --build-arg "BASE_IMAGE=$base" "$@" \\
    --tag "localhost/bss-$image" --file "$project/$image/Dockerfile" "$project"
  engine push --quiet --disable-compression "localhost/bss-$image" "dir:$work/$image"
}
engine inspect --type image "$base" > /dev/null 2>&1 || engine pull --quiet "oci-archive:$archive"
builds=
for image in ${OURS.join(' ')}; do build "$image" "$@" & builds="$builds $!"; done
for id in $builds; do wait "$id"; done
engine rmi --prune > /dev/null
`;

/**
 * Builds the archives that the local cluster imports before a platform can run. What is in the cache already is not built again.
 * @throws Failure with the output of the build that failed
 */
export async function buildImages(note: Note = () => undefined): Promise<ImageArchive[]> {
  return Promise.all([buildThirdParty(note), buildOurs(note)]);
}

async function buildThirdParty(note: Note): Promise<ImageArchive> {
  const root = await ensureRootfs(note);
  const archive = await ensureArchive('third-party', [root, JSON.stringify(THIRD_PARTY)], (target) => {
    note('packing the third-party programs');
    return packFolder(root, THIRD_PARTY, target);
  });
  return { archive, refs: THIRD_PARTY.flatMap(({ refs }) => refs) };
}

/** The images of the monitoring stack whose programs this machine has. */
export function stackEntries(): ImageEntry[] {
  return entriesOf(stackImages());
}

/**
 * Builds the archive of the monitoring stack, with the images whose programs this machine has.
 * @throws Failure when a program cannot be built
 */
export async function buildStack(note: Note = () => undefined): Promise<ImageArchive> {
  const root = await ensureStackRootfs(note);
  const entries = stackEntries();
  const archive = await ensureArchive('stack', [root, JSON.stringify(entries)], (target) => {
    note('packing the programs of the monitoring stack');
    return packFolder(root, entries, target);
  });
  return { archive, refs: entries.flatMap(({ refs }) => refs) };
}

async function buildOurs(note: Note): Promise<ImageArchive> {
  const base = await ensureBase(note);
  const inputs = [base, BUILD_SCRIPT, ...(await buildContext())];
  const tags = [VERSION, `${VERSION}-${contentHash(inputs)}`];
  const refsOf = (image: string): string[] => tags.map((tag) => `docker.io/bss-platform/${image}:${tag}`);
  const archive = await ensureArchive('platform', [...inputs, ...OURS.flatMap(refsOf)], async (target) => {
    note(`building ${OURS.join(' and ')}`);
    // One process builds at a time: what is in this folder was left by one that was killed.
    const work = cachePath('buildah', 'work');
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    try {
      const options = secretOptions(await writeSecrets(work));
      await runIsolated(BUILD_SCRIPT, [cachePath('buildah'), work, base, baseName(base), PROJECT_DIR, ...options]);
      const pushed = OURS.flatMap((image) => refsOf(image).map((ref) => ({ ref, folder: join(work, image) })));
      await packPushed(pushed, cachePath('images', 'layers'), target);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
  return { archive, refs: OURS.flatMap(refsOf) };
}

/**
 * The tag of our images that changes with their content, such as `0.1.0-3f2a…`. They have the tag of the version too, which a platform uses by
 * default.
 */
export function contentTag(archives: readonly ImageArchive[]): string {
  const prefix = `docker.io/bss-platform/operator:${VERSION}-`;
  const ref = archives.flatMap(({ refs }) => refs).find((each) => each.startsWith(prefix));
  if (ref === undefined) throw new Error(`no image ${prefix}*`);
  return ref.slice(ref.lastIndexOf(':') + 1);
}

/** The archive with Debian, Node as it runs here, and npm: what the public Node image has too. */
async function ensureBase(note: Note): Promise<string> {
  const debian = await ensureDebian(note);
  const nodeVersion = process.version;
  const tree = await ensureFolder('base', [debian, nodeVersion, NPM_VERSION], async (draft) => {
    note('making the base image');
    await copyTree(debian, draft);
    await copyFile(process.execPath, join(draft, 'usr', 'local', 'bin', 'node'));
    await chmod(join(draft, 'usr', 'local', 'bin', 'node'), 0o755);
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--no-save'];
    await run('npm', ['install', '--global', '--prefix', join(draft, 'usr', 'local'), ...options, `npm@${NPM_VERSION}`]);
  });
  return ensureArchive('base', [tree], (target) => {
    const settings = { Env: [`PATH=${BASE_PATH}`] };
    return packFolder(tree, [{ refs: [baseName(target)], settings }], target);
  });
}

/** A name that changes with the content, so that a storage which has the name has the content. */
function baseName(archive: string): string {
  return `localhost/bss-base:${/base-(\w+)\.tar$/.exec(archive)?.[1] ?? 'unknown'}`;
}

/** An archive in the cache by the hash of its inputs. */
async function ensureArchive(
  kind: string,
  inputs: readonly (string | Buffer)[],
  build: (target: string) => Promise<void>,
): Promise<string> {
  const target = cachePath('images', `${kind}-${contentHash(inputs)}.tar`);
  markUsed(target);
  if (existsSync(target)) return target;
  await withLock(`images-${kind}`, async () => {
    if (existsSync(target)) return;
    await build(target);
  });
  return target;
}

/** Every file that the Dockerfiles can see, with its path: .dockerignore leaves out the same. */
async function buildContext(): Promise<(string | Buffer)[]> {
  const listings = await Promise.all(
    [...OURS, 'dashboards'].map(async (folder) => {
      const entries = await readdir(join(PROJECT_DIR, folder), { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => relative(PROJECT_DIR, join(entry.parentPath, entry.name)));
    }),
  );
  const files = ['.dockerignore', 'package.json', 'package-lock.json', ...listings.flat().filter(isBuildInput).toSorted()];
  const contents = await Promise.all(files.map((file) => readFile(join(PROJECT_DIR, file))));
  return files.flatMap((file, index) => [file, contents[index] ?? '']);
}

/** Whether a change of this file of `operator/` or `workloads/` changes an image. */
export function isBuildInput(file: string): boolean {
  return (
    !/(^|\/)(node_modules|golden|testdata|testing|benchmarks)\/|^dashboards\/(generated\/rules|src\/(boards|rules\/cases))\//.test(file) &&
    !file.endsWith('.test.ts')
  );
}

interface Secrets {
  readonly npmrc?: string;
  readonly ca?: string;
}

/** What npm needs inside a build to reach the registry that it reaches outside: its settings, and certificates of a proxy. */
async function writeSecrets(folder: string): Promise<Secrets> {
  const userSettings = process.env['NPM_CONFIG_USERCONFIG'] ?? join(homedir(), '.npmrc');
  const settings = existsSync(userSettings) ? await readFile(userSettings, 'utf8') : '';
  const { stdout } = await run('npm', ['config', 'get', 'registry'], { cwd: PROJECT_DIR });
  const npmrc = join(folder, 'npmrc');
  await writeFile(npmrc, npmSettings(settings, stdout.trim()), { mode: 0o600 });
  const ca = process.env['NODE_EXTRA_CA_CERTS'];
  return ca !== undefined && existsSync(ca) ? { npmrc, ca } : { npmrc };
}

/** The user's npm settings with the registry that is in effect; paths of this machine mean nothing in an image. */
export function npmSettings(user: string, registry: string): string {
  const lines = user.split('\n').filter((line) => line.trim() !== '' && !/^\s*(cafile|cache|prefix|nodedir)\s*=/.test(line));
  return [...lines, `registry=${registry}`, ''].join('\n');
}

function secretOptions(secrets: Secrets): string[] {
  return Object.entries(secrets).flatMap(([id, file]) => ['--secret', `id=${id},src=${String(file)}`]);
}

/**
 * Builds our images with Docker on the public base image.
 * @returns the tag that both images have beside the version; it changes with their content
 */
export async function buildForKind(): Promise<string> {
  await mkdir(cachePath(), { recursive: true });
  const folder = await mkdtemp(cachePath('.docker-'));
  try {
    const options = secretOptions(await writeSecrets(folder));
    const ids: string[] = [];
    for (const image of OURS) {
      const name = `bss-platform/${image}:${VERSION}`;
      await run('docker', ['build', ...options, '--tag', name, '--file', join(PROJECT_DIR, image, 'Dockerfile'), PROJECT_DIR]);
      ids.push((await run('docker', ['image', 'inspect', '--format', '{{.Id}}', name])).stdout.trim());
    }
    const tag = `${VERSION}-${contentHash(ids)}`;
    for (const image of OURS) await run('docker', ['tag', `bss-platform/${image}:${VERSION}`, `bss-platform/${image}:${tag}`]);
    return tag;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Copies the images that `buildForKind` built into a kind cluster; third-party ones are public.
 * @param cluster its name in kind
 * @param tag as `buildForKind` returned it
 */
export async function loadIntoKind(cluster: string, tag: string): Promise<void> {
  const names = OURS.flatMap((image) => [VERSION, tag].map((each) => `bss-platform/${image}:${each}`));
  await run('kind', ['load', 'docker-image', ...names, '--name', cluster]);
}

/** Writes OCI image archives from folders, without a container engine. Format: github.com/opencontainers/image-spec, version 1.1. */
import { spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { link, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { run } from '../exec.ts';
import { Failure } from '../failure.ts';
import { markUsed } from './cache.ts';

/** What a container starts with when the pod says nothing else. */
export interface ImageSettings {
  readonly Env?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly StopSignal?: string;
}

export interface ImageEntry {
  /** Full names, such as `docker.io/library/redis:8`. */
  readonly refs: readonly string[];
  readonly settings: ImageSettings;
}

interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<hex>` of the content as stored. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface Layer extends Descriptor {
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
}

const OCI = 'application/vnd.oci.image';
/** Images are known by their content: the time at which they were packed must not change it. */
const CREATED = '1970-01-01T00:00:00Z';

/** Left out of a layer: the container runtime mounts these, and device files could not be unpacked everywhere. */
const RUNTIME_MOUNTS = ['./dev/*', './proc/*', './sys/*', './run/*', './tmp/*'];

/**
 * Packs one folder as the only layer of several images, which differ in names and settings alone.
 * @param target path of the archive; it appears when it is complete
 */
export async function packFolder(folder: string, images: readonly ImageEntry[], target: string): Promise<void> {
  await withLayout(target, async (layout) => {
    const exclude = RUNTIME_MOUNTS.map((path) => `--exclude=${path}`);
    const tar = ['tar', '--create', '--sort=name', '--numeric-owner', ...exclude, '--directory', folder, '.'];
    const layer = await compressLayer(tar, join(layout, 'layer'));
    await rename(join(layout, 'layer'), blobPath(layout, layer.digest));
    const write = async ({ refs, settings }: ImageEntry): Promise<NamedManifest[]> => {
      const manifest = await writeImage(layout, imageConfig(layer.diffId, settings), [layer]);
      return refs.map((ref) => ({ ref, manifest }));
    };
    return (await Promise.all(images.map(write))).flat();
  });
}

export interface PushedImage {
  readonly ref: string;
  /** What `buildah push --disable-compression … dir:<folder>` wrote. */
  readonly folder: string;
}

/**
 * Packs images that were built from Dockerfiles.
 * @param layerCache folder of compressed layers: one that an earlier build had too is not compressed again
 */
export async function packPushed(images: readonly PushedImage[], layerCache: string, target: string): Promise<void> {
  await mkdir(layerCache, { recursive: true });
  await withLayout(target, async (layout) => {
    const manifests: NamedManifest[] = [];
    // One after the other: what the first has compressed, the next finds.
    for (const { ref, folder } of images) {
      const { config, layers } = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as PushedManifest;
      const packed: Layer[] = [];
      for (const { digest } of layers) packed.push(await cachedLayer(join(folder, hex(digest)), digest, layerCache));
      for (const { digest, diffId } of packed) {
        markUsed(join(layerCache, hex(diffId)));
        await linkOnce(join(layerCache, hex(diffId)), blobPath(layout, digest));
      }
      const settings = JSON.parse(await readFile(join(folder, hex(config.digest)), 'utf8')) as object;
      manifests.push({ ref, manifest: await writeImage(layout, settings, packed) });
    }
    return manifests;
  });
}

interface PushedManifest {
  readonly config: Descriptor;
  /** Uncompressed, so that the digest of each is its diff id. */
  readonly layers: readonly Descriptor[];
}

interface NamedManifest {
  readonly ref: string;
  readonly manifest: Descriptor;
}

async function withLayout(target: string, fill: (layout: string) => Promise<NamedManifest[]>): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const layout = await mkdtemp(`${target}.draft-`);
  try {
    await mkdir(join(layout, 'blobs', 'sha256'), { recursive: true });
    await writeFile(join(layout, 'index.json'), JSON.stringify(imageIndex(await fill(layout))));
    await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    const draft = join(layout, 'archive');
    await run('tar', ['--create', '--file', draft, '--directory', layout, 'oci-layout', 'index.json', 'blobs']);
    await rename(draft, target);
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

/** The configuration blob of an image with a single layer. */
export function imageConfig(diffId: string, settings: ImageSettings): object {
  return {
    created: CREATED,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: settings,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created: CREATED, created_by: 'debootstrap, apt-get, mvn' }],
  };
}

/** The index of an archive: each name is an entry of its own. */
export function imageIndex(entries: readonly NamedManifest[]): object {
  const manifests = entries.map(({ ref, manifest }) => ({
    ...manifest,
    annotations: { 'io.containerd.image.name': ref, 'org.opencontainers.image.ref.name': ref },
  }));
  return { schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests };
}

async function writeImage(layout: string, settings: object, layers: readonly Layer[]): Promise<Descriptor> {
  const config = await writeJson(layout, `${OCI}.config.v1+json`, settings);
  const stored = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }));
  const manifest = { schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers: stored };
  return writeJson(layout, manifest.mediaType, manifest);
}

async function writeJson(layout: string, mediaType: string, content: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content));
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await writeFile(blobPath(layout, digest), bytes);
  return { mediaType, digest, size: bytes.length };
}

/** The compressed form of an uncompressed layer: the file in the cache bears the diff id, the one beside it tells the digest. */
async function cachedLayer(file: string, diffId: string, layerCache: string): Promise<Layer> {
  const target = join(layerCache, hex(diffId));
  const note = `${target}.json`;
  if (existsSync(note)) return JSON.parse(await readFile(note, 'utf8')) as Layer;
  const draft = await mkdtemp(join(layerCache, '.draft-'));
  try {
    const layer = await compressLayer(['cat', file], join(draft, 'layer'));
    await writeFile(join(draft, 'note'), JSON.stringify(layer));
    await rename(join(draft, 'layer'), target);
    await rename(join(draft, 'note'), note);
    return layer;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * Compresses the tar that a command prints, by zstd at its lowest level: importing an image is bound by writing it to disk, and this writes
 * a third of the bytes for little more work than reading them.
 */
async function compressLayer(tarCommand: readonly string[], target: string): Promise<Layer> {
  const [program = 'tar', ...args] = tarCommand;
  const tar = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => tar.once('exit', resolve).once('error', reject));
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  const compress = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  await pipeline(tar.stdout, hashing(plain), compress, hashing(packed), createWriteStream(target));
  const code = await ended;
  if (code !== 0) throw new Failure(`${tarCommand.join(' ')} ended with code ${code}`);
  const { size } = await stat(target);
  const digest = `sha256:${packed.digest('hex')}`;
  return { mediaType: `${OCI}.layer.v1.tar+zstd`, digest, size, diffId: `sha256:${plain.digest('hex')}` };
}

function hashing(hash: Hash): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(undefined, chunk);
    },
  });
}

/** Images share layers. */
async function linkOnce(from: string, to: string): Promise<void> {
  await link(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

function hex(digest: string): string {
  return digest.replace(/^sha256:/, '');
}

function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', 'sha256', hex(digest));
}

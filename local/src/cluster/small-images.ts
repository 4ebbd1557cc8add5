/** Images of a few files from this machine: the program that holds a pod's namespaces, and Node for the tests of the cluster. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { markUsed } from '../build/cache.ts';
import { run } from '../exec.ts';
import { packFolder } from '../build/oci.ts';
import { cachePath } from '../paths.ts';
import { PAUSE_IMAGE } from './node-config.ts';

export const TEST_IMAGE = 'localhost/bss-platform/test-node:0.1.0';

/** Path of the archive with the image whose only file is the statically linked `program`; packed once per program. */
export async function pauseArchive(program: string): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(program))
    .digest('hex');
  const archive = cachePath('images', `pause-${digest.slice(0, 16)}.tar`);
  markUsed(archive);
  if (!existsSync(archive)) await packFiles(PAUSE_IMAGE, { '/pause': program }, ['/pause'], archive);
  return archive;
}

/** Writes an image with Node and the libraries that it is linked to. */
export async function writeTestImage(archive: string): Promise<void> {
  const { stdout } = await run('ldd', [process.execPath]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => [path, path]);
  const files: Record<string, string> = { '/bin/node': process.execPath, ...Object.fromEntries(libraries) };
  await packFiles(TEST_IMAGE, files, ['/bin/node'], archive);
}

/** @param files path in the image -> executable file on this machine */
async function packFiles(
  reference: string,
  files: Readonly<Record<string, string>>,
  command: readonly string[],
  archive: string,
): Promise<void> {
  await mkdir(dirname(archive), { recursive: true });
  const folder = await mkdtemp(`${archive}.files-`);
  try {
    // The image's root folder is this one, and any user may enter that.
    await chmod(folder, 0o755);
    for (const [path, source] of Object.entries(files)) {
      await mkdir(join(folder, dirname(path)), { recursive: true });
      await copyFile(source, join(folder, path));
      await chmod(join(folder, path), 0o755);
    }
    await packFolder(folder, [{ refs: [reference], settings: { Cmd: command, User: '65535:65535' } }], archive);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

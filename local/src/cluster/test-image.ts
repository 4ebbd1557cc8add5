/** For tests of the cluster itself: an image that holds Node and the libraries that it is linked to, taken from this machine. */
import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { run } from '../exec.ts';
import { imageArchive } from './image-archive.ts';

export const TEST_IMAGE = 'localhost/bss-platform/test-node:0.1.0';

/** @param archive where the image is written */
export async function writeTestImage(archive: string): Promise<void> {
  const { stdout } = await run('ldd', [process.execPath]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? '');
  const sources = [['bin/node', process.execPath] as const, ...libraries.map((path) => [path.slice(1), path] as const)];
  const files = await Promise.all(sources.map(async ([name, path]) => ({ name, content: await readFile(path), mode: 0o755 })));
  await writeFile(archive, imageArchive(TEST_IMAGE, files, ['/bin/node']));
}

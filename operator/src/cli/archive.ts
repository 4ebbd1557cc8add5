/** Text files as a gzipped tar archive. */
import { buffer } from 'node:stream/consumers';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** Content by path; the paths have no leading slash. */
export type Files = ReadonlyMap<string, string>;

/** @param folder the one folder of the archive, which holds all files */
export async function archive(folder: string, files: Files): Promise<Buffer> {
  const entries = pack();
  const compressed = buffer(entries.pipe(createGzip()));
  for (const [path, content] of files) entries.entry({ name: `${folder}/${path}`, mode: 0o600 }, content);
  entries.finalize();
  return compressed;
}

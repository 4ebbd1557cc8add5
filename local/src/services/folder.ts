/** Where servers for tests keep their data and logs. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Failure } from '../failure.ts';

/**
 * A folder for the data of servers, which bears the id of this process: folders of processes that are gone are removed.
 * @throws Failure when not root: namespaces and other users' processes need that
 */
export async function serverFolder(kind: string): Promise<string> {
  if (process.getuid?.() !== 0) {
    throw new Failure('test servers need root: they run in their own namespaces and under their own user ids', {
      tryNext: ['sudo make test'],
    });
  }
  const leftover = (await readdir(tmpdir())).filter((name) => {
    const pid = /^bss-(?:services|api)-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
  await Promise.all(leftover.map((name) => rm(join(tmpdir(), name), { recursive: true, force: true })));
  return mkdtemp(join(tmpdir(), `bss-${kind}-${process.pid}-`));
}

/**
 * Programs that no package registry serves and that nothing here can compile. A folder that BSS_EXTRA_BINARIES names may hold them, as `<name>.xz`.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { run, which } from '../exec.ts';
import { Failure } from '../failure.ts';
import { withLock } from '../lock.ts';
import { cachePath } from '../paths.ts';
import { markUsed } from './cache.ts';
import { contentHash } from './programs.ts';

export const EXTRA_BINARIES = 'BSS_EXTRA_BINARIES';

const EXTRA_PROGRAMS = ['tempo'] as const;
type ExtraProgram = (typeof EXTRA_PROGRAMS)[number];

/** Whether a program of this name can only come from the folder of extra binaries. */
export function isExtra(name: string): name is ExtraProgram {
  return EXTRA_PROGRAMS.some((program) => program === name);
}

/** The compressed program, or the reason why there is none. */
export type Extra = { readonly archive: string } | { readonly missing: string };

/** @param name as `isExtra` accepts it */
export function findExtra(name: ExtraProgram, env: NodeJS.ProcessEnv = process.env): Extra {
  const folder = env[EXTRA_BINARIES] ?? '';
  if (folder === '') return { missing: `no package registry serves ${name}; ${EXTRA_BINARIES} can name a folder with ${name}.xz` };
  const archive = join(folder, `${name}.xz`);
  return existsSync(archive) ? { archive } : { missing: `the folder of ${EXTRA_BINARIES} has no ${name}.xz` };
}

/**
 * Unpacks the program into the cache, unless its content is there already.
 * @returns the path of the program
 * @throws Failure when xz is missing, or the file is no program for this processor
 */
export async function ensureExtra(archive: string): Promise<string> {
  const target = cachePath('programs', contentHash([await readFile(archive)]), basename(archive, '.xz'));
  markUsed(target);
  if (existsSync(target)) return target;
  if (which('xz') === undefined)
    throw new Failure(`${archive} cannot be unpacked: xz is not installed.`, { tryNext: ['apt-get install xz-utils'] });
  await withLock('programs-extra', async () => {
    if (!existsSync(target)) await unpack(archive, target);
  });
  return target;
}

/** The program appears at its path when it is complete and checked. */
async function unpack(archive: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const draft = `${target}.draft`;
  try {
    await run('sh', ['-euc', 'xz --decompress --stdout "$1" > "$2"', 'sh', archive, draft]);
    await checkProcessor(draft, archive);
    await chmod(draft, 0o755);
    await rename(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

/** `e_machine` of an ELF header, by Node's name of the processor. */
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

async function checkProcessor(program: string, archive: string): Promise<void> {
  const file = await open(program);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20);
    const isElf = bytesRead === 20 && buffer.readUInt32BE(0) === 0x7f454c46;
    if (isElf && buffer.readUInt16LE(18) === MACHINES[process.arch]) return;
    throw new Failure(`${archive} does not hold a Linux program for ${process.arch}.`, {
      tryNext: [`put one there, or unset ${EXTRA_BINARIES}`],
    });
  } finally {
    await file.close();
  }
}

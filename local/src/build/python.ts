/** Programs from Python packages, in a virtual environment of the build cache. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../exec.ts';
import { Failure } from '../failure.ts';
import { withLock } from '../lock.ts';
import { cachePath, PROJECT_DIR } from '../paths.ts';
import { markUsed } from './cache.ts';
import { contentHash } from './programs.ts';

/**
 * Absolute path of Schemathesis, installed from `local/python/schemathesis.txt` where the cache does not have it.
 * @throws Failure when there is no Python 3.11 with venv, or a package cannot be fetched
 */
export async function ensureSchemathesis(): Promise<string> {
  const requirements = join(PROJECT_DIR, 'local', 'python', 'schemathesis.txt');
  const { stdout: python } = await run('python3', ['--version']).catch(noPython);
  const folder = cachePath('python', `schemathesis-${contentHash([python, await readFile(requirements)])}`);
  const installed = join(folder, 'installed');
  markUsed(folder);
  if (!existsSync(installed))
    await withLock('python-schemathesis', async () => {
      if (existsSync(installed)) return;
      await install(folder, requirements);
      // A virtual environment cannot be moved: it is built in place, and complete when this file exists.
      await writeFile(installed, '');
    });
  return join(folder, 'bin', 'schemathesis');
}

async function install(folder: string, requirements: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(cachePath('python'), { recursive: true });
  await run('python3', ['-m', 'venv', folder]).catch(noPython);
  const options = ['--quiet', '--disable-pip-version-check', '--require-hashes', '--only-binary', ':all:'];
  await run(join(folder, 'bin', 'pip'), ['install', ...options, '--requirement', requirements]).catch((error: unknown) => {
    throw new Failure('Schemathesis cannot be installed.', {
      log: error instanceof Failure ? error.log : [],
      tryNext: ['check that the package index of Python can be reached (pip config list), then run the same command again'],
      cause: error,
    });
  });
}

function noPython(cause: unknown): never {
  throw new Failure('Python 3.11 or newer with the module venv is needed.', { tryNext: ['apt-get install python3-venv'], cause });
}

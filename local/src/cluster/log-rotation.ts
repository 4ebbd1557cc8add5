/** Keeps the logs of the node's components bounded: each has its newest lines in one file and the ones before them in a second. */
import { copyFile, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

/** A component's two log files together take at most about twice this. */
const LIMIT_BYTES = 32 * 1024 ** 2;
const EVERY_MS = 10_000;
/** The API server rotates this one itself. */
const SELF_ROTATED = 'audit.log';

/**
 * Moves the content of each log that exceeds the limit to `NAME.log.1`, in place of what that held. The components keep their files open and
 * append, so the content is copied and the file cut; lines that a component writes in between are lost.
 * @returns names of the rotated files
 */
export async function rotateLogs(folder: string, limitBytes: number = LIMIT_BYTES): Promise<string[]> {
  const logs = (await readdir(folder)).filter((name) => name.endsWith('.log') && name !== SELF_ROTATED);
  const rotated: string[] = [];
  for (const name of logs) {
    const file = join(folder, name);
    if ((await stat(file)).size <= limitBytes) continue;
    await copyFile(file, `${file}.1`);
    await truncate(file);
    rotated.push(name);
  }
  return rotated;
}

/** Rotates for as long as the process lives. */
export function keepRotating(folder: string): void {
  setInterval(
    () => void rotateLogs(folder).catch((error: unknown) => console.error(`logs are not rotated: ${String(error)}`)),
    EVERY_MS,
  ).unref();
}

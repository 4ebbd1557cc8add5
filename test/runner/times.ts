/** How long each test file took, kept in the cache between runs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cacheDir, cachePath } from '../../local/src/paths.ts';

const FILE = 'test-times.json';

/** Seconds by file; empty before the first run. */
export function readTimes(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(cachePath(FILE), 'utf8')) as Record<string, number>;
  } catch {
    // No run so far, or a file that was cut short: files run in the order of their names.
    return {};
  }
}

/** Replaces the times of the files that ran. The order is a convenience: a cache that cannot be written fails no run. */
export function saveTimes(times: Readonly<Record<string, number>>): void {
  try {
    mkdirSync(cacheDir(), { recursive: true });
    writeFileSync(cachePath(FILE), `${JSON.stringify({ ...readTimes(), ...times }, undefined, 1)}\n`);
  } catch {
    return;
  }
}

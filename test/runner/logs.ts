/** Outputs of test files that failed, kept in the cache until the file passes: a run prints thousands of lines. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { cachePath } from '../../local/src/paths.ts';
import type { FileResult } from './run-file.ts';

const FOLDER = 'test-logs';

/**
 * Keeps the output of a file that failed, and removes what an earlier run kept.
 * @returns where it is; undefined when the file passed, or the cache cannot be written
 */
export function keepOutput({ file, failures, output }: Pick<FileResult, 'file' | 'failures' | 'output'>): string | undefined {
  const path = cachePath(FOLDER, `${file.replaceAll('/', '+')}.log`);
  try {
    rmSync(path, { force: true });
    if (failures.length === 0) return undefined;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, output);
    return path;
  } catch {
    // A convenience: a cache that cannot be written fails no run.
    return undefined;
  }
}

/** Which test files run side by side, in which order, and how long each may take. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FilePlan {
  readonly file: string;
  /** Why the file runs alone; undefined for a file that runs beside others. */
  readonly serial: string | undefined;
}

/** A test file that measures time says so, and why, in a comment line of its own: `// Runs alone: it measures the takeover.` */
const SERIAL = /^(?:\/\/| \*|\/\*\*) ?Runs alone: (.+?)(?: \*\/)?$/m;

/** The reason in a file's source, or undefined. Pure. */
export function serialReason(source: string): string | undefined {
  return SERIAL.exec(source)?.[1];
}

/** Reads the marks of the files. */
export function readPlans(root: string, files: readonly string[]): FilePlan[] {
  return files.map((file) => ({ file, serial: serialReason(readFileSync(join(root, file), 'utf8')) }));
}

/** The files in an order that only the seed decides. Pure. */
export function shuffled(files: readonly string[], seed: string): string[] {
  const rank = (file: string): string => createHash('sha256').update(`${seed} ${file}`).digest('hex');
  return files.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

/**
 * Files for side by side, the slowest of the last run first, so that none of them starts late; then those that run alone.
 * @param lastSeconds how long each took in the last run; a file that is not in it counts as slow
 */
export function order(plans: readonly FilePlan[], lastSeconds: Readonly<Record<string, number>>): { together: string[]; alone: string[] } {
  const slowness = (file: string): number => lastSeconds[file] ?? Number.POSITIVE_INFINITY;
  const together = plans.filter(({ serial }) => serial === undefined).map(({ file }) => file);
  // Two files that are not known compare as NaN: they keep their order.
  together.sort((a, b) => slowness(b) - slowness(a) || 0);
  return { together, alone: plans.filter(({ serial }) => serial !== undefined).map(({ file }) => file) };
}

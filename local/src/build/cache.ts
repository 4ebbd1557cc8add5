/**
 * What the build cache holds and when each entry was last used. Every checkout of this user shares the cache, so an entry goes when no checkout
 * has used it for some days; entries of a running cluster stay.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { lstat, readdir, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import process from 'node:process';
import { cacheDir, cachePath, STATE_ROOT } from '../paths.ts';

const DAY_MS = 86_400_000;

/** Folder of the cache -> how long an entry of it is kept after its last use. An image archive is packed again in seconds, a program is not. */
const KEEP_MS: Readonly<Record<string, number>> = {
  programs: 14 * DAY_MS,
  rootfs: 14 * DAY_MS,
  python: 14 * DAY_MS,
  images: DAY_MS,
  'images/layers': 14 * DAY_MS,
};

/**
 * Records that an entry is in use. A file beside the entries holds the time: the entry itself may be the root of a file system, whose times are
 * packed into images. Call it before the check that the entry exists.
 * @param entry path of the entry, or of a file in it
 */
export function markUsed(entry: string): void {
  const mark = markOf(entry);
  if (mark === undefined) return;
  mkdirSync(dirname(mark), { recursive: true });
  writeFileSync(mark, '');
}

/** `<folder>/<entry>` becomes a file name; undefined for a path that is no entry of the cache. */
function markOf(path: string): string | undefined {
  const parts = relative(cacheDir(), path).split(sep);
  const depth = parts[0] === 'images' && parts[1] === 'layers' ? 3 : 2;
  return parts[0] === '..' || parts.length < depth ? undefined : cachePath('used', parts.slice(0, depth).join('+'));
}

export interface Pruned {
  readonly entry: string;
  /** Days since its last use. */
  readonly days: number;
  readonly bytes: number;
}

/**
 * Removes the entries that nobody has used for so long.
 * @param now epoch milliseconds
 */
export async function pruneCache(now: number = Date.now()): Promise<Pruned[]> {
  const inUse = await entriesOfClusters();
  const pruned: Pruned[] = [];
  for (const [folder, keepMs] of Object.entries(KEEP_MS)) {
    const names = (await readdir(cachePath(folder)).catch(() => [])).filter(
      (name) => !name.startsWith('.') && KEEP_MS[`${folder}/${name}`] === undefined,
    );
    for (const name of names) {
      const path = cachePath(folder, name);
      const idleMs = now - (await lastUse(path));
      if (idleMs <= keepMs || inUse.has(path)) continue;
      const bytes = await sizeOf(path);
      await removeEntry(path);
      pruned.push({ entry: join(folder, name), days: Math.floor(idleMs / DAY_MS), bytes });
    }
  }
  return pruned;
}

/** One line for people; undefined when nothing was removed. */
export function describePruned(pruned: readonly Pruned[]): string | undefined {
  if (pruned.length === 0) return undefined;
  const mib = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
  const lines = pruned.map(({ entry, days, bytes }) => `  ${entry}: not used for ${days} days, ${mib(bytes)}`);
  const total = pruned.reduce((sum, { bytes }) => sum + bytes, 0);
  return `Removed from the build cache (${mib(total)}):\n${lines.join('\n')}`;
}

/** An entry of an older version has no mark: its own change counts. */
async function lastUse(path: string): Promise<number> {
  const mark = await stat(markOf(path) ?? path).catch(() => undefined);
  return Math.max(mark?.mtimeMs ?? 0, (await lstat(path)).ctimeMs);
}

/** Nobody finds a half-removed entry: it loses its name first. */
async function removeEntry(path: string): Promise<void> {
  const trash = join(dirname(path), `.draft-removed-${process.pid}-${basename(path)}`);
  await rename(path, trash);
  await rm(trash, { recursive: true, force: true });
  await rm(markOf(path) ?? '', { force: true });
}

/** Entries that the links of clusters on this machine name. */
async function entriesOfClusters(): Promise<Set<string>> {
  const entries = new Set<string>();
  for (const cluster of await readdir(STATE_ROOT).catch(() => [])) {
    const state = join(STATE_ROOT, cluster);
    const links = (await readdir(join(state, 'bin')).catch(() => [])).map((name) => join(state, 'bin', name));
    for (const link of [...links, join(state, 'pause.tar')]) {
      const target = await readlink(link).catch(() => undefined);
      if (target !== undefined) entries.add(target).add(dirname(target));
    }
  }
  return entries;
}

/** Bytes on disk. */
async function sizeOf(path: string): Promise<number> {
  const { blocks } = await lstat(path);
  const entries = await readdir(path).catch(() => []);
  const sizes = await Promise.all(entries.map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, blocks * 512);
}

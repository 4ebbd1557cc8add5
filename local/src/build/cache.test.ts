import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { cachePath } from '../paths.ts';
import { describePruned, markUsed, pruneCache } from './cache.ts';

const DAY_MS = 86_400_000;
const former = process.env['XDG_CACHE_HOME'];
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-cache-'));
  process.env['XDG_CACHE_HOME'] = folder;
});
after(async () => {
  if (former === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = former;
  await rm(folder, { recursive: true });
});

async function put(...parts: string[]): Promise<string> {
  const path = cachePath(...parts);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'x'.repeat(2 * 1024 ** 2));
  return path;
}

test('an entry that no checkout has used for its time is removed, and the result says what and how much', async () => {
  const program = await put('programs', '0123456789abcdef', 'kubelet');
  const rootfs = await put('rootfs', 'programs-0123456789abcdef', 'usr', 'bin', 'tool');
  const archive = await put('images', 'platform-0123456789abcdef.tar');
  const layer = await put('images', 'layers', 'fedcba9876543210');
  const draft = await put('rootfs', '.draft-programs-1234', 'file');
  const times = await put('test-times.json');
  assert.deepEqual(await pruneCache(Date.now()), []);

  const afterTwoDays = await pruneCache(Date.now() + 2 * DAY_MS);
  assert.deepEqual(
    afterTwoDays.map(({ entry, days }) => ({ entry, days })),
    [{ entry: 'images/platform-0123456789abcdef.tar', days: 2 }],
  );
  assert.equal(existsSync(archive), false);

  const later = await pruneCache(Date.now() + 15 * DAY_MS);
  assert.deepEqual(
    later.map(({ entry }) => entry),
    ['programs/0123456789abcdef', 'rootfs/programs-0123456789abcdef', 'images/layers/fedcba9876543210'],
  );
  assert.deepEqual([program, rootfs, layer, draft, times].map(existsSync), [false, false, false, true, true]);
  assert.match(
    describePruned(later) ?? '',
    /^Removed from the build cache \(6 MiB\):\n {2}programs\/0123456789abcdef: not used for 15 days, 2 MiB\n/,
  );
});

test('an entry that is marked as used stays', async () => {
  // The entry itself does not change when it is used: the time of the mark counts, here one that lies ahead.
  const program = await put('programs', 'aaaaaaaaaaaaaaaa', 'kubelet');
  const unused = await put('programs', 'bbbbbbbbbbbbbbbb', 'kubelet');
  markUsed(program);
  const mark = cachePath('used', 'programs+aaaaaaaaaaaaaaaa');
  const ahead = new Date(Date.now() + 10 * DAY_MS);
  const { utimes } = await import('node:fs/promises');
  await utimes(mark, ahead, ahead);
  await pruneCache(Date.now() + 15 * DAY_MS);
  assert.deepEqual([program, unused].map(existsSync), [true, false]);
});

test('prints nothing when nothing was removed', () => {
  assert.equal(describePruned([]), undefined);
});

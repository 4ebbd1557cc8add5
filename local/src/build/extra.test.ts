import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { run } from '../exec.ts';
import { ensureExtra, findExtra } from './extra.ts';

let folder: string;
let cacheHome: string | undefined;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-extra-'));
  cacheHome = process.env['XDG_CACHE_HOME'];
  process.env['XDG_CACHE_HOME'] = folder;
});
after(async () => {
  if (cacheHome === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cacheHome;
  await rm(folder, { recursive: true });
});

/** An archive with this content. */
async function compress(name: string, content: Buffer): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  await run('xz', ['--force', '-0', file]);
  return `${file}.xz`;
}

test('names the variable where no folder is given, and the file where the folder lacks it', () => {
  assert.deepEqual(findExtra('tempo', {}), {
    missing: 'no package registry serves tempo; BSS_EXTRA_BINARIES can name a folder with tempo.xz',
  });
  assert.deepEqual(findExtra('tempo', { BSS_EXTRA_BINARIES: '/nowhere' }), { missing: 'the folder of BSS_EXTRA_BINARIES has no tempo.xz' });
});

test('unpacks a program once for each content and makes it executable', async () => {
  const archive = await compress('tempo', await readFile('/bin/true'));
  assert.deepEqual(findExtra('tempo', { BSS_EXTRA_BINARIES: folder }), { archive });
  const program = await ensureExtra(archive);
  await run(program, []);
  const copy = join(folder, 'copy', 'tempo.xz');
  await run('mkdir', ['-p', join(folder, 'copy')]);
  await copyFile(archive, copy);
  assert.equal(await ensureExtra(copy), program);
  await compress('tempo', await readFile('/bin/false'));
  assert.notEqual(await ensureExtra(archive), program);
});

test('refuses a program of another processor, and a file that is no program', async () => {
  const foreign = await readFile('/bin/true');
  foreign.writeUInt16LE(8, 18);
  const pattern = new RegExp(`does not hold a Linux program for ${process.arch}`);
  await assert.rejects(ensureExtra(await compress('foreign', foreign)), pattern);
  // Nothing is kept of a refused file: the second call refuses it too.
  await assert.rejects(ensureExtra(join(folder, 'foreign.xz')), pattern);
  await assert.rejects(ensureExtra(await compress('text', Buffer.from('#!/bin/sh\nexit 0\n# a script of some length\n'))), pattern);
});

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, test } from 'node:test';
import { keepOutput } from './logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'bss-test-logs-'));
process.env['XDG_CACHE_HOME'] = folder;
after(() => rmSync(folder, { recursive: true }));

test('keeps the output of a file that failed until the file passes', () => {
  const failed = { file: 'a/b.test.ts', failures: ['c: d'], output: 'what it printed' };
  const path = keepOutput(failed) ?? '';
  assert.ok(path.startsWith(folder));
  assert.equal(readFileSync(path, 'utf8'), 'what it printed');
  assert.equal(keepOutput({ ...failed, failures: [] }), undefined);
  assert.equal(existsSync(path), false);
});

test('a cache that cannot be written fails no run', () => {
  process.env['XDG_CACHE_HOME'] = join(folder, 'file');
  writeFileSync(join(folder, 'file'), '');
  assert.equal(keepOutput({ file: 'a.test.ts', failures: ['c: d'], output: '' }), undefined);
});

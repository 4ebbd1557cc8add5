import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { rotateLogs } from './log-rotation.ts';

const LIMIT = 100_000;

test('a log that a process appends to stays bounded, and the newest lines are kept', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bss-logs-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'chatty.log');
  const descriptor = openSync(file, 'a');
  // 1 kB a line; it writes the next hundred lines on each message.
  const script = `let line = 0; process.on('message', () => {
    for (let n = 0; n < 100; n += 1) require('node:fs').writeSync(1, String(line++).padEnd(999, '.') + '\\n');
    process.send(line);
  });`;
  const writer = spawn(process.execPath, ['-e', script], { stdio: ['ignore', descriptor, 'inherit', 'ipc'] });
  closeSync(descriptor);
  t.after(() => writer.kill());

  for (let round = 1; round <= 5; round += 1) {
    const written = once(writer, 'message');
    writer.send('go on');
    await written;
    await rotateLogs(folder, LIMIT / 2);
    assert.ok((await stat(file)).size <= LIMIT / 2, `round ${round}`);
  }
  assert.deepEqual((await readdir(folder)).toSorted(), ['chatty.log', 'chatty.log.1']);
  const kept = await readFile(`${file}.1`, 'utf8');
  assert.ok(kept.length <= LIMIT && !kept.includes('\0'), 'the file that was cut has no hole');
  assert.match(kept, /^499\./m);
});

test('a short log and the audit log, which the API server rotates, are left alone', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bss-logs-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'short.log'), 'one line\n');
  await writeFile(join(folder, 'audit.log'), 'x'.repeat(LIMIT));
  assert.deepEqual(await rotateLogs(folder, LIMIT / 2), []);
});

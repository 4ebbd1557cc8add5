import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runFile, type FileResult } from './run-file.ts';

const MINUTE = 60_000;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-run-file-'));
});
after(() => rm(folder, { recursive: true }));

/** Runs a test file with this text. */
async function runText(text: string, limitMs = MINUTE): Promise<FileResult> {
  const file = 'some.test.mjs';
  await writeFile(join(folder, file), `import assert from 'node:assert/strict';\nimport { describe, test } from 'node:test';\n${text}`);
  return runFile(file, { cwd: folder, limitMs });
}

test('counts passed, failed and skipped tests, and not the suites that hold them', async () => {
  const { passed, failures, skipped, output } = await runText(`
    describe('a suite', () => {
      test('works', () => console.log('one line of output'));
      test('breaks', () => { throw new Error('on purpose'); });
      test('compares', () => assert.equal(503, 404));
      test('waits for a later version', { skip: 'not there yet' }, () => {});
      test('to do', { todo: true }, () => {});
    });`);
  assert.deepEqual(
    { passed, failures, skipped },
    {
      passed: 1,
      failures: ['breaks: on purpose', 'compares: Expected values to be strictly equal: 503 !== 404'],
      skipped: ['waits for a later version (not there yet)', 'to do'],
    },
  );
  assert.match(output, /one line of output/);
});

test('a test that hangs fails with its name and its last output', async () => {
  const { passed, failures } = await runText(
    `test('ends', () => {});
     test('outer', async (t) => t.test('waits for ever', () => { console.log('about to wait'); return new Promise(() => setInterval(() => {}, 1000)); }));`,
    3_000,
  );
  assert.equal(passed, 1);
  assert.equal(failures.length, 1);
  assert.match(failures[0] ?? '', /exceeded its limit of 3 s; running: outer > waits for ever\n[^]*\| about to wait/);
});

test('a file whose tests end and whose process does not is a failure', async () => {
  const { passed, failures } = await runText(`test('ends', () => {}); setInterval(() => {}, 1000);`, 3_000);
  assert.equal(passed, 1);
  assert.match(failures.join(), /no test was running: something keeps the process alive/);
});

test('children of a file end with it', async () => {
  const { output } = await runText(`
    import { spawn } from 'node:child_process';
    test('leaves a child behind', () => {
      const child = spawn('sleep', ['1000'], { stdio: 'inherit' });
      child.unref();
      console.log('child', child.pid);
    });`);
  const pid = Number(/child (\d+)/.exec(output)?.[1]);
  const deadline = Date.now() + MINUTE;
  while (isAlive(pid)) {
    assert.ok(Date.now() < deadline, `process ${pid} is alive`);
    await delay(20);
  }
});

test('no file starts after all were ended', async () => {
  await writeFile(join(folder, 'late.test.mjs'), `console.log('started');`);
  const script = `
    import { killAll, runFile } from ${JSON.stringify(new URL('run-file.ts', import.meta.url).href)};
    killAll();
    await runFile('late.test.mjs', { cwd: ${JSON.stringify(folder)}, limitMs: ${MINUTE}, live: true });`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  // Node's code for a promise at the top level that does not settle.
  assert.deepEqual([status, stdout], [13, '']);
});

for (const [what, text, expected] of [
  ['that cannot be loaded', `import './absent.mjs';`, /the process ended with code 1[^]*absent\.mjs/],
  ['that exits by itself', `process.exit(3);`, /the process ended with code 3/],
  ['without tests', ``, /the file has no tests/],
] as const) {
  test(`a file ${what} is a failure`, async () => {
    const { passed, failures } = await runText(text);
    assert.equal(passed, 0);
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? '', expected);
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

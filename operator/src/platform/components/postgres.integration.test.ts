/** The scripts of the Postgres pod with a real PostgreSQL, in a root file system as a container has it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ensureRootfs, POSTGRES_UID } from '../../../../local/src/build/rootfs.ts';
import { insideCommand } from '../../../../local/src/services/process.ts';
import { INIT_SCRIPT, RUN_SCRIPT } from './postgres.ts';

let root: string;
let data: string;

/** The container's mounts; here they are folders below /data. */
function moved(script: string): string {
  return script.replaceAll('/etc/postgresql/', '/data/config/').replaceAll('/secrets/', '/data/config/');
}

before(
  async () => {
    root = await ensureRootfs();
    data = await mkdtemp(join(tmpdir(), 'postgres-'));
    await mkdir(join(data, 'config'));
    const files = { 'run.sh': moved(RUN_SCRIPT), 'init.sh': moved(INIT_SCRIPT), 'postgres-password': 'secret' };
    for (const [name, text] of Object.entries(files)) await writeFile(join(data, 'config', name), text);
    await chown(data, POSTGRES_UID, POSTGRES_UID);
  },
  { timeout: 900_000 },
);

after(async () => {
  if (data) await rm(data, { recursive: true });
});

/** Runs a script of the pod with nothing but the system's folders in PATH; never rejects. */
function run(script: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const path = 'PATH=/usr/local/bin:/usr/bin:/bin';
  const [program = '', ...rest] = insideCommand({ root, data, uid: POSTGRES_UID }, ['env', path, 'sh', `/data/config/${script}`, ...args]);
  return new Promise((resolve) => {
    execFile(program, rest, (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), text: `${stdout}${stderr}` }));
  });
}

const version = () => readFile(join(data, 'pgdata', 'PG_VERSION'), 'utf8');

test('finds the programs of the server outside PATH', async () => {
  const { code, text } = await run('run.sh', 'postgres', '--version');
  assert.match(text, /^postgres \(PostgreSQL\) \d+/);
  assert.equal(code, 0);
  assert.equal((await run('run.sh', 'pg_isready', '-q', '-h', '/tmp')).code, 2, 'no response: the exit code is that of the program');
});

test('creates the database once', async () => {
  const first = await run('init.sh');
  assert.equal(first.code, 0, first.text);
  assert.match(await version(), /^\d+\n$/);
  await writeFile(join(data, 'pgdata', 'mark'), '');
  assert.deepEqual(await run('init.sh'), { code: 0, text: '' });
  await readFile(join(data, 'pgdata', 'mark'));
});

test('refuses a database of another major version, and says what to do', async () => {
  const major = (await version()).trim();
  await writeFile(join(data, 'pgdata', 'PG_VERSION'), '9\n');
  const { code, text } = await run('init.sh');
  assert.equal(code, 78);
  assert.equal(
    text.trim(),
    `the volume has a database of PostgreSQL 9, and the image is PostgreSQL ${major}: set spec.images.postgres to an image of 9, and move the data by dump and restore`,
  );
  assert.equal(await version(), '9\n', 'nothing is changed');
});

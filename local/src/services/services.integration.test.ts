/** The servers for tests are themselves tested: that they answer, survive what is done to them, and leave nothing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ensurePrograms } from '../build/programs.ts';
import { run } from '../exec.ts';
import { ensureRootfs, NONROOT_UID } from '../build/rootfs.ts';
import { insideCommand } from './process.ts';
import { startApiServer, startServices, type ApiServer, type PostgresService, type ServiceSet } from './index.ts';

/** Runs a program of the fat root file system and returns what it prints. */
async function inside(...command: string[]): Promise<string> {
  const root = await ensureRootfs();
  const { stdout } = await run(...programIn(root, command));
  return stdout.trim();
}

function programIn(root: string, command: readonly string[]): [string, string[]] {
  const [program = '', ...args] = insideCommand({ root, data: tmpdir(), uid: NONROOT_UID }, command);
  return [program, args];
}

function query(server: PostgresService, sql: string): Promise<string> {
  return inside('psql', '-XAtq', '--dbname', server.url(), '--command', sql);
}

/** One command on a new connection; rejects when there is no answer within the limit. */
function redis(url: string, command: string, limitMs = 5000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(`${command}\r\n`));
    socket.setTimeout(limitMs, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('data', (answer: Buffer) => {
      socket.destroy();
      resolve(answer.toString().trim());
    });
  });
}

async function until(what: string, holds: () => Promise<boolean> | boolean, limitMs = 10_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await delay(50);
  }
}

describe('stores', () => {
  let services: ServiceSet & { stop(): Promise<void> };
  before(async () => {
    services = await startServices({ kafka: true, postgres: true, pgbouncer: true, redis: true }, { own: true });
  });
  after(() => services.stop());

  test('PgBouncer passes every Postgres role through, in transaction mode', async () => {
    await query(services.postgres, `create role teller login password 'counting'`);
    const url = services.pgbouncer.url().replace(/\/\/[^@]*@/, '//teller:counting@');
    assert.equal(await inside('psql', '-XAtq', '--dbname', url, '--command', 'select current_user'), 'teller');
    const mode = await inside('psql', '-XAtq', '--dbname', services.pgbouncer.url('pgbouncer'), '--command', 'show config');
    assert.match(mode, /^pool_mode\|transaction/m);
  });

  test('Postgres keeps committed rows and its port over a crash', async () => {
    await query(services.postgres, 'create table kept as select 42 as answer');
    await services.postgres.kill();
    await assert.rejects(query(services.postgres, 'select 1'));
    await services.postgres.start();
    assert.equal(await query(services.postgres, 'select answer from kept'), '42');
  });

  test('a frozen Redis does not answer, a thawed one does', async () => {
    services.redis.freeze();
    await assert.rejects(redis(services.redis.url, 'PING', 300), /no answer/);
    services.redis.thaw();
    assert.equal(await redis(services.redis.url, 'PING'), '+PONG');
  });

  test('Kafka serves on the same port after a restart', async () => {
    await services.kafka.restart();
    const [broker = ''] = services.kafka.brokers;
    const socket = connect({ host: '127.0.0.1', port: Number(broker.split(':')[1]) });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve()).once('error', reject);
    });
    socket.destroy();
  });
});

test('servers and their data end with a process that is killed', async () => {
  const script = `
    const { startServices } = await import(${JSON.stringify(import.meta.resolve('./index.ts'))});
    const { redis, postgres } = await startServices({ redis: true, postgres: true });
    console.log(JSON.stringify([redis.url, postgres.url()]));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const line = await new Promise<string>((resolve) => child.stdout.once('data', (data: Buffer) => resolve(data.toString())));
  const urls = JSON.parse(line) as string[];
  assert.equal(await redis(urls[0] ?? '', 'PING'), '+PONG');
  child.kill('SIGKILL');
  for (const url of urls) await until(`${url} is gone`, () => redis(url, 'PING', 500).then(() => false, isRefused));
});

function isRefused(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNREFUSED';
}

describe('API server', () => {
  let api: ApiServer;
  let kubectl: (...args: string[]) => Promise<string>;
  before(async () => {
    const programs = await ensurePrograms(['kubectl']);
    api = await startApiServer({ audit: true });
    kubectl = async (...args) => (await run(programs.kubectl, ['--kubeconfig', api.kubeconfigPath, ...args])).stdout.trim();
  });
  after(() => api.stop());

  test('the API server keeps objects over a crash, and logs each request in the audit log', async () => {
    await kubectl('create', 'configmap', 'kept', '--from-literal=answer=42');
    await api.kill();
    await assert.rejects(kubectl('get', 'configmap', 'kept'));
    await api.start();
    assert.equal(await kubectl('get', 'configmap', 'kept', '-o', 'jsonpath={.data.answer}'), '42');
    const lines = (await readFile(api.auditLogPath, 'utf8')).trim().split('\n');
    const events = lines.map((line) => JSON.parse(line) as { verb: string; objectRef?: { resource: string; name: string } });
    const writes = events.filter(({ verb, objectRef }) => verb === 'create' && objectRef?.name === 'kept');
    assert.equal(writes.length, 1);
  });

  test('RBAC authorizes requests', async () => {
    const answer = await kubectl('auth', 'can-i', 'list', 'secrets', '--as', 'somebody').catch((error: { stdout: string }) =>
      error.stdout.trim(),
    );
    assert.equal(answer, 'no');
  });

  test('a frozen API server does not answer, a thawed one does', async () => {
    api.freeze();
    await assert.rejects(kubectl('get', 'namespaces', '--request-timeout=500ms'));
    api.thaw();
    assert.match(await kubectl('get', 'namespaces', '-o', 'name'), /namespace\/default/);
  });
});

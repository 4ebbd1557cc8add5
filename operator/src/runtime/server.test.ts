import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { describe, test } from 'node:test';
import { Metrics } from './metrics.ts';
import { HealthServer } from './server.ts';
import { Shutdown } from './shutdown.ts';
import { FakeClock, settle } from './testing/fake-clock.ts';
import { quiet } from './testing/harness.ts';

describe('health server', () => {
  test('serves metrics, liveness and readiness', async (t) => {
    const metrics = new Metrics();
    metrics.counter('things_total', 'Things.').inc(3);
    const server = new HealthServer({ metrics, logger: quiet, port: 0, host: '127.0.0.1' });
    let problem: string | undefined = 'caches have not synced';
    server.addReadiness('caches', () => problem);
    const port = await server.start();
    t.after(() => server.stop());
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    assert.match((await get('/metrics')).text, /^things_total 3$/m);
    assert.deepEqual(await get('/livez'), { status: 200, text: 'ok\n' });
    assert.deepEqual(await get('/readyz?verbose'), { status: 503, text: '[-] caches: caches have not synced\nnot ok\n' });
    problem = undefined;
    assert.equal((await get('/readyz')).status, 200);
    assert.equal((await get('/')).status, 404);
  });

  test('serves JSON pages', async (t) => {
    const server = new HealthServer({ metrics: new Metrics(), logger: quiet, port: 0, host: '127.0.0.1' });
    const port = await server.start();
    t.after(() => server.stop());
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    assert.equal((await get('/things/a')).status, 404, 'before there is a page');
    server.addPage('things', ([name]) => (name === 'a' ? { name } : undefined));
    const found = await get('/things/a?x=1');
    assert.equal(found.headers.get('content-type'), 'application/json');
    assert.deepEqual(await found.json(), { name: 'a' });
    assert.equal((await get('/things/b')).status, 404);
  });

  test('fails when the port is in use', async (t) => {
    const first = new HealthServer({ metrics: new Metrics(), logger: quiet, port: 0, host: '127.0.0.1' });
    const port = await first.start();
    t.after(() => first.stop());
    await assert.rejects(new HealthServer({ metrics: new Metrics(), logger: quiet, port, host: '127.0.0.1' }).start(), {
      code: 'EADDRINUSE',
    });
  });
});

describe('metrics', () => {
  test('rejects a second type for a metric name', () => {
    const metrics = new Metrics();
    assert.equal(metrics.counter('a_total', 'A.'), metrics.counter('a_total', 'A.'));
    assert.throws(() => metrics.gauge('a_total', 'A.'), /already registered with another type/);
  });
});

function buildShutdown() {
  const clock = new FakeClock();
  const codes: number[] = [];
  return { clock, codes, shutdown: new Shutdown({ logger: quiet, clock, timeoutMs: 1_000, exit: (code) => codes.push(code) }) };
}

describe('shutdown', () => {
  test('closes in reverse order, and continues after a failing closer', async () => {
    const { shutdown, codes } = buildShutdown();
    const closed: string[] = [];
    shutdown.add('server', () => void closed.push('server'));
    shutdown.add('broken', () => {
      throw new Error('broken');
    });
    shutdown.add('controller', async () => void closed.push('controller'));
    await shutdown.begin('test');
    assert.deepEqual(closed, ['controller', 'server']);
    assert.deepEqual(codes, [0]);
    assert.equal(shutdown.started, true);
  });

  test('exits after the timeout when a closer hangs', async () => {
    const { shutdown, codes, clock } = buildShutdown();
    shutdown.add('hangs', () => new Promise(() => undefined));
    const ended = shutdown.begin('test');
    await settle();
    await clock.advance(1_000);
    await ended;
    assert.deepEqual(codes, [1]);
  });

  test('runs only once', async () => {
    const { shutdown, codes } = buildShutdown();
    await Promise.all([shutdown.begin('one', 3), shutdown.begin('two')]);
    assert.deepEqual(codes, [3]);
  });

  for (const [what, reason] of [
    [`Promise.reject(new Error('nobody waits'))`, 'unhandled rejection'],
    [`setTimeout(() => { throw new Error('nobody waits'); })`, 'uncaught exception'],
  ] as const) {
    test(`logs an ${reason} as JSON, closes, and exits with code 1`, () => {
      const script = `
        import { createLogger } from ${JSON.stringify(new URL('logger.ts', import.meta.url).href)};
        import { Shutdown } from ${JSON.stringify(new URL('shutdown.ts', import.meta.url).href)};
        const logger = createLogger();
        const shutdown = new Shutdown({ logger });
        shutdown.listen();
        shutdown.add('lease', () => logger.info({}, 'released'));
        ${what};`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { msg: string; error?: { message: string } });
      // In any order: what the process still writes when it exits can overtake a write in progress.
      const messages = lines.map(({ msg }) => msg).toSorted();
      assert.deepEqual([status, stderr, messages], [1, '', [reason, 'shutting down', 'released'].toSorted()]);
      assert.equal(lines.find(({ msg }) => msg === reason)?.error?.message, 'nobody waits');
    });
  }
});

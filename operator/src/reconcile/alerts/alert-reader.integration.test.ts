/** Reads of a real Prometheus and a real Alertmanager, and of servers that do not answer as they should. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test, type TestContext } from 'node:test';
import { systemClock } from '../../runtime/index.ts';
import { quiet, until } from '../../runtime/testing/harness.ts';
import { Monitoring, WATCHDOG } from '../testing/monitoring.ts';
import { AlertReader, type AlertSources } from './alert-reader.ts';
import type { AlertStatus } from './alert-status.ts';

const LIMIT_MS = 60_000;
const REDIS = { name: 'RedisDown', severity: 'critical' } as const;
const LAG = { name: 'LagHigh', severity: 'warning' } as const;
const KAFKA = { name: 'KafkaDown', severity: 'critical', pending: true } as const;

let monitoring: Monitoring;

before(
  async () => {
    monitoring = await Monitoring.start([REDIS, LAG, KAFKA]);
  },
  { timeout: 600_000 },
);
after(() => monitoring?.stop());

/** Reads platforms every 100 ms, and counts the reports of changes. */
function reading(t: TestContext, platforms: Record<string, AlertSources>) {
  const changes = new Map<string, number>();
  const reader = new AlertReader({
    clock: systemClock,
    logger: quiet,
    onChange: (key) => changes.set(key, (changes.get(key) ?? 0) + 1),
    intervalMs: 100,
    timeoutMs: 300,
  });
  t.after(() => reader.stop());
  for (const [key, sources] of Object.entries(platforms)) reader.watch(key, sources);
  const shows = (key: string, is: (status: AlertStatus) => boolean) =>
    until(`the alerts of ${key}`, LIMIT_MS, () => {
      const status = reader.seen(key);
      return status !== undefined && is(status) && status;
    });
  return { reader, changes, shows };
}

/** A server that answers every request in the same way. */
async function serving(t: TestContext, answer: (response: ServerResponse) => void): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((_request, response) => {
    requests += 1;
    answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests };
}

void test('reads what fires, leaves out what is pending or inhibited, and follows the end of an alert', async (t) => {
  await monitoring.choose(WATCHDOG, REDIS, LAG, KAFKA);
  const { shows, changes } = reading(t, { 'n/a': monitoring.urls });
  const { firing, ...rest } = await shows('n/a', ({ critical, muted }) => critical === 1 && muted === 1);
  assert.deepEqual({ ...rest, lastRead: '' }, { summary: '1 critical', critical: 1, warning: 0, muted: 1, lastRead: '' });
  const alert = { name: 'RedisDown', severity: 'critical', summary: 'RedisDown summary', runbook: 'docs/runbooks/RedisDown.md' };
  const since = firing[0]?.since ?? '';
  assert.deepEqual(firing, [{ ...alert, since }]);
  assert.ok(Date.parse(since) <= Date.now() && Date.parse(since) > Date.now() - LIMIT_MS, since);
  await monitoring.choose(WATCHDOG);
  const { lastRead } = await shows('n/a', ({ summary }) => summary === 'none');
  const reported = changes.get('n/a');
  await shows('n/a', (status) => status.lastRead !== lastRead);
  assert.equal(changes.get('n/a'), reported, 'a read without news reports nothing');
});

void test('says that Watchdog does not fire, and that it does again', async (t) => {
  await monitoring.choose();
  const { shows } = reading(t, { 'n/a': monitoring.urls });
  assert.match((await shows('n/a', ({ summary }) => summary === 'unknown')).message ?? '', /^Watchdog does not fire/);
  await monitoring.choose(WATCHDOG);
  assert.equal((await shows('n/a', ({ summary }) => summary === 'none')).message, undefined);
});

void test('a frozen Prometheus makes the alerts of its platform unknown, and of no other', async (t) => {
  await monitoring.choose(WATCHDOG, REDIS);
  const watchdog = {
    labels: { alertname: 'Watchdog' },
    annotations: {},
    state: 'firing',
    activeAt: '2026-01-01T00:00:00Z',
    value: '1e+00',
  };
  const other = await serving(t, (response) => response.end(JSON.stringify({ status: 'success', data: { alerts: [watchdog] } })));
  const { shows, changes } = reading(t, { 'n/a': monitoring.urls, 'n/b': { prometheus: other.url, alertmanager: undefined } });
  const { lastRead } = await shows('n/a', ({ critical }) => critical === 1);
  await shows('n/b', ({ summary }) => summary === 'none');
  monitoring.prometheus.freeze();
  t.after(() => monitoring.prometheus.thaw());
  const unknown = await shows('n/a', ({ summary }) => summary === 'unknown');
  assert.match(unknown.message ?? '', /^Prometheus does not answer/);
  assert.ok(Date.parse(unknown.lastRead ?? '') >= Date.parse(lastRead ?? ''));
  const earlier = other.requests();
  await until('the other platform to be read on', LIMIT_MS, () => other.requests() > earlier + 3);
  assert.equal(changes.get('n/b'), 1);
  monitoring.prometheus.thaw();
  assert.equal((await shows('n/a', ({ critical }) => critical === 1)).message, undefined);
});

void test('shows every alert while Alertmanager is down, and that nobody is notified', async (t) => {
  await monitoring.choose(WATCHDOG, REDIS, LAG);
  const { shows } = reading(t, { 'n/a': monitoring.urls });
  await shows('n/a', ({ muted }) => muted === 1);
  await monitoring.alertmanager.stop();
  const status = await shows('n/a', ({ message }) => message !== undefined);
  assert.deepEqual([status.summary, status.muted], ['1 critical, 1 warning', 0]);
  assert.match(status.message ?? '', /^Alertmanager does not answer the operator: nobody is notified/);
  await monitoring.alertmanager.start();
  await shows('n/a', ({ muted, message }) => muted === 1 && message === undefined);
});

const WRONG: Record<string, (response: ServerResponse) => void> = {
  'an error': (response) => response.writeHead(503).end('starting'),
  'a redirect': (response) => response.writeHead(302, { location: `${monitoring.urls.prometheus}/api/v1/alerts` }).end(),
  'no JSON': (response) => response.end('<html>'),
  'another JSON': (response) => response.end('{"status":"success","data":{}}'),
  'an endless answer': (response) => {
    const more = (error?: Error | null): void => void (error ?? response.write(' '.repeat(1024 ** 2), more));
    more();
  },
};

for (const [name, answer] of Object.entries(WRONG)) {
  void test(`counts ${name} as no answer`, async (t) => {
    const { url } = await serving(t, answer);
    const { shows } = reading(t, { 'n/a': { prometheus: url, alertmanager: undefined } });
    assert.match((await shows('n/a', () => true)).message ?? '', /^Prometheus does not answer/);
  });
}

void test('reads no more after a platform is removed, and may watch it again', async (t) => {
  const server = await serving(t, (response) => response.end('{}'));
  const sources = { prometheus: server.url, alertmanager: undefined };
  const { reader } = reading(t, { 'n/a': sources, 'n/b': sources });
  await until('a read', LIMIT_MS, () => server.requests() > 4);
  reader.remove('n/a');
  reader.remove('n/b');
  assert.equal(reader.seen('n/a'), undefined);
  assert.equal(reader.watch('n/a', sources), undefined, 'nothing is known any more');
  const earlier = server.requests();
  await until('a read', LIMIT_MS, () => server.requests() > earlier + 3);
});

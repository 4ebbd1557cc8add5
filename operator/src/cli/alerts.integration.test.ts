/** From a real Prometheus to what a user sees: status, `kubectl get bss`, `bss status` and `bss doctor`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import type { BssPlatformStatus } from '../api/index.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from '../reconcile/testing/cluster.ts';
import { Monitoring, WATCHDOG } from '../reconcile/testing/monitoring.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const run = promisify(execFile);
const REDIS = { name: 'RedisDown', severity: 'critical' } as const;
const LAG = { name: 'LagHigh', severity: 'warning' } as const;
/** Without consumer groups: their pods exist in the API alone, so nobody joins them, and the operator reports that a minute later. */
const SPEC = {
  prometheus: { enabled: true, alerts: { runbooks: 'docs/runbooks/' } },
  workloads: { interest: { enabled: false }, readModel: { enabled: false } },
};

let monitoring: Monitoring;
let proxy: Server;
/** Requests for the alerts of the platform `alerts/a` so far. */
let reads = 0;
let cluster: Cluster;
let platform: TestPlatform;
/** The platform whose Prometheus does not exist. */
let blind: TestPlatform;
const forwarders: TcpServer[] = [];

before(
  async () => {
    monitoring = await Monitoring.start([], [{ job_name: 'gone', static_configs: [{ targets: ['127.0.0.1:1'] }] }]);
    proxy = await clusterNetwork();
    const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    cluster = await Cluster.start({ environment: { NODE_USE_ENV_PROXY: '1', ...proxyVariables(address, '127.0.0.1,localhost') } });
    [platform, blind] = await Promise.all([cluster.platform('alerts', SPEC), cluster.platform('blind', SPEC)]);
    await Promise.all([platform.ready(), blind.ready()]);
  },
  { timeout: 600_000 },
);
after(async () => {
  await cluster?.stop();
  await monitoring?.stop();
  proxy?.close();
  for (const forwarder of forwarders) forwarder.close();
});

/** Lower case too: it takes precedence, and the machine may have a proxy of its own. */
function proxyVariables(address: string, except: string): Record<string, string> {
  return { HTTP_PROXY: address, http_proxy: address, NO_PROXY: except, no_proxy: except };
}

/** The operator runs outside the cluster's network: this proxy knows the Services of the platform `alerts/a` alone. */
async function clusterNetwork(): Promise<Server> {
  const routes = new Map([
    ['a-prometheus.alerts.svc:9090', monitoring.urls.prometheus],
    ['a-alertmanager.alerts.svc:9093', monitoring.urls.alertmanager],
  ]);
  const server = createServer((incoming, response) => {
    const { host, pathname, search } = new URL(incoming.url ?? '');
    const target = routes.get(host);
    if (target === undefined) return void response.writeHead(502).end();
    if (pathname === '/api/v1/alerts') reads += 1;
    request(`${target}${pathname}${search}`, (answer) => answer.pipe(response.writeHead(answer.statusCode ?? 502)))
      .on('error', () => response.destroy())
      .end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

type Alerts = NonNullable<BssPlatformStatus['alerts']>;

function shown(of: TestPlatform, is: (alerts: Alerts) => boolean): Promise<Alerts> {
  return until(`the alerts of ${of.namespace}`, LIMIT_MS, async () => {
    const { alerts } = await of.status();
    return alerts !== undefined && is(alerts) && alerts;
  });
}

async function bss(...args: string[]): Promise<{ code: number; output: string }> {
  const env = { ...process.env, KUBECONFIG: cluster.api.kubeconfigPath };
  return run(process.execPath, [MAIN, ...args], { env }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (error: { code: number; stdout: string }) => ({ code: error.code, output: error.stdout }),
  );
}

/** The column of `kubectl get bss`. */
async function column(name: string): Promise<string> {
  const { kubectl } = await ensurePrograms(['kubectl']);
  const { stdout } = await run(kubectl, ['get', 'bss', 'a', '-n', 'alerts'], {
    env: { ...process.env, KUBECONFIG: cluster.api.kubeconfigPath },
  });
  const [head = '', row = ''] = stdout.split('\n');
  const [start, width] = [head.indexOf(name), /^\S+\s*/.exec(head.slice(head.indexOf(name)))?.[0].length];
  return row.slice(start, start + (width ?? 0)).trim();
}

void test('shows what fires until it ends, without a change of Ready, and writes status for changes alone', async () => {
  await shown(platform, ({ summary }) => summary === 'none');
  await monitoring.choose(WATCHDOG, REDIS, LAG);
  const { firing } = await shown(platform, ({ critical, muted }) => critical === 1 && muted === 1);
  assert.deepEqual(
    firing.map(({ name, runbook }) => [name, runbook]),
    [['RedisDown', 'docs/runbooks/RedisDown.md']],
  );
  assert.equal(await column('ALERTS'), '1 critical');
  const { output } = await bss('status', 'a', '-n', 'alerts');
  assert.match(
    output,
    /alerts: 1 critical\n.*critical {2}RedisDown {2}since \S+Z {2}RedisDown summary {2}docs\/runbooks\/RedisDown\.md\n.*1 silenced/,
  );
  assert.equal(conditionOf(await platform.status(), 'Ready')?.status, 'True');

  const written = async () => (await cluster.writes()).filter(({ namespace }) => namespace === 'alerts');
  const { lastRead } = await shown(platform, () => true);
  const writes = (await written()).length;
  const earlier = reads;
  // The first two have ended when the third begins.
  await until('two more reads', LIMIT_MS, () => reads >= earlier + 3);
  assert.deepEqual((await written()).slice(writes), []);
  assert.equal((await platform.status()).alerts?.lastRead, lastRead);

  await platform.patch({ spec: { paused: true } });
  await platform.until('Paused', 'True');
  await monitoring.choose(WATCHDOG);
  const { message } = await shown(platform, ({ summary }) => summary === 'none');
  assert.equal(message, undefined);
  assert.equal(await column('ALERTS'), 'none');
  assert.doesNotMatch((await bss('status', 'a', '-n', 'alerts')).output, /alerts:/);
  await platform.patch({ spec: { paused: false } });
});

void test('says which platform has a Prometheus that does not answer, and reconciles it all the same', async () => {
  const { message, summary } = await shown(blind, ({ summary: text }) => text === 'unknown');
  assert.deepEqual([summary, message], ['unknown', 'Prometheus does not answer the operator: which alerts fire is unknown']);
  assert.equal((await platform.status()).alerts?.message, undefined);
  await blind.patch({ spec: { workloads: { gateway: { replicas: 2 } } } });
  await blind.ready();
  const { code, output } = await bss('doctor', 'a', '-n', 'blind');
  assert.equal(code, 1);
  assert.match(
    output,
    /✗ Prometheus does not answer the operator.*\n\s+check its pod, and that network policies admit the operator: kubectl/,
  );
  assert.match(output, /! Alertmanager .*no receiver is set.*\n\s+set spec\.alertmanager\.receivers/);
});

void test('doctor asks Prometheus and Alertmanager through the API server', async () => {
  await Promise.all([endpoint('prometheus', monitoring.urls.prometheus), endpoint('alertmanager', monitoring.urls.alertmanager)]);
  const { output } = await until('the API server to reach them', LIMIT_MS, async () => {
    const answer = await bss('doctor', 'a', '-n', 'alerts');
    return /Alertmanager answers/.test(answer.output) && /Prometheus answers/.test(answer.output) && answer;
  });
  for (const line of [
    /✓ Prometheus answers and ingests: its newest sample is \d+ s old/,
    /✓ Prometheus has loaded 1 alert and evaluates them/,
    /✓ Watchdog fires/,
    /✗ 1 of 1 target down: gone \(.*connection refused.*\)\n\s+check the pods and network policies: kubectl/,
    /! Alertmanager answers, and no receiver is set/,
  ])
    assert.match(output, line);
  await monitoring.choose(REDIS);
  await shown(platform, ({ critical }) => critical === 1);
  const firing = await bss('doctor', 'a', '-n', 'alerts');
  assert.match(firing.output, /✗ RedisDown \(critical\) fires since .*: RedisDown summary\n\s+see docs\/runbooks\/RedisDown\.md/);
  assert.match(firing.output, /✗ Watchdog does not fire/);
});

/** Makes a server of this machine the pod of a Service: the API server refuses loopback addresses as endpoints. */
async function endpoint(component: string, url: string): Promise<void> {
  const address =
    Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '';
  const forwarder = createTcpServer((socket) => {
    const upstream = connect(Number(new URL(url).port), '127.0.0.1');
    for (const one of [socket, upstream]) one.on('error', () => void (socket.destroy(), upstream.destroy()));
    socket.pipe(upstream).pipe(socket);
  }).listen(0, address);
  await once(forwarder, 'listening');
  forwarders.push(forwarder);
  const { port } = forwarder.address() as AddressInfo;
  const pod = { apiVersion: 'v1', kind: 'Pod', name: `a-${component}-0`, namespace: 'alerts' };
  const metadata = { name: pod.name, namespace: pod.namespace };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'x', image: 'x' }] } });
  await cluster.client.patch(pod, { status: { podIP: address, podIPs: [{ ip: address }] } }, { subresource: 'status' });
  // The proxy of the API server reads Endpoints, not EndpointSlices.
  await cluster.client.create({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: `a-${component}`, namespace: pod.namespace },
    subsets: [{ addresses: [{ ip: address, targetRef: { kind: 'Pod', ...metadata } }], ports: [{ name: 'http', port, protocol: 'TCP' }] }],
  });
}

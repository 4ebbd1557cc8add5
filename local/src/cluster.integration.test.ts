/** The local cluster on this machine: pods, volumes, DNS, addresses, two side by side, and nothing left after any kind of end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clusterEnvironment, down, forward, leftovers, loadImage, memory, status, up } from './cluster/index.ts';
import { TEST_IMAGE, writeTestImage } from './cluster/small-images.ts';
import { eventually } from './cluster/wait.ts';
import { run } from './exec.ts';
import { clusterPaths } from './paths.ts';

const FIRST = 'test-first';
const SECOND = 'test-second';
const BROKEN = 'test-broken';
const CLI = fileURLToPath(new URL('cli.ts', import.meta.url));
const LIMIT = { timeout: 180_000 };

let image = '';

async function kubectl(name: string, args: readonly string[], input?: object): Promise<string> {
  const options = { env: clusterEnvironment(name), timeoutMs: 90_000 };
  const { stdout } = await run(join(clusterPaths(name).state, 'bin', 'kubectl'), args, {
    ...options,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });
  return stdout;
}

/** A server that counts its requests in a file on its volume, as an ordinary user under the strictest Pod Security profile. */
const COUNTER = `
const { appendFileSync, statSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  if (request.url !== '/livez') appendFileSync('/data/requests', 'x');
  response.end(JSON.stringify({ requests: statSync('/data/requests', { throwIfNoEntry: false })?.size ?? 0, group: statSync('/data/requests').gid, pod: process.env.HOSTNAME }));
}).listen(8080);
require('node:fs').appendFileSync('/data/requests', '');
console.log('the counter listens');
`;

const POD = {
  securityContext: { runAsNonRoot: true, runAsUser: 999, runAsGroup: 1000, fsGroup: 999, seccompProfile: { type: 'RuntimeDefault' } },
  terminationGracePeriodSeconds: 1,
  volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
  containers: [
    {
      name: 'counter',
      image: TEST_IMAGE,
      command: ['/bin/node', '-e', COUNTER],
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      readinessProbe: { httpGet: { port: 8080, path: '/livez' }, periodSeconds: 1 },
      resources: { requests: { memory: '64Mi' }, limits: { memory: '256Mi' } },
    },
  ],
};

const OBJECTS = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'lab', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } } },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'lab' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'counter', namespace: 'lab' },
    spec: { selector: { app: 'counter' }, ports: [{ port: 80, targetPort: 8080 }] },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'counter', namespace: 'lab' },
    spec: { selector: { matchLabels: { app: 'counter' } }, template: { metadata: { labels: { app: 'counter' } }, spec: POD } },
  },
];

async function deploy(name: string): Promise<void> {
  await loadImage(name, image);
  await kubectl(name, ['apply', '-f', '-'], { apiVersion: 'v1', kind: 'List', items: OBJECTS });
  await kubectl(name, ['wait', '--namespace=lab', 'deployment/counter', '--for=condition=Available', '--timeout=60s']);
}

interface Count {
  readonly requests: number;
  readonly group: number;
  readonly pod: string;
}

async function askCounter(url: string): Promise<Count> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000), headers: { connection: 'close' } });
  const answer: Count = JSON.parse(await response.text());
  return answer;
}

/** kube-proxy learns of a ready pod after the Deployment's status: until then a connection is refused, and no request is counted. */
async function count(name: string): Promise<Count> {
  const { url } = await forward(name, 'counter.lab', 80);
  let answer: Count | undefined;
  await eventually('the counter answers through its Service', 60_000, async () => {
    answer = await askCounter(url).catch(() => undefined);
    return answer !== undefined;
  });
  assert.ok(answer !== undefined);
  return answer;
}

/** Runs JavaScript in the pod and returns what it printed. */
function inPod(name: string, script: string): Promise<string> {
  return kubectl(name, ['exec', '--namespace=lab', 'deployment/counter', '--', '/bin/node', '-e', script]);
}

/** Counters, and limits that the kernel adapts by itself. */
const VOLATILE =
  /\/(dentry-state|inode-nr|inode-state|file-nr|aio-nr|ns_last_pid|pty\/nr|perf_event_max_sample_rate|random\/.*|quota\/.*|hung_task_detect_count|stat_refresh|nf_conntrack_count)$/;

/** Path of each readable setting of the host's kernel -> value. */
async function kernelSettings(): Promise<Record<string, string>> {
  const entries = await readdir('/proc/sys', { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  // Those of network devices come and go with the tests that run beside this one.
  const stable = files.filter((file) => !VOLATILE.test(file) && !/^\/proc\/sys\/net\/ipv[46]\/(conf|neigh)\//.test(file));
  const values = await Promise.all(stable.map((file) => readFile(file, 'utf8').catch(() => 'unreadable')));
  return Object.fromEntries(stable.map((file, index) => [file, values[index] ?? '']));
}

/** One line for each setting of the host's kernel that is no longer what it was. */
async function changedSettings(before: Readonly<Record<string, string>>): Promise<string[]> {
  const now = await kernelSettings();
  const changed = Object.keys(before).filter((file) => now[file] !== undefined && now[file] !== before[file]);
  return changed.map((file) => `${file}: ${before[file]?.trim()} -> ${now[file]?.trim()}`);
}

/** Runs a shell script among the node's processes, as root of the node, and returns what it printed. */
async function onNode(name: string, script: string): Promise<string> {
  const target = String((await status(name))?.initPid);
  return (await run('nsenter', ['--target', target, '--mount', '--pid', 'sh', '-c', script])).stdout;
}

async function nothingLeft(name: string): Promise<void> {
  let found: string[] = [];
  await eventually(`nothing is left of ${name}`, 20_000, async () => {
    found = await leftovers(name);
    return found.length === 0;
  }).catch(() => undefined);
  assert.deepEqual(found, []);
}

/** JavaScript that yields the address of a host, or the code of the error. */
function lookup(host: string): string {
  return `await dns.lookup('${host}').then((found) => found.address, (error) => error.code)`;
}

async function componentOf(name: string, component: string): Promise<[number | undefined, number | undefined]> {
  const found = (await status(name))?.components.find((each) => each.name === component);
  return [found?.pid, found?.restarts];
}

await test('the local cluster', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'bss-cluster-'));
  image = join(folder, 'image.tar');
  t.after(async () => {
    for (const name of [FIRST, SECOND, BROKEN]) await down({ name });
    await rm(folder, { recursive: true, force: true });
  });
  await writeTestImage(image);
  const settingsBefore = await kernelSettings();

  await t.test('starts a cluster; a second start finds it running', LIMIT, async () => {
    assert.equal((await up({ name: FIRST })).started, true);
    assert.equal((await up({ name: FIRST })).started, false);
    const { system = Infinity } = await memory(FIRST);
    assert.ok(system < 1024 ** 3, `the control plane takes ${system} bytes`);
  });

  await t.test("the kubelet leaves the host's kernel settings as they are", LIMIT, async () => {
    assert.deepEqual(await changedSettings(settingsBefore), []);
  });

  await t.test("the node's root cannot change the host's kernel settings or files", LIMIT, async (inner) => {
    const below = await mkdtemp('/mnt/bss-below-');
    const settings = ['kernel/panic', 'vm/swappiness'].map((name) => `/proc/sys/${name}`);
    const values = await Promise.all(settings.map((file) => readFile(file, 'utf8')));
    inner.after(async () => {
      for (const [index, file] of settings.entries()) await writeFile(file, values[index] ?? '');
      await rm(below, { recursive: true });
    });
    const written = await onNode(
      FIRST,
      `for file in ${settings.join(' ')} ${below}/made; do (echo 7 >$file) 2>/dev/null && echo $file; done; true`,
    );
    assert.deepEqual(await Promise.all(settings.map((file) => readFile(file, 'utf8'))), values);
    assert.deepEqual(await readdir(below), []);
    // The node has a file of its own in place of this setting, which the kubelet wants to have another value.
    assert.equal(written.trim(), '/proc/sys/kernel/panic');
  });

  await t.test("no mount of the host's folders is writable for the node", LIMIT, async () => {
    const mounts = (await onNode(FIRST, 'cat /proc/self/mounts')).split('\n').map((line) => line.split(' '));
    const writable = mounts.filter(([, , , options = '']) => options.startsWith('rw')).map(([, point = '']) => point);
    const own = /^\/($|proc|dev|sys|run|var|tmp)/;
    assert.deepEqual(
      writable.filter((point) => !own.test(point)),
      [],
    );
  });

  await t.test('a restricted pod writes to its volume and is reached through its Service, from the host too', LIMIT, async () => {
    await deploy(FIRST);
    const { requests, group } = await count(FIRST);
    assert.equal(requests, 1);
    assert.equal(group, 999, 'the kubelet gives the volume to the fsGroup of the pod');
  });

  await t.test('the logs of pods are where agents on a node look for them', LIMIT, async () => {
    assert.match(await onNode(FIRST, 'cat /var/log/pods/lab_counter-*/counter/*.log'), / stdout F the counter listens$/m);
  });

  await t.test('an address on loopback outlives the pod, and the volume keeps its data', LIMIT, async () => {
    const earlier = await count(FIRST);
    await kubectl(FIRST, ['delete', 'pod', '--namespace=lab', '--selector=app=counter', '--wait=true']);
    await kubectl(FIRST, ['wait', '--namespace=lab', 'deployment/counter', '--for=condition=Available', '--timeout=60s']);
    const later = await count(FIRST);
    assert.notEqual(later.pod, earlier.pod);
    assert.equal(later.requests, earlier.requests + 1);
  });

  await t.test('a pod finds Services by name; names outside do not exist and packets do not leave', LIMIT, async () => {
    const script = `const dns = require('node:dns/promises'); (async () => console.log(JSON.stringify([
    ${lookup('counter')}, ${lookup('counter.lab.svc')}, ${lookup('kubernetes.default.svc')}, ${lookup('example.com')},
    await fetch('http://counter.lab.svc/livez').then((response) => response.status),
    await new Promise((resolve) => require('node:net').connect({ host: '192.0.2.1', port: 80, timeout: 3000 })
      .on('connect', () => resolve('out')).on('error', () => resolve('unreachable')).on('timeout', () => resolve('unreachable'))),
  ])))().finally(() => process.exit())`;
    const found: (string | number)[] = JSON.parse(await inPod(FIRST, script));
    const [short = '', long, api, outside, http, packet] = found;
    assert.match(String(short), /^10\.96\./);
    assert.equal(long, short);
    assert.equal(api, '10.96.0.1');
    assert.equal(outside, 'ENOTFOUND');
    assert.equal(http, 200);
    assert.equal(packet, 'unreachable');
  });

  await t.test('deletes a volume with its claim', LIMIT, async () => {
    const name = (await kubectl(FIRST, ['get', 'persistentvolume', '-o', 'jsonpath={.items[0].metadata.name}'])).trim();
    await kubectl(FIRST, ['delete', '--namespace=lab', 'deployment/counter', 'persistentvolumeclaim/data']);
    await kubectl(FIRST, ['wait', `persistentvolume/${name}`, '--for=delete', '--timeout=30s']);
  });

  await t.test('restarts a component that was killed', LIMIT, async () => {
    const [earlier] = await componentOf(FIRST, 'scheduler');
    // Its process id is that of the node's own process namespace.
    await onNode(FIRST, `kill -KILL ${earlier}`);
    await eventually('the scheduler runs again', 20_000, async () => {
      const [now, restarts] = await componentOf(FIRST, 'scheduler');
      return now !== undefined && now !== earlier && restarts === 1;
    });
  });

  await t.test('two clusters run at the same time; the end of one does not affect the other and leaves nothing', LIMIT, async () => {
    await up({ name: SECOND, audit: true });
    await deploy(SECOND);
    assert.match(await readFile(join(clusterPaths(SECOND).logs, 'audit.log'), 'utf8'), /"resource":"deployments"/);
    const init = (await status(FIRST))?.initPid;
    assert.ok(init !== undefined);
    process.kill(init, 'SIGKILL');
    await nothingLeft(FIRST);
    assert.equal((await count(SECOND)).requests, 1);
  });

  await t.test('the node ends with a killed agent; down removes the rest', LIMIT, async () => {
    const agent = (await status(SECOND))?.agentPid;
    assert.ok(agent !== undefined);
    process.kill(agent, 'SIGKILL');
    await eventually('no process is left', 20_000, async () => (await leftovers(SECOND)).every((line) => !line.startsWith('process')));
    await down({ name: SECOND });
    await nothingLeft(SECOND);
  });

  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    await t.test(`a start that ${signal} ends leaves nothing`, LIMIT, async () => {
      const starting = spawn(process.execPath, [CLI, 'up', '--name', BROKEN], { stdio: 'ignore' });
      const ended = new Promise((resolve) => starting.once('exit', (code, by) => resolve(by ?? code)));
      await eventually(
        'the start has come to the API server',
        120_000,
        async () => (await componentOf(BROKEN, 'apiserver'))[0] !== undefined,
      );
      starting.kill(signal);
      assert.equal(await ended, signal === 'SIGINT' ? 130 : signal);
      await nothingLeft(BROKEN);
    });
  }

  await t.test("after all of that the host's kernel settings are as before", async () => {
    assert.deepEqual(await changedSettings(settingsBefore), []);
  });
});

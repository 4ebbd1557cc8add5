/** The command line as a user calls it, against a real API server with the operator on it. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { Cluster, LIMIT_MS, until, type TestPlatform } from '../reconcile/testing/cluster.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

let cluster: Cluster;
let platform: TestPlatform;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-cli-'));
  cluster = await Cluster.start();
  platform = await cluster.platform('cli', { redis: { enabled: true } });
  await platform.ready();
});
after(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true });
});

interface Answer {
  code: number;
  output: string;
  errors: string;
}

function environment() {
  return { ...process.env, KUBECONFIG: cluster.api.kubeconfigPath };
}

function bss(...args: string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env: environment() }, (error, output, errors) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, output, errors });
    });
  });
}

/** A file with the platform as it is, and these changes of its spec. */
async function changed(changes: Record<string, unknown>, name = 'a'): Promise<string> {
  const { apiVersion, kind, spec } = await platform.get();
  const path = join(folder, 'changed.yaml');
  await writeFile(path, stringify({ apiVersion, kind, metadata: { name, namespace: 'cli' }, spec: { ...(spec as object), ...changes } }));
  return path;
}

void test('plan prints no changes, then a change with its rollout, and writes nothing', async () => {
  const same = await bss('plan', '-f', await changed({}));
  assert.deepEqual([same.code, same.output.trim()], [0, 'BssPlatform cli/a: no changes'], same.errors);

  const earlier = await platform.get();
  const file = await changed({ version: '0.2.0', redis: { enabled: false }, workloads: { gateway: { replicas: 2 } } });
  const { code, output } = await bss('plan', '-f', file);
  assert.equal(code, 2, output);
  for (const line of [
    /^~ Deployment a-ledger {2}restarts: ImageChanged$/m,
    /^\s+\+ {2}replicas: 2$/m,
    /^- Deployment a-redis$/m,
    /^\+ Job a-migrate-/m,
    /^Plan: 1 to create, \d+ to change, [45] to delete\.$/m,
  ])
    assert.match(output, line);
  // One of the values is a letter: which slot is in use.
  const secrets = Object.values(await platform.credentials()).filter((value) => value.length > 1);
  for (const password of secrets) assert.ok(!output.includes(password.trim()), 'no password is shown');
  assert.equal((await platform.get()).metadata.generation, earlier.metadata.generation);
});

void test('applying a change does what its plan printed', async () => {
  const { output } = await bss('plan', '-f', await changed({ workloads: { ledger: { logLevel: 'debug' } } }));
  assert.match(output, /Deployment a-ledger: EnvironmentChanged/);
  await platform.patch({ spec: { workloads: { ledger: { logLevel: 'debug' } } } });
  await platform.event('EnvironmentChanged', /Deployment a-ledger/);
  await platform.ready();
  assert.equal((await bss('plan', '-f', await changed({}))).code, 0);
});

void test('plans a new platform and rejects an invalid one', async () => {
  const fresh = await bss('plan', '-f', await changed({}, 'fresh'));
  assert.equal(fresh.code, 2, fresh.errors);
  assert.match(fresh.output, /^\+ BssPlatform fresh$/m);
  const wrong = await bss('plan', '-f', await changed({ workloads: { interest: { autoscaling: { minReplicas: 5, maxReplicas: 2 } } } }));
  assert.equal(wrong.code, 1);
  assert.match(wrong.errors, /maxReplicas is below minReplicas/);
});

void test('prints status once and follows changes', async () => {
  const { output, code } = await bss('status', 'a', '-n', 'cli');
  assert.equal(code, 0);
  assert.match(output, /^cli\/a {2}Running {2}version 0\.1\.0\n├─ components\n/);
  assert.equal((await bss('status', 'nobody', '-n', 'cli')).code, 1);

  const watch = spawn(process.execPath, [MAIN, 'status', 'a', '-n', 'cli', '--watch'], { env: environment() });
  let seen = '';
  watch.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
  await until('the first tree', LIMIT_MS, () => seen.includes('Running'));
  await platform.patch({ spec: { paused: true } });
  await until('the change to show', LIMIT_MS, () => seen.includes('paused'));
  const exited = once(watch, 'exit');
  watch.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
  await platform.patch({ spec: { paused: false } });
  await platform.ready();
});

void test('waits until the platform is Ready, and reports what is missing meanwhile', async () => {
  const ready = await bss('status', 'a', '-n', 'cli', '--wait');
  assert.equal(ready.code, 0, ready.errors);
  assert.match(ready.output, /^cli\/a {2}Running/);

  cluster.hand.withhold('a-ledger');
  await platform.patch({ spec: { workloads: { ledger: { logLevel: 'warn' } } } });
  const late = await bss('status', 'a', '-n', 'cli', '--wait', '--timeout', '3s');
  assert.equal(late.code, 1);
  assert.match(late.errors, /bss: not Ready after 3 s: cli\/a: .+/);
  const waiting = bss('status', 'a', '-n', 'cli', '--wait', '--timeout', '2m');
  await cluster.hand.release('a-ledger');
  const { code, output, errors } = await waiting;
  assert.equal(code, 0, errors);
  assert.match(output, /^cli\/a {2}Running/);
  assert.match(errors, /^ +\d+ s {2}Ready\n$/m);
  assert.match((await bss('status', 'absent', '-n', 'cli', '--wait')).errors, /^bss: no BssPlatform found/);
});

void test('dump writes platform, objects and events, and no value of a Secret', async () => {
  const secret = { apiVersion: 'v1', kind: 'Secret', name: 'mine', namespace: 'cli' };
  const mine = 'a password of the user';
  const metadata = { name: 'mine', namespace: 'cli', annotations: { note: mine } };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { password: mine } });
  try {
    await platform.patch({
      metadata: { annotations: { 'example.com/note': `leaked: ${mine}` } },
      spec: { redis: { external: { host: 'redis', passwordSecret: { name: 'mine', key: 'password' } } } },
    });
    await platform.ready();
    const file = join(folder, 'dump.tar.gz');
    const { code, output, errors } = await bss('dump', 'a', '-n', 'cli', '-o', file);
    assert.equal(code, 0, errors);
    assert.match(output, /dump\.tar\.gz: \d+ files/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assertDumped(execFileSync('tar', ['-xzOf', file]).toString(), [mine, ...Object.values(await platform.credentials())]);
  } finally {
    await cluster.client.delete(secret);
  }
  assert.match((await bss('dump', 'absent', '-n', 'cli')).errors, /^bss: BssPlatform cli\/absent not found/);
});

function assertDumped(content: string, secrets: string[]): void {
  for (const expected of ['kind: BssPlatform', 'kind: StatefulSet', 'name: a-ledger', 'reason: ', 'leaked: <redacted>', 'holderIdentity'])
    assert.ok(content.includes(expected), expected);
  // One of the values is a letter: which slot is in use.
  for (const secret of secrets.filter((value) => value.length > 1)) {
    assert.ok(!content.includes(secret.trim()), 'a value of a Secret');
    assert.ok(!content.includes(Buffer.from(secret).toString('base64')), 'a value of a Secret in base64');
  }
}

void test('doctor finds problems and names remedies', async () => {
  await platform.patch({
    spec: {
      redis: { enabled: true, external: { host: 'redis', passwordSecret: { name: 'mine', key: 'password' } } },
      prometheus: { enabled: true },
    },
  });
  await platform.ready();
  const { code, output } = await bss('doctor', 'a', '-n', 'cli');
  assert.equal(code, 1);
  assert.match(output, /✗ Secret mine does not exist\n\s+create it with key password/);
  assert.match(output, /✗ volume claims are not bound: .*\n\s+the cluster has no default StorageClass/);
  assert.match(output, /✓ the operator bss-operator-local_\w+ holds the lease/);
  assert.match((await bss('doctor', 'nobody', '-n', 'cli')).output, /✗ BssPlatform cli\/nobody not found/);
  await cluster.platform('cli-other', { paused: true });
  for (const scope of [['-n', 'cli'], ['-A']]) {
    const every = await bss('doctor', ...scope);
    assert.equal(every.code, 1, 'without a name it checks every platform of the scope');
    assert.match(every.output, /BssPlatform cli\/a\n(.*\n)*✗ Secret mine does not exist/);
    assert.equal(every.output.includes('BssPlatform cli-other/a\n'), scope.includes('-A'), every.output);
  }
  const empty = await bss('doctor', '-n', 'default');
  assert.deepEqual(
    [empty.code, /✓ no BssPlatform and no ConsumerAutoscaler in namespace default/.test(empty.output)],
    [0, true],
    empty.output,
  );
});

void test('reports a Secret that the spec names and that is missing, in a condition and an event', async () => {
  const message = 'Secret mine does not exist: create it with key password';
  const missing = await platform.until('SecretsMissing', 'True', 'NotFound');
  assert.equal(missing.conditions?.find(({ type }) => type === 'SecretsMissing')?.message, message);
  await platform.event('SecretsMissing', new RegExp(message));
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mine', namespace: 'cli' } };
  await cluster.client.create({ ...secret, stringData: { other: 'x' } });
  await until('the key to be reported', LIMIT_MS, async () =>
    (await platform.status())?.conditions?.some(
      (condition) => condition.message === 'Secret mine has no key password: add it, or name another key in the spec',
    ),
  );
  await cluster.client.patch({ ...secret, ...secret.metadata }, { stringData: { password: 'x' } });
  await platform.until('SecretsMissing', 'False', 'AllFound');
});

void test('prints one line when the cluster is unreachable', async () => {
  const path = join(folder, 'kubeconfig');
  await writeFile(
    path,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'x', cluster: { server: 'https://127.0.0.1:1' } }],
      users: [],
      contexts: [{ name: 'x', context: { cluster: 'x', user: '' } }],
      'current-context': 'x',
    }),
  );
  const answer = await new Promise<string>((resolve) => {
    execFile(process.execPath, [MAIN, 'status'], { env: { ...process.env, KUBECONFIG: path } }, (_error, _output, errors) =>
      resolve(errors),
    );
  });
  assert.match(answer, /^bss: cannot .*ECONNREFUSED/);
  assert.ok(!answer.includes('    at '), answer);
});

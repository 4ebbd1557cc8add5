/** The Makefile's verbs with stand-ins for docker, kind, kubectl and helm, which record how they are called. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const CRD = 'bssplatforms.bss-platform.io';

/** Answers of the stand-ins; variables of the environment choose among them. */
const STAND_INS: Record<string, string> = {
  docker: `case "$1 $2" in "image inspect") echo "sha256:$IMAGE_CONTENT-$5";; esac`,
  kind: `case "$1 $2" in "get clusters") echo "$KIND_CLUSTERS";; esac`,
  helm: '',
  kubectl: `case "$*" in
    *"config current-context"*) echo prod-eu;;
    *"config view"*) echo https://prod-eu.example.com:6443;;
    *"get crd"*) [ -z "$PLATFORMS" ] || echo '{}';;
    *"get bssplatform -A"*) echo "{\\"items\\": [$PLATFORMS]}";;
  esac`,
};

let folder: string;
let calls: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-target-'));
  calls = join(folder, 'calls');
  for (const [name, answers] of Object.entries(STAND_INS)) {
    await writeFile(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"${calls}"\n${answers}\n`);
    await chmod(join(folder, name), 0o755);
  }
});
after(() => rm(folder, { recursive: true }));
beforeEach(() => writeFile(calls, ''));

interface Result {
  readonly code: number | null;
  readonly output: string;
  /** Command lines of the stand-ins, in order. */
  readonly calls: string[];
}

async function make(verb: string, env: Record<string, string>): Promise<Result> {
  const { CLUSTER: _cluster, NAME: _name, YES: _yes, ...rest } = process.env;
  const child = spawn(process.execPath, [MAIN, verb], {
    env: { ...rest, XDG_CACHE_HOME: folder, ...env, PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output: Buffer.concat(chunks).toString(), calls: (await readFile(calls, 'utf8')).split('\n').filter(Boolean) };
}

const firstLine = ({ output }: Result): string => output.split('\n')[0] ?? '';
const platform = (name: string, namespace: string): string => JSON.stringify({ metadata: { name, namespace } });

test('the first line names the target and the reason for it', async () => {
  const chosen = await make('status', { NAME: 'absent' });
  assert.equal(firstLine(chosen), 'Target: kind cluster absent (Docker and kind are present; CLUSTER=local starts a node without Docker)');
  const given = await make('status', { CLUSTER: 'local', NAME: 'absent' });
  assert.equal(firstLine(given), 'Target: local cluster absent (CLUSTER=local)');
});

test('an unknown CLUSTER is an error that lists the possible values', async () => {
  const { code, output } = await make('status', { CLUSTER: 'minikube' });
  assert.equal(code, 1);
  assert.match(output, /CLUSTER=minikube is unknown[^]*CLUSTER=local[^]*CLUSTER=kind[^]*CLUSTER=current/);
});

for (const cluster of ['local', 'kind']) {
  test(`status and shell start no ${cluster} cluster`, async () => {
    const status = await make('status', { CLUSTER: cluster, NAME: 'absent' });
    assert.equal(status.code, 1);
    assert.match(status.output, new RegExp(`The ${cluster} cluster absent does not run`));
    const shell = await make('shell', { CLUSTER: cluster, NAME: 'absent' });
    assert.equal(shell.code, 1);
    assert.match(shell.output, new RegExp(`make up CLUSTER=${cluster} NAME=absent`));
    assert.deepEqual(
      shell.calls.filter((call) => call !== 'kind get clusters'),
      [],
    );
  });
}

test('an image of other content has another tag, so that its pods are replaced', async () => {
  const tagOf = async (content: string): Promise<string> => {
    await writeFile(calls, '');
    const {
      code,
      calls: made,
      output,
    } = await make('install', { CLUSTER: 'kind', NAME: 'dev', KIND_CLUSTERS: 'dev', IMAGE_CONTENT: content });
    assert.equal(code, 0, output);
    const tag = /image\.tag=(\S+)/.exec(made.find((call) => call.startsWith('helm ')) ?? '')?.[1] ?? '';
    const loaded = made.find((call) => call.startsWith('kind load docker-image')) ?? '';
    for (const image of ['operator', 'workloads']) assert.ok(loaded.includes(`bss-platform/${image}:${tag} `), loaded);
    return tag;
  };
  const first = await tagOf('one');
  assert.match(first, /^0\.1\.0-[0-9a-f]{16}$/);
  assert.equal(await tagOf('one'), first);
  assert.notEqual(await tagOf('two'), first);
});

test('down on the current context names what is deleted and where, and deletes nothing unless it is confirmed', async () => {
  const { code, output, calls: made } = await make('down', { CLUSTER: 'current', PLATFORMS: platform('demo', 'bss') });
  assert.equal(code, 1);
  assert.match(
    output,
    /Delete the platform demo in namespace bss, the release bss-operator in namespace bss-system, the definition bssplatforms\.bss-platform\.io from context "prod-eu" \(https:\/\/prod-eu\.example\.com:6443\)\?/,
  );
  assert.deepEqual(
    made.filter((call) => /delete|uninstall/.test(call)),
    [],
  );
});

test('down on the current context deletes the demo, the operator and the definition, all in the context that was named', async () => {
  const { code, output, calls: made } = await make('down', { CLUSTER: 'current', YES: '1', PLATFORMS: platform('demo', 'bss') });
  assert.equal(code, 0, output);
  assert.deepEqual(
    made.filter((call) => /delete|uninstall/.test(call)),
    [
      'kubectl --context prod-eu delete bssplatform demo -n bss --ignore-not-found --timeout=120s',
      'helm --kube-context prod-eu uninstall bss-operator --namespace bss-system --ignore-not-found',
      `kubectl --context prod-eu delete crd ${CRD} --ignore-not-found`,
    ],
  );
});

test('down on the current context leaves platforms of others, and the operator that serves them', async () => {
  const platforms = [platform('demo', 'bss'), platform('shop', 'bss'), platform('demo', 'sales')].join(',');
  const { code, output, calls: made } = await make('down', { CLUSTER: 'current', YES: '1', PLATFORMS: platforms });
  assert.equal(code, 0, output);
  assert.match(output, /The operator stays: it serves bss\/shop, sales\/demo\./);
  assert.deepEqual(
    made.filter((call) => /delete|uninstall/.test(call)),
    ['kubectl --context prod-eu delete bssplatform demo -n bss --ignore-not-found --timeout=120s'],
  );
});

test('up creates a kind cluster from the checked-in configuration, once', async () => {
  const created = await make('up', { CLUSTER: 'kind', NAME: 'dev' });
  assert.equal(created.code, 0, created.output);
  assert.match(created.calls[1] ?? '', /^kind create cluster --name dev --config \S+\/kind-config\.yaml --wait 120s$/);
  await writeFile(calls, '');
  const running = await make('up', { CLUSTER: 'kind', NAME: 'dev', KIND_CLUSTERS: 'dev' });
  assert.deepEqual([running.code, running.calls], [0, ['kind get clusters']]);
});

test('install on kind works in the context of that cluster only, the definition before the operator', async () => {
  const { code, output, calls: made } = await make('install', { CLUSTER: 'kind', NAME: 'dev', KIND_CLUSTERS: 'dev' });
  assert.equal(code, 0, output);
  const changes = made.filter((call) => /^(kubectl|helm) /.test(call));
  assert.match(changes[0] ?? '', /^kubectl --context kind-dev apply --server-side --force-conflicts -f \S+\/bss-operator\/crds$/);
  assert.match(changes[1] ?? '', /^helm --kube-context kind-dev upgrade --install bss-operator /);
  assert.equal(changes.length, 2);
});

test('down deletes the kind cluster of that name, and no other', async () => {
  const { code, calls: made } = await make('down', { CLUSTER: 'kind', NAME: 'dev', KIND_CLUSTERS: 'dev' });
  assert.deepEqual([code, made], [0, ['kind delete cluster --name dev']]);
});

test('install on the current context changes nothing unless it is confirmed, and then works in the context that was named', async () => {
  const asked = await make('install', { CLUSTER: 'current' });
  assert.equal(asked.code, 1);
  assert.match(asked.output, /Install the operator \(release bss-operator, namespace bss-system\) on context "prod-eu" \(https:\S+\)\?/);
  const changing = /apply|upgrade|delete/;
  assert.deepEqual(
    asked.calls.filter((call) => changing.test(call)),
    [],
  );
  await writeFile(calls, '');
  const confirmed = await make('install', { CLUSTER: 'current', YES: '1' });
  assert.equal(confirmed.code, 0, confirmed.output);
  const changes = confirmed.calls.filter((call) => changing.test(call));
  assert.equal(changes.length, 2, changes.join('\n'));
  for (const change of changes) assert.match(change, /^(kubectl --context|helm --kube-context) prod-eu /);
});

/** The golden manifests on a real API server: valid to the last field, and admitted by Pod Security "restricted". */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { goldenInput, podTemplateOf } from './golden.ts';
import { buildPlatform, POD_SECURITY_LABEL } from './index.ts';
import type { KubernetesObject } from './types.ts';
import { untilEstablished } from '../runtime/testing/harness.ts';

const run = promisify(execFile);
let server: ApiServer;
let program: string;
let folder: string;

const kubectl = (...args: string[]) => run(program, ['--kubeconfig', server.kubeconfigPath, ...args]);

const LABELS = ['enforce', 'warn'].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);

before(
  async () => {
    const [programs, started] = await Promise.all([ensurePrograms(['kubectl']), startApiServer({ own: true })]);
    program = programs.kubectl;
    server = started;
    folder = await mkdtemp(join(tmpdir(), 'manifests-'));
    await kubectl('create', 'priorityclass', 'business', '--value=1000');
    await kubectl('apply', '-f', fileURLToPath(new URL('testdata/httproute-crd.yaml', import.meta.url)));
    await kubectl('apply', '--server-side', '-f', fileURLToPath(new URL('testdata/prometheus-operator', import.meta.url)));
    await untilEstablished(() => kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'));
  },
  { timeout: 900_000 },
);

after(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

/** KEDA's kinds are not served here. */
const known = ({ apiVersion }: KubernetesObject) => !apiVersion.startsWith('keda.sh/');

/** A Pod as the template's controller would make it. */
function podOf(object: KubernetesObject): object | undefined {
  const template = podTemplateOf(object);
  if (!template) return undefined;
  const { name, namespace } = object.metadata;
  const { labels, annotations } = template.metadata ?? {};
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: `${name}-pod`, namespace, labels, annotations }, spec: template.spec };
}

/** What the operator applies in a namespace that enforces the level. */
async function manifestsOf(name: string, namespace = name, podSecurity = 'restricted'): Promise<KubernetesObject[]> {
  const components = buildPlatform({ ...(await goldenInput(name)), namespace, podSecurity });
  return components.flatMap(({ manifests }) => manifests).filter(known);
}

async function apply(file: string, objects: object[], ...options: string[]): Promise<string> {
  const path = join(folder, file);
  await writeFile(path, objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n'));
  const { stderr } = await kubectl('apply', '--server-side', '--validate=strict', '-f', path, ...options);
  return stderr;
}

for (const name of ['small', 'production', 'external', 'interest-only', 'existing-monitoring']) {
  void test(`manifests of ${name} are accepted without a warning`, async () => {
    await kubectl('create', 'namespace', name);
    await kubectl('label', 'namespace', name, ...LABELS);
    assert.equal(await apply(`${name}.yaml`, await manifestsOf(name)), '', 'no warning, Pod Security among them');
  });

  void test(`pods of ${name} are admitted where "restricted" is enforced`, async () => {
    const pods = (await manifestsOf(name)).map(podOf).filter((pod) => pod !== undefined);
    assert.equal(await apply(`${name}-pods.yaml`, pods, '--dry-run=server'), '');
  });
}

const AGENTS = ['demo-log-agent', 'demo-node-exporter'];
const isAgent = ({ metadata }: KubernetesObject) => AGENTS.includes(metadata.name);

void test('the agents on the nodes run where "privileged" is enforced, and no other pod needs it', async () => {
  await kubectl('create', 'namespace', 'agents');
  await kubectl('label', 'namespace', 'agents', `${POD_SECURITY_LABEL}=privileged`, 'pod-security.kubernetes.io/warn=restricted');
  const manifests = await manifestsOf('production', 'agents', 'privileged');
  const agents = manifests.filter((object) => object.kind === 'DaemonSet');
  assert.deepEqual(agents.map(({ metadata }) => metadata.name).toSorted(), AGENTS);
  const others = manifests.filter((object) => !isAgent(object) || object.kind !== 'DaemonSet');
  assert.equal(await apply('others.yaml', others), '', 'no warning about the others');
  assert.match(await apply('agents.yaml', agents), /would violate PodSecurity "restricted:latest".*hostPath/);
  await kubectl('-n', 'agents', 'get', 'daemonset', ...AGENTS);
});

for (const level of ['baseline', 'restricted']) {
  void test(`the agents cannot run where "${level}" is enforced: the operator leaves them out`, async () => {
    const namespace = `agents-${level}`;
    await kubectl('create', 'namespace', namespace);
    await kubectl('label', 'namespace', namespace, `${POD_SECURITY_LABEL}=${level}`);
    const pods = (await manifestsOf('small', namespace, 'privileged')).filter(isAgent).map(podOf);
    for (const pod of pods.filter((one) => one !== undefined)) {
      const refused = apply(`${namespace}.yaml`, [pod], '--dry-run=server');
      await assert.rejects(refused, /violates PodSecurity/);
    }
    assert.ok(!(await manifestsOf('small', namespace, level)).some(isAgent));
  });
}

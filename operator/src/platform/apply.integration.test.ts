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
import { buildPlatform } from './index.ts';
import type { KubernetesObject } from './types.ts';

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
    await kubectl('wait', '--for=condition=Established', 'crd/httproutes.gateway.networking.k8s.io', '--timeout=30s');
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

/** Each in a namespace of its own, where the Pod Security level is enforced. */
async function manifestsOf(name: string): Promise<KubernetesObject[]> {
  const components = buildPlatform({ ...(await goldenInput(name)), namespace: name });
  return components.flatMap(({ manifests }) => manifests).filter(known);
}

async function apply(file: string, objects: object[], ...options: string[]): Promise<string> {
  const path = join(folder, file);
  await writeFile(path, objects.map((object) => stringify(object, { aliasDuplicateObjects: false })).join('---\n'));
  const { stderr } = await kubectl('apply', '--server-side', '--validate=strict', '-f', path, ...options);
  return stderr;
}

for (const name of ['small', 'production', 'external', 'interest-only']) {
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

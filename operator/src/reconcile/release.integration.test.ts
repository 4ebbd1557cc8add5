/**
 * Two builds of the operator: the present one, and one whose tables have a later release. The later build is a copy of the sources with that release
 * added, as the commit of a release adds it, and runs as a process of its own.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { KubernetesObject } from '../runtime/index.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';
import { containerEnvironment, manifests } from './testing/installation.ts';
import { OperatorProcess } from './testing/operator-process.ts';

const OPERATOR = fileURLToPath(new URL('../../', import.meta.url));
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** The release that the later build adds. */
const LATER = '0.2.0';
const IMAGES = { postgres: 'postgres:17.99', redis: 'redis:8.0.99' };

let cluster: Cluster;
let platform: TestPlatform;
let folder: string;
const operators: OperatorProcess[] = [];

before(
  async () => {
    cluster = await Cluster.start({ operator: false });
    folder = await laterBuild();
  },
  { timeout: 900_000 },
);

after(async () => {
  await Promise.all(operators.map((operator) => operator.stop('SIGKILL')));
  await cluster?.stop();
  if (folder) await rm(folder, { recursive: true });
});

async function edit(file: string, pattern: RegExp, replacement: string): Promise<void> {
  const source = await readFile(file, 'utf8');
  assert.match(source, pattern, file);
  await writeFile(file, source.replace(pattern, replacement));
}

/** @returns a folder laid out as the repository, whose operator has one more release */
async function laterBuild(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'later-build-'));
  const build = join(root, 'operator');
  await mkdir(build);
  await cp(join(OPERATOR, 'src'), join(build, 'src'), { recursive: true });
  await cp(join(OPERATOR, 'package.json'), join(build, 'package.json'));
  for (const shared of ['node_modules', 'dashboards']) await symlink(join(ROOT, shared), join(root, shared));
  for (const [name, ref] of Object.entries(IMAGES))
    await edit(join(build, `src/platform/components/${name}.ts`), /(refs: \{ [^}]*'),? \}/, `$1, '${LATER}': '${ref}' }`);
  await edit(join(build, 'src/api/names.ts'), /(PLATFORM_VERSION = )'[\d.]+'/, `$1'${LATER}'`);
  return root;
}

async function run(main?: string): Promise<OperatorProcess> {
  const { kubeconfigPath } = await cluster.logIn();
  const operator = await OperatorProcess.start(kubeconfigPath, containerEnvironment(await manifests()), main);
  operators.push(operator);
  return operator;
}

const RUNNING = ['StatefulSet postgres', 'Deployment redis', 'Deployment pgbouncer', 'Deployment gateway', 'Deployment ledger'];

function object(name: string): Promise<KubernetesObject> {
  const [kind = '', component = ''] = name.split(' ');
  return platform.have(kind, component);
}

async function generations(): Promise<[string, string | undefined, number | undefined][]> {
  const objects = await Promise.all(RUNNING.map(object));
  return objects.map(({ metadata: { name, uid, generation } }) => [name, uid, generation]);
}

async function imageOf(name: string): Promise<string | undefined> {
  const { spec } = (await object(name)) as KubernetesObject & { spec: { template: V1PodTemplateSpec } };
  return spec.template.spec?.containers[0]?.image;
}

const passes = async (operator: OperatorProcess): Promise<number> =>
  Number(/bss_operator_reconcile_duration_seconds_count\{[^}]*\} (\d+)/.exec(await operator.metrics())?.[1] ?? 0);

void test('a later build of the operator changes nothing that runs', { timeout: 600_000 }, async () => {
  const present = await run();
  platform = await cluster.platform('release', { redis: { enabled: true } });
  await platform.ready();
  const [running, jobs] = [await generations(), await platform.migrationJobs()];
  await present.stop();
  const written = (await cluster.writes()).length;

  const later = await run(join(folder, 'operator/src/main.ts'));
  await until('a pass of the later build', LIMIT_MS, async () => (await passes(later)) > 0);
  // A pass that ends after this edit has seen every object: what it wanted to write, it has written.
  await platform.edit('Service', 'ledger', { spec: { ports: [{ name: 'http', port: 8080, targetPort: 1 }] } });
  await until('the later build to enforce a field', LIMIT_MS, async () => {
    const { spec } = (await platform.have('Service', 'ledger')) as KubernetesObject & { spec: { ports: { targetPort: number }[] } };
    return spec.ports[0]?.targetPort === 8080;
  });
  await platform.ready();
  assert.deepEqual(await generations(), running);
  assert.deepEqual(await platform.migrationJobs(), jobs);
  const writes = (await cluster.writes()).slice(written).filter(({ resource }) => resource !== 'bssplatforms');
  assert.deepEqual([...new Set(writes.map(({ resource, name }) => `${resource} ${name}`))], ['services a-ledger']);
});

void test("the platform's version brings the images of its release, in the order of the stages", { timeout: 600_000 }, async () => {
  assert.notEqual(await imageOf('StatefulSet postgres'), IMAGES.postgres);
  await platform.patch({ spec: { version: LATER } });
  await until('the images of the later release', LIMIT_MS, async () => (await imageOf('Deployment redis')) === IMAGES.redis);
  assert.equal(await imageOf('StatefulSet postgres'), IMAGES.postgres);
  await platform.ready();
});

/**
 * The charts by helm itself and a real API server: lint, right and wrong values, what they render, and the plain install manifest, which is
 * what the operator's chart renders (`UPDATE_GOLDEN=1` writes it).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { OPERATOR_PLATFORM } from '../../../dashboards/src/rules/index.ts';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { untilEstablished } from '../runtime/testing/harness.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CHARTS = { operator: `${ROOT}charts/bss-operator`, platform: `${ROOT}charts/bss-platform` };
const INSTALL = `${ROOT}charts/install.yaml`;
const NAMESPACE = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'bss-system', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
};

let programs: Record<'helm' | 'kubectl', string>;
let server: ApiServer;
let folder: string;

const helm = async (...args: string[]): Promise<string> => (await run(programs.helm, args)).stdout;
const kubectl = (...args: string[]) => run(programs.kubectl, ['--kubeconfig', server.kubeconfigPath, ...args]);

/** Renders a chart with values given as an object. */
async function render(chart: keyof typeof CHARTS, values: object, name = 'bss-operator', ...options: string[]): Promise<string> {
  const file = join(folder, `values-${chart}.json`);
  await writeFile(file, JSON.stringify(values));
  return helm('template', name, CHARTS[chart], '--namespace', 'bss-system', '--values', file, ...options);
}

before(
  async () => {
    [programs, server] = await Promise.all([ensurePrograms(['helm', 'kubectl']), startApiServer({ own: true })]);
    folder = await mkdtemp(join(tmpdir(), 'charts-'));
    await kubectl('create', 'namespace', 'bss-system');
    await kubectl('label', 'namespace', 'bss-system', 'pod-security.kubernetes.io/warn=restricted');
    await kubectl('apply', '--server-side', '-f', `${ROOT}crds`);
    await untilEstablished(() => kubectl('wait', '--for=condition=Established', 'crd/bssplatforms.bss-platform.io', '--timeout=30s'));
  },
  { timeout: 900_000 },
);

after(async () => {
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

/** Server-side dry run with strict validation; resolves to the warnings. */
async function dryRun(file: string, manifest: string): Promise<string> {
  const path = join(folder, file);
  await writeFile(path, manifest);
  return (await kubectl('apply', '--server-side', '--dry-run=server', '--validate=strict', '-f', path)).stderr;
}

for (const chart of ['operator', 'platform'] as const) {
  void test(`helm lint ${chart}`, async () => {
    assert.match(await helm('lint', '--strict', CHARTS[chart]), /0 chart\(s\) failed/);
  });
}

const OPERATOR_VALUES: Record<string, object> = {
  defaults: {},
  'two replicas, placed': {
    replicas: 2,
    image: { repository: 'registry.example.com/operator', tag: '1.2.3', pullPolicy: 'Always', pullSecrets: ['registry'] },
    nodeSelector: { pool: 'system' },
    tolerations: [{ key: 'system', operator: 'Exists' }],
    priorityClassName: 'system-cluster-critical',
    podLabels: { team: 'platform' },
    resources: { requests: { cpu: 1, memory: '256Mi' }, limits: { cpu: '2', memory: '1Gi' } },
  },
};

for (const [name, values] of Object.entries(OPERATOR_VALUES)) {
  void test(`the operator's chart renders valid objects: ${name}`, async () => {
    assert.equal(await dryRun('operator.yaml', await render('operator', values)), '', 'no warning, Pod Security among them');
  });
}

void test('with a list of namespaces the operator has rights there and in its own only', async () => {
  const rendered = await render('operator', { watchNamespaces: ['bss', 'bss-test'], aggregatedRoles: false });
  const objects = parseAllDocuments(rendered).map(
    (document) => document.toJS() as { kind: string; metadata: { namespace?: string } } | null,
  );
  const of = (kind: string) => objects.flatMap((object) => (object?.kind === kind ? [object.metadata.namespace] : []));
  assert.deepEqual([of('ClusterRole'), of('ClusterRoleBinding')], [[], []]);
  assert.deepEqual(new Set(of('RoleBinding')), new Set(['bss', 'bss-system', 'bss-test']));
  assert.match(rendered, /name: WATCH_NAMESPACES\n\s+value: bss,bss-test\n/);
});

void test('a disruption budget comes with the second replica', async () => {
  assert.doesNotMatch(await render('operator', {}), /PodDisruptionBudget/);
  assert.match(await render('operator', { replicas: 2 }), /PodDisruptionBudget/);
});

void test("a NetworkPolicy admits connections to the operator's metrics port, unless it is turned off", async () => {
  assert.match(await render('operator', {}), /kind: NetworkPolicy[\s\S]*port: metrics/);
  assert.doesNotMatch(await render('operator', { networkPolicy: { enabled: false } }), /NetworkPolicy/);
});

void test("the ServiceMonitor gives the operator's series the labels that the rules of platforms read", async () => {
  const serviceMonitor = { enabled: true, interval: '15s', labels: { release: 'stack' } };
  const objects = parseAllDocuments(await render('operator', { serviceMonitor })).map((document) => document.toJS() as ServiceMonitor);
  const monitor = objects.find(({ kind }) => kind === 'ServiceMonitor');
  assert.equal(monitor?.metadata.labels['release'], 'stack');
  const [endpoint] = monitor.spec.endpoints;
  assert.deepEqual([endpoint?.interval, endpoint?.honorLabels], ['15s', true]);
  const set = endpoint?.relabelings.flatMap(({ targetLabel, replacement }) =>
    targetLabel === undefined ? [] : [[targetLabel, replacement]],
  );
  assert.deepEqual(set, [
    ['job', 'bss-operator'],
    ['service', 'bss-operator'],
    ['platform', OPERATOR_PLATFORM],
  ]);
  assert.doesNotMatch(await render('operator', { serviceMonitor: { enabled: true } }), /interval:/);
});

interface ServiceMonitor {
  kind: string;
  metadata: { labels: Record<string, string> };
  spec: { endpoints: { interval?: string; honorLabels: boolean; relabelings: { targetLabel?: string; replacement?: string }[] }[] };
}

const WRONG: Record<string, { chart: keyof typeof CHARTS; values: object; message: RegExp }> = {
  'a typing error': { chart: 'operator', values: { replica: 2 }, message: /additional properties 'replica' not allowed/ },
  'a wrong level': { chart: 'operator', values: { logLevel: 'loud' }, message: /logLevel.*one of 'debug', 'info', 'warn', 'error'/s },
  'a typing error in the spec': {
    chart: 'platform',
    values: { spec: { profil: 'small' } },
    message: /additional properties 'profil' not allowed/,
  },
  'a number that is too small': {
    chart: 'platform',
    values: { spec: { topics: [{ name: 'a', partitions: 0 }] } },
    message: /partitions.*minimum/s,
  },
};

for (const [name, { chart, values, message }] of Object.entries(WRONG)) {
  void test(`helm refuses ${name}`, () => assert.rejects(render(chart, values), (error: Error) => message.test(error.message)));
}

void test('the test of a platform runs on its own workload image', async () => {
  const image = (text: string) => /image: (\S+)/.exec(text)?.[1];
  assert.equal(image(await render('platform', {})), 'bss-platform/workloads:0.1.0');
  assert.equal(image(await render('platform', { spec: { version: '0.2.0' } })), 'bss-platform/workloads:0.2.0');
  const images = { workloads: 'registry.example.com/w:1', pullPolicy: 'Always', pullSecrets: ['registry'] };
  const own = await render('platform', { spec: { images } });
  assert.equal(image(own), 'registry.example.com/w:1');
  assert.match(own, /imagePullPolicy: Always/);
  assert.match(own, /imagePullSecrets:\n\s+- name: registry/);
});

void test('no pod of the charts names a user where the cluster assigns one', async () => {
  const security = { assignedUserIds: true };
  for (const [chart, values] of [
    ['operator', { security }],
    ['platform', { spec: { security } }],
  ] as const) {
    assert.match(await render(chart, {}), /runAsUser: 65532/);
    const assigned = await render(chart, values);
    assert.doesNotMatch(assigned, /runAsUser|runAsGroup/);
    assert.match(assigned, /runAsNonRoot: true/);
  }
});

void test('an operator may be pinned by its digest', async () => {
  const tag = `0.1.0@sha256:${'0123456789abcdef'.repeat(4)}`;
  assert.match(await render('operator', { image: { tag } }), new RegExp(`image: '?bss-platform/operator:${tag}'?$`, 'm'));
});

void test("the platform's chart renders one BssPlatform, named after its release", async () => {
  const spec = { profile: 'production', kafka: { managed: { storage: { size: '10Gi' } } }, workloads: { gateway: { replicas: 3 } } };
  const manifest = await render('platform', { spec }, 'shop', '--no-hooks');
  const object: { metadata: { name: string }; spec: unknown } = parse(manifest);
  assert.equal(object.metadata.name, 'shop');
  assert.deepEqual(object.spec, spec, 'the spec goes through as it is');
  assert.equal(await dryRun('platform.yaml', manifest), '');
  assert.equal(await dryRun('empty.yaml', await render('platform', {}, 'empty')), '');
});

void test('kinds that the values name may be scaled, and no others', async () => {
  const scaleTargets = [{ apiGroup: 'argoproj.io', resource: 'rollouts' }];
  assert.match(
    await render('operator', { scaleTargets }),
    /apiGroups: \['?argoproj\.io'?\]\s+resources: \['?rollouts\/scale'?\]\s+verbs: \[get, patch\]/,
  );
  assert.doesNotMatch(await render('operator', {}), /resources: \['?(\*|rollouts)\/scale/);
});

void test('platforms.enabled: false sets PLATFORMS in the environment of the operator', async () => {
  const rendered = (values: object) => render('operator', values, 'bss-operator', '--no-hooks');
  assert.match(await rendered({ platforms: { enabled: false } }), /name: PLATFORMS\s+value: 'false'/);
  assert.doesNotMatch(await rendered({}), /PLATFORMS/);
});

const documents = (text: string): unknown[] => parseAllDocuments(text).map((document) => document.toJS());

void test('the plain install manifest is what the chart renders', async () => {
  const [platform, autoscaler, rendered] = await Promise.all([
    readFile(`${ROOT}crds/bss-platform.io_bssplatforms.yaml`, 'utf8'),
    readFile(`${ROOT}crds/bss-platform.io_consumerautoscalers.yaml`, 'utf8'),
    helm('template', 'bss-operator', CHARTS.operator, '--namespace', 'bss-system', '--no-hooks'),
  ]);
  const objects = documents(rendered).map((object) => stringify(object).replaceAll('managed-by: Helm', 'managed-by: kubectl'));
  const text = [
    `# Everything that the operator needs: kubectl apply --server-side -f install.yaml\n${stringify(NAMESPACE)}`,
    platform,
    autoscaler,
    ...objects,
  ].join('---\n');
  if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(INSTALL, text);
  assert.deepEqual(documents(await readFile(INSTALL, 'utf8')), documents(text), 'UPDATE_GOLDEN=1 writes it');
  await kubectl('apply', '--server-side', '--force-conflicts', '--validate=strict', '-f', INSTALL);
});

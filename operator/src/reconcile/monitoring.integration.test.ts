/** A platform for a Prometheus that the cluster has: against the definitions of prometheus-operator, which may be installed later or not at all. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { examine } from '../cli/doctor.ts';
import type { KubernetesObject } from '../runtime/index.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';
import { NAMESPACE } from './testing/installation.ts';
import { installPrometheusOperator } from './testing/prometheus-operator.ts';

let cluster: Cluster;
let platform: TestPlatform;

const EXISTING = { mode: 'existing', labels: { release: 'stack' } };
const MONITORING = { prometheus: {}, loki: {}, tempo: {}, networkPolicies: {}, pushgateway: { enabled: true } };
const PARTS = ['prometheus', 'alertmanager', 'grafana', 'loki', 'tempo', 'collector', 'log-agent', 'node-exporter'];

before(
  async () => {
    cluster = await Cluster.start();
    platform = await cluster.platform('existing', { ...MONITORING, observability: EXISTING });
  },
  { timeout: 900_000 },
);
after(() => cluster.stop());

/** What doctor says about prometheus-operator. */
async function diagnosis(): Promise<{ ok: boolean; what: string } | undefined> {
  const sections = await examine(cluster.client, { namespace: 'existing', name: 'a' }, NAMESPACE, Date.now());
  return sections.flatMap(({ findings }) => findings).find(({ what }) => what.includes('prometheus-operator'));
}

interface Rules extends KubernetesObject {
  spec: { groups: { name: string; rules: object[] }[] };
}

/** No controller removes the finalizer that protects a volume. */
const isDeleted = (object: KubernetesObject | undefined) => object?.metadata.deletionTimestamp !== undefined;

const uidOf = async (kind: string, name: string, of: TestPlatform) => (await of.have(kind, name)).metadata.uid;

void test('becomes ready without prometheus-operator, warns about the missing kinds, and names no Prometheus', async () => {
  const { warnings = [], endpoints = [], inventory = [], components = [] } = await platform.ready();
  assert.equal(warnings.length, 2, warnings.join('\n'));
  for (const [index, kind] of ['PodMonitor', 'PrometheusRule'].entries()) {
    assert.match(
      warnings[index] ?? '',
      new RegExp(`^spec\\.observability\\.mode: the cluster does not serve ${kind} .*install prometheus-operator`),
    );
    assert.ok(!inventory.some((entry) => entry.kind === kind));
  }
  assert.deepEqual(
    endpoints.filter(({ name }) => PARTS.includes(name)),
    [],
  );
  assert.deepEqual(
    components.filter(({ name }) => PARTS.includes(name)),
    [],
  );
  for (const name of ['exporters', 'pushgateway']) assert.ok(await platform.object('Deployment', name), name);
  assert.ok(await platform.object('ConfigMap', 'monitoring-dashboards'));
  assert.equal((await diagnosis())?.ok, false);
});

void test('creates monitors and rules after prometheus-operator is installed, and removes the warnings', async () => {
  await installPrometheusOperator(cluster.client);
  for (const name of ['monitoring', 'monitoring-pushed']) {
    const { metadata } = await platform.have('PodMonitor', name);
    assert.equal(metadata.labels?.['release'], 'stack');
  }
  const { spec, metadata } = (await platform.have('PrometheusRule', 'monitoring')) as Rules;
  assert.equal(metadata.labels?.['release'], 'stack');
  assert.ok(spec.groups.flatMap(({ rules }) => rules).length > 50);
  await until('the warnings to go', LIMIT_MS, async () => {
    const { warnings = [], inventory = [] } = await platform.status();
    return warnings.length === 0 && inventory.some(({ kind }) => kind === 'PrometheusRule');
  });
  assert.deepEqual(await diagnosis(), { ok: true, what: 'prometheus-operator is installed' });
});

void test('corrects drift of a monitor and of the rules', async () => {
  await platform.edit('PodMonitor', 'monitoring', { metadata: { labels: { release: null } } });
  await until(
    'the label to be back',
    LIMIT_MS,
    async () => (await platform.object('PodMonitor', 'monitoring'))?.metadata.labels?.['release'],
  );
  await platform.remove('PrometheusRule', 'monitoring');
  await platform.have('PrometheusRule', 'monitoring');
});

void test('takes the rules away while the platform hibernates, and settles', async () => {
  await platform.patch({ spec: { hibernate: true } });
  await platform.gone('PrometheusRule', 'monitoring');
  await platform.patch({ spec: { hibernate: false } });
  await platform.have('PrometheusRule', 'monitoring');
  await platform.ready();
});

void test('the API server refuses what mode existing cannot do, and names the field', async () => {
  const receivers = { secretName: 'a', slack: {} };
  await assert.rejects(
    platform.patch({ spec: { alertmanager: { receivers } } }),
    /spec\.alertmanager\.receivers: .*set the receivers in yours/,
  );
  await assert.rejects(
    platform.patch({ spec: { prometheus: { enabled: false } } }),
    /spec\.prometheus\.enabled: .*remove prometheus\.enabled/,
  );
});

void test('switched on a running platform, it prunes the former parts, keeps the volumes, and restarts nothing else', async () => {
  const running = await cluster.platform('switched', MONITORING);
  const former = await running.ready();
  assert.ok(former.endpoints?.some(({ name }) => name === 'prometheus'));
  const claim = await uidOf('PersistentVolumeClaim', 'prometheus-data', running);
  const generation = async () => (await running.have('Deployment', 'exporters')).metadata.generation;
  const exporters = await generation();

  await running.patch({ spec: { observability: EXISTING } });
  for (const name of ['prometheus', 'alertmanager', 'loki', 'tempo']) await running.gone('StatefulSet', name);
  for (const name of ['log-agent', 'node-exporter']) await running.gone('DaemonSet', name);
  for (const kind of ['Role', 'RoleBinding', 'ServiceAccount', 'Service', 'ConfigMap']) await running.gone(kind, 'prometheus');
  await running.have('PodMonitor', 'monitoring');
  const { endpoints = [], warnings = [] } = await running.ready();
  assert.deepEqual(
    endpoints.filter(({ name }) => PARTS.includes(name)),
    [],
  );
  assert.deepEqual(warnings, []);
  assert.equal(await uidOf('PersistentVolumeClaim', 'prometheus-data', running), claim, 'deletionPolicy keep');
  assert.equal(await generation(), exporters);

  await running.patch({ spec: { observability: { mode: 'managed', labels: null } } });
  await running.have('StatefulSet', 'prometheus');
  for (const kind of ['PodMonitor', 'PrometheusRule']) await running.gone(kind, 'monitoring');
  await running.gone('ConfigMap', 'monitoring-dashboards');
  await running.ready();
  assert.equal(await uidOf('PersistentVolumeClaim', 'prometheus-data', running), claim, 'the volume is adopted again');
});

void test('switched on a platform with deletionPolicy delete, it deletes the volumes of the former parts', async () => {
  const running = await cluster.platform('deleted', { ...MONITORING, deletionPolicy: 'delete' });
  await running.have('PersistentVolumeClaim', 'prometheus-data');
  await running.ready();
  await running.patch({ spec: { observability: EXISTING } });
  for (const name of ['prometheus-data', 'alertmanager-data'])
    await until(`${name} to be deleted`, LIMIT_MS, async () => isDeleted(await running.object('PersistentVolumeClaim', name)));
});

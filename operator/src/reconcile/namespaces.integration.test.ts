/** An operator of some namespaces, under the rights that the chart gives it there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { API_VERSION, AUTOSCALER_KIND } from '../api/index.ts';
import type { KubernetesObject } from '../runtime/index.ts';
import type { AutoscalerObject } from './scaling/claims.ts';
import { Cluster, LIMIT_MS, until } from './testing/cluster.ts';

let cluster: Cluster;
before(async () => {
  cluster = await Cluster.start({ values: ['watchNamespaces={one,two}'], namespaces: ['one', 'two'] });
});
after(() => cluster.stop());

const EXTERNAL = { postgres: { external: { host: 'db', adminSecret: { name: 'database' } } } };

const RESOURCE = { apiVersion: API_VERSION, kind: AUTOSCALER_KIND };

function autoscalerIn(namespace: string): KubernetesObject {
  const spec = { scaleTargetRef: { name: 'absent' }, group: 'g', topics: ['t'], brokers: cluster.brokers };
  return { ...RESOURCE, metadata: { name: 'a', namespace }, spec };
}

async function statusIn(namespace: string): Promise<AutoscalerObject['status']> {
  return (await cluster.client.get<AutoscalerObject>({ ...RESOURCE, name: 'a', namespace })).status;
}

void test('looks after the platforms of its namespaces and of no other, and asks for nothing elsewhere', async () => {
  const outside = await cluster.platform('three');
  const [one, two] = [await cluster.platform('one'), await cluster.platform('two', { deletionPolicy: 'delete', ...EXTERNAL })];
  await one.ready();
  for (const namespace of ['two', 'three']) await cluster.client.create(autoscalerIn(namespace));
  await until('the ConsumerAutoscaler to be reconciled', LIMIT_MS, async () => (await statusIn('two'))?.conditions !== undefined);
  await two.until('SecretsMissing', 'True');
  // Reported by the watch of the users' Secrets.
  const stringData = { username: 'postgres', password: 'of the database' };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'database', namespace: 'two' }, stringData });
  await two.until('SecretsMissing', 'False');
  await two.ready();
  await two.delete();
  assert.deepEqual(await outside.status(), {});
  assert.equal(await statusIn('three'), undefined);
  assert.equal(await cluster.client.find(outside.ref('Secret', 'credentials')), undefined);
  const asked = (await cluster.audit()).filter(({ objectRef }) => objectRef?.resource !== undefined);
  assert.deepEqual([...new Set(asked.map(({ objectRef }) => objectRef?.namespace ?? '(cluster)'))].toSorted(), [
    'bss-system',
    'one',
    'two',
  ]);
  assert.deepEqual(
    asked.filter(({ responseStatus }) => responseStatus?.code === 403),
    [],
  );
});

void test('a platform of a watched namespace is reconciled after a restart of the operator', async () => {
  await cluster.operator.stop('SIGKILL');
  await cluster.startOperator();
  const again = await cluster.platform('two');
  await again.ready();
  for (const namespace of ['one', 'two']) {
    const series = new RegExp(`^bss_consumer_group_\\w+\\{namespace="${namespace}"`, 'm');
    await until(`metrics of ${namespace}`, LIMIT_MS, async () => series.test(await cluster.operator.metrics()));
  }
});

/** helm upgrades the operator and not its definitions: an operator runs platforms before the definition of ConsumerAutoscaler is there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { autoscalerDefinition } from '../../api/crd.ts';
import { API_VERSION, AUTOSCALER_KIND } from '../../api/index.ts';
import type { AutoscalerObject } from '../scaling/claims.ts';
import { Cluster, LIMIT_MS, until } from '../testing/cluster.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start({ autoscalers: false });
});
after(() => cluster.stop());

void test('runs platforms without the definition, and scales once it is installed', async () => {
  assert.match(cluster.log, /the cluster does not serve the kind: install its CustomResourceDefinition/);
  const platform = await cluster.platform('without');
  await platform.until('SpecValid', 'True');
  await cluster.client.create(autoscalerDefinition());
  await cluster.watched(AUTOSCALER_KIND);
  const reference = { apiVersion: API_VERSION, kind: AUTOSCALER_KIND, name: 'a', namespace: 'without' };
  const spec = { scaleTargetRef: { name: 'absent' }, group: 'g', topics: ['t'], brokers: cluster.brokers };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name: 'a', namespace: 'without' }, spec });
  await until('its conditions', LIMIT_MS, async () => {
    const { status } = await cluster.client.get<AutoscalerObject>(reference);
    return status?.conditions?.some(({ type }) => type === 'Ready');
  });
});

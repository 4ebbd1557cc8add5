/** The gateway's ways in: an Ingress, or a route of the Gateway API, which may be installed later or not at all. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubernetesObject } from '../runtime/index.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';
import { installGatewayApi } from './testing/gateway-api.ts';

let cluster: Cluster;
let platform: TestPlatform;

before(async () => {
  cluster = await Cluster.start();
  const route = { parentRefs: [{ name: 'public', namespace: 'ingress' }], hostnames: ['bss.example.com'] };
  platform = await cluster.platform('route', { workloads: { gateway: { route } } });
});
after(() => cluster.stop());

interface Route extends KubernetesObject {
  spec: { parentRefs: object[]; hostnames: string[]; rules: { backendRefs: { name: string; port: number }[] }[] };
}

const route = async () => (await platform.object('HTTPRoute', 'gateway')) as Route | undefined;

void test('becomes ready without the Gateway API, and warns about the missing kind', async () => {
  const { warnings = [], endpoints = [], inventory = [] } = await platform.ready();
  assert.match(warnings.join(), /^spec\.workloads\.gateway\.route: the cluster does not serve HTTPRoute .*: install the Gateway API/);
  assert.ok(!inventory.some(({ kind }) => kind === 'HTTPRoute'));
  assert.equal(endpoints.find(({ name }) => name === 'gateway-public')?.address, 'bss.example.com');
});

void test('creates the route after the Gateway API is installed, and removes the warning', async () => {
  await installGatewayApi(cluster.client);
  await platform.have('HTTPRoute', 'gateway');
  const { spec } = (await route()) as Route;
  assert.deepEqual(spec.hostnames, ['bss.example.com']);
  assert.deepEqual(
    spec.rules[0]?.backendRefs.map(({ name, port }) => [name, port]),
    [['a-gateway', 8080]],
  );
  await until('the warning to go', LIMIT_MS, async () => {
    const { warnings = [], inventory = [] } = await platform.status();
    return warnings.length === 0 && inventory.some(({ kind }) => kind === 'HTTPRoute');
  });
});

void test('corrects drift of the route', async () => {
  await platform.edit('HTTPRoute', 'gateway', { spec: { hostnames: ['evil.example.com'] } });
  await until('the host name to be back', LIMIT_MS, async () => (await route())?.spec.hostnames[0] === 'bss.example.com');
  await platform.remove('HTTPRoute', 'gateway');
  await platform.have('HTTPRoute', 'gateway');
});

void test('replaces the route by an Ingress, and never has both', async () => {
  const ingress = { host: 'bss.example.com', tlsSecretName: 'bss-tls', annotations: { 'cert-manager.io/cluster-issuer': 'public' } };
  await assert.rejects(platform.patch({ spec: { workloads: { gateway: { ingress } } } }), /set either ingress or route/);
  await platform.patch({ spec: { workloads: { gateway: { route: null, ingress } } } });
  const { endpoints } = await platform.ready();
  assert.equal(endpoints?.find(({ name }) => name === 'gateway-public')?.address, 'https://bss.example.com');
  const { metadata } = await platform.have('Ingress', 'gateway');
  assert.equal(metadata.annotations?.['cert-manager.io/cluster-issuer'], 'public');
  await platform.gone('HTTPRoute', 'gateway');
});

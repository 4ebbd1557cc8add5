import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../../runtime/index.ts';
import { restartReasons, type RestartReason } from './restart.ts';

const HASH = 'bss-platform.io/config-hash';

interface Parts {
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  container?: object;
  pod?: object;
  sidecar?: boolean;
}

function deployment(
  { labels = {}, annotations = {}, container = {}, pod = {}, sidecar = false }: Parts,
  kind = 'Deployment',
): KubernetesObject {
  const containers = [{ name: 'main', image: 'a:1', env: [], ...container }, ...(sidecar ? [{ name: 'extra', image: 'b:1' }] : [])];
  const template = { metadata: { labels, annotations: { [HASH]: '1', ...annotations } }, spec: { containers, ...pod } };
  return { apiVersion: 'apps/v1', kind, metadata: { name: 'x' }, spec: { template } };
}

const rows: { name: string; after: Parts; configChanged?: boolean; reasons: RestartReason[] }[] = [
  { name: 'nothing', after: {}, reasons: [] },
  { name: 'image', after: { container: { image: 'a:2' } }, reasons: ['ImageChanged'] },
  { name: 'configuration', after: { annotations: { [HASH]: '2' } }, configChanged: true, reasons: ['ConfigChanged'] },
  { name: 'Secret', after: { annotations: { [HASH]: '2' } }, reasons: ['CredentialsRotated'] },
  {
    name: 'another set of Secrets',
    after: { annotations: { [HASH]: '2' }, sidecar: true },
    reasons: ['TemplateChanged'],
  },
  { name: 'resources', after: { container: { resources: { limits: { cpu: '1' } } } }, reasons: ['ResourcesChanged'] },
  { name: 'environment', after: { container: { env: [{ name: 'A', value: '1' }] } }, reasons: ['EnvironmentChanged'] },
  { name: 'command', after: { container: { command: ['x'] } }, reasons: ['CommandChanged'] },
  { name: 'probe', after: { container: { readinessProbe: { tcpSocket: { port: 1 } } } }, reasons: ['ProbesChanged'] },
  { name: 'node selector', after: { pod: { nodeSelector: { disk: 'ssd' } } }, reasons: ['PlacementChanged'] },
  { name: 'volume', after: { pod: { volumes: [{ name: 'v' }] } }, reasons: ['VolumesChanged'] },
  { name: 'security', after: { pod: { securityContext: { runAsUser: 1 } } }, reasons: ['SecurityChanged'] },
  { name: 'labels', after: { labels: { team: 'a' } }, reasons: ['LabelsChanged'] },
  { name: 'rollout restart', after: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } }, reasons: ['RestartRequested'] },
  { name: 'one more container', after: { sidecar: true }, reasons: ['TemplateChanged'] },
  { name: 'an unknown field', after: { pod: { hostname: 'x' } }, reasons: ['TemplateChanged'] },
  { name: 'another annotation', after: { annotations: { other: '1' } }, reasons: ['TemplateChanged'] },
  {
    name: 'several, in the order of the list',
    after: { container: { resources: {}, image: 'a:2' }, annotations: { [HASH]: '2' } },
    configChanged: true,
    reasons: ['ImageChanged', 'ConfigChanged', 'ResourcesChanged'],
  },
];

void test('restart: another login to the same service', () => {
  const env = (slot: string, host = 'pgbouncer') => [
    { name: 'DATABASE_URL', value: `postgresql://ledger${slot}@${host}:6432/ledger` },
    { name: 'PGPASSWORD', valueFrom: { secretKeyRef: { name: 'a-credentials', key: `ledger${slot}-password` } } },
  ];
  const [before, after, elsewhere] = [
    deployment({ container: { env: env('') } }),
    deployment({ container: { env: env('-b') }, annotations: { [HASH]: '2' } }),
    deployment({ container: { env: env('-b', 'other') } }),
  ];
  assert.deepEqual(restartReasons(before, after, HASH, false), ['CredentialsRotated']);
  assert.deepEqual(restartReasons(before, elsewhere, HASH, false), ['EnvironmentChanged']);
});

for (const { name, after, configChanged = false, reasons } of rows) {
  void test(`restart: ${name}`, () => {
    assert.deepEqual(restartReasons(deployment({}), deployment(after), HASH, configChanged), reasons);
    assert.deepEqual(restartReasons(deployment({}, 'StatefulSet'), deployment(after, 'StatefulSet'), HASH, configChanged), reasons);
  });
}

void test('reports no rollout for a new workload or a Job', () => {
  assert.deepEqual(restartReasons(undefined, deployment({}), HASH, false), []);
  assert.deepEqual(restartReasons(deployment({}, 'Job'), deployment({ container: { image: 'a:2' } }, 'Job'), HASH, false), []);
});

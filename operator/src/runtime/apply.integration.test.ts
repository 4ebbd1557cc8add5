/** Server-side apply against a real API server: nothing is written when nothing is to do, and whatever others change is put back. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startApiServer } from '../../../local/src/services/index.ts';
import type { ApiServer } from '../../../local/src/services/index.ts';
import { Applier, APPLIED_ANNOTATION } from './apply.ts';
import type { KubeClient } from './client.ts';
import { isConflict, KubeError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import { referenceOf } from '../objects/object.ts';
import type { KubernetesObject } from '../objects/object.ts';
import { withoutForeignManagers } from './managed-fields.ts';
import { clientFor, configMap, createNamespace, seriesValue, valueAt } from './testing/harness.ts';

const MANAGER = 'bss-operator';
const NAMESPACE = 'apply';
const LABELS = { app: 'web' };

function deployment(
  name: string,
  change: { cpu?: string; args?: string[]; env?: { name: string; value: string }[] } = {},
): KubernetesObject {
  const container = {
    name: 'web',
    image: 'web:1',
    args: change.args ?? ['--fast'],
    env: change.env ?? [{ name: 'MODE', value: 'a' }],
    // The API server fills in the protocol, which is part of the key of this list, and stores 0.5 as 500m.
    ports: [{ name: 'http', containerPort: 8080 }],
    resources: { requests: { cpu: change.cpu ?? '0.5', memory: '1024Mi' }, limits: { memory: '1Gi' } },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: NAMESPACE, name, labels: LABELS },
    spec: {
      selector: { matchLabels: LABELS },
      template: { metadata: { labels: LABELS }, spec: { containers: [container], volumes: [{ name: 'tmp', emptyDir: {} }] } },
    },
  };
}

/** One object of each shape that a platform has. */
function everyShape(): KubernetesObject[] {
  const metadata = (name: string) => ({ namespace: NAMESPACE, name, labels: LABELS });
  const spec = { podSelector: { matchLabels: LABELS }, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 8080, protocol: 'TCP' }] }] };
  return [
    deployment('every'),
    configMap(NAMESPACE, 'every', { 'a.conf': 'x = 1\n' }, LABELS),
    { apiVersion: 'v1', kind: 'Secret', metadata: metadata('every'), data: { password: 'c2VjcmV0' } },
    { apiVersion: 'v1', kind: 'Secret', metadata: metadata('write-only'), stringData: { password: 'secret' } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata('every'),
      spec: { selector: LABELS, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata('headless'),
      spec: { clusterIP: 'None', selector: LABELS, ports: [{ port: 80 }] },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('every'), automountServiceAccountToken: false },
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: metadata('every'),
      spec: { maxUnavailable: 1, selector: { matchLabels: LABELS } },
    },
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: metadata('every'), spec },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: metadata('every'),
      rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }],
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: metadata('every'),
      spec: {
        serviceName: 'headless',
        replicas: 1,
        selector: { matchLabels: LABELS },
        template: {
          metadata: { labels: LABELS },
          spec: { containers: [{ name: 'db', image: 'db:1', command: ['db'], livenessProbe: { tcpSocket: { port: 5432 } } }] },
        },
        volumeClaimTemplates: [
          { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1024Mi' } } } },
        ],
      },
    },
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: metadata('every'),
      spec: { backoffLimit: 3, template: { spec: { restartPolicy: 'OnFailure', containers: [{ name: 'job', image: 'job:1' }] } } },
    },
  ];
}

describe('server-side apply', () => {
  let api: ApiServer;
  let client: KubeClient;
  let metrics: Metrics;
  let applier: Applier;

  before(async () => {
    api = await startApiServer();
    ({ client, metrics } = clientFor(api.kubeconfigPath));
    applier = new Applier({ client, fieldManager: MANAGER, metrics });
    await createNamespace(client, NAMESPACE);
  });
  after(() => api.stop());

  const live = (object: KubernetesObject): Promise<KubernetesObject> => client.get(referenceOf(object));
  const settle = async (desired: KubernetesObject) => applier.applyIfChanged(desired, await live(desired));
  /** As another would: a change under a manager of its own. */
  const meddle = (object: KubernetesObject, patch: unknown, type: 'merge' | 'json' | 'strategic' = 'strategic') =>
    client.patch(referenceOf(object), patch, { type, fieldManager: 'kubectl-edit' });

  test('sends no request for an unchanged object of any shape', async () => {
    for (const desired of everyShape()) {
      const what = `${desired.kind} ${desired.metadata.name}`;
      assert.equal((await applier.applyIfChanged(desired, undefined)).action, 'created', what);
      assert.equal((await settle(desired)).action, 'skipped', `${what} as read from the server`);
      const cached = withoutForeignManagers(MANAGER)(await live(desired));
      assert.equal((await applier.applyIfChanged(desired, cached)).action, 'skipped', `${what} as kept by a cache`);
      assert.equal((await applier.apply(desired)).action, 'unchanged', `${what}, applied all the same`);
    }
  });

  test('sends no request for unchanged objects after a restart', async () => {
    const restarted = new Applier({ client, fieldManager: MANAGER, metrics });
    const desired = everyShape().filter(({ metadata }) => metadata.name !== 'write-only');
    for (const object of desired) assert.equal((await restarted.applyIfChanged(object, await live(object))).action, 'skipped', object.kind);
  });

  const DRIFT: Record<string, { patch: unknown; type?: 'merge' | 'json' }> = {
    'a value was changed': { patch: { spec: { template: { spec: { containers: [{ name: 'web', image: 'evil:1' }] } } } } },
    'an element of a keyed list was changed': {
      patch: { spec: { template: { spec: { containers: [{ name: 'web', env: [{ name: 'MODE', value: 'b' }] }] } } } },
    },
    'an element of a keyed list was removed': { patch: [{ op: 'remove', path: '/spec/template/spec/containers/0/env/0' }], type: 'json' },
    'an atomic list was changed': { patch: { spec: { template: { spec: { containers: [{ name: 'web', args: ['--slow'] }] } } } } },
    'a quantity was changed': {
      patch: { spec: { template: { spec: { containers: [{ name: 'web', resources: { requests: { cpu: '501m' } } }] } } } },
    },
    'a label was removed': { patch: { metadata: { labels: { app: null } } }, type: 'merge' },
    'the fingerprint was removed': { patch: { metadata: { annotations: { [APPLIED_ANNOTATION]: null } } }, type: 'merge' },
    'the record of managers was wiped': { patch: { metadata: { managedFields: [{}] } }, type: 'merge' },
  };
  for (const [name, { patch, type }] of Object.entries(DRIFT)) {
    test(`corrects drift: ${name}`, async () => {
      const desired = deployment('drift');
      await applier.apply(desired);
      const wanted = await live(desired);
      await meddle(desired, patch, type);
      assert.equal((await settle(desired)).action, 'changed');
      const corrected = await live(desired);
      assert.deepEqual(corrected['spec'], wanted['spec']);
      assert.deepEqual(corrected.metadata.labels, wanted.metadata.labels);
      assert.equal((await settle(desired)).action, 'skipped', 'and then it is settled again');
    });
  }

  test('keeps fields of other managers, and does not treat them as drift', async () => {
    const desired = deployment('shared');
    await applier.apply(desired);
    await meddle(desired, { metadata: { annotations: { theirs: '1' } }, spec: { replicas: 7 } });
    assert.equal((await settle(desired)).action, 'skipped');
    assert.equal(valueAt(await live(desired), 'spec', 'replicas'), 7);
  });

  test('removes a field that is no longer desired', async () => {
    await applier.apply(configMap(NAMESPACE, 'shrinking', { a: '1', b: '2' }));
    const smaller = configMap(NAMESPACE, 'shrinking', { a: '1' });
    assert.equal((await settle(smaller)).action, 'changed');
    assert.deepEqual((await live(smaller))['data'], { a: '1' });
  });

  test('names the managers of enforced fields', async () => {
    const desired = configMap(NAMESPACE, 'fought-over', { a: 'ours', b: 'ours', c: 'ours' });
    await applier.apply(desired);
    await meddle(desired, { data: { c: 'theirs', a: 'theirs' } });
    const { conflicts, action } = await settle(desired);
    assert.equal(action, 'changed');
    assert.deepEqual(conflicts, [
      { field: '.data.a', manager: 'kubectl-edit' },
      { field: '.data.c', manager: 'kubectl-edit' },
    ]);
    assert.deepEqual((await live(desired))['data'], { a: 'ours', b: 'ours', c: 'ours' });
  });

  test('fails with the conflicting fields without force', async () => {
    const desired = configMap(NAMESPACE, 'polite', { a: 'ours' });
    await applier.apply(desired);
    await meddle(desired, { data: { a: 'theirs' } });
    await assert.rejects(applier.apply(desired, { force: false }), (error: unknown) => {
      assert.ok(error instanceof KubeError && isConflict(error) && error.status === 409);
      assert.deepEqual(
        error.causes.map(({ field }) => field),
        ['.data.a'],
      );
      return true;
    });
  });

  test('returns the result of a dry run, and changes nothing', async () => {
    const desired = configMap(NAMESPACE, 'dry', { a: '1' });
    const series = 'bss_operator_api_requests_total{verb="apply",kind="ConfigMap",code="201"}';
    const writes = await seriesValue(metrics, series);
    assert.equal((await applier.apply(desired, { dryRun: true })).action, 'created');
    assert.equal(await client.find(referenceOf(desired)), undefined);
    assert.equal(await seriesValue(metrics, series), writes, 'a dry run is not counted among the writes');
    await applier.apply(desired);
    assert.equal((await applier.apply(desired, { dryRun: true })).action, 'unchanged');
    const planned = await applier.apply(configMap(NAMESPACE, 'dry', { a: '2' }), { dryRun: true });
    assert.equal(planned.action, 'changed');
    assert.deepEqual([planned.before?.['data'], planned.object['data']], [{ a: '1' }, { a: '2' }]);
    assert.deepEqual((await live(desired))['data'], { a: '1' });
  });

  test('rejects a field that the schema does not know', async () => {
    const wrong = { ...configMap(NAMESPACE, 'wrong'), dta: { a: '1' } };
    await assert.rejects(applier.apply(wrong), (error: unknown) => {
      assert.ok(error instanceof KubeError && !error.retriable);
      assert.match(error.message, /^cannot apply ConfigMap apply\/wrong: .*dta/);
      return true;
    });
  });

  test('does not reapply an empty list that the server drops', async () => {
    const ingress = [{ from: [], ports: [{ port: 8080, protocol: 'TCP' }] }];
    const desired = { ...configMap(NAMESPACE, 'empty-list'), apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', data: undefined };
    const policy = { ...desired, spec: { podSelector: {}, policyTypes: ['Ingress'], ingress } };
    await applier.apply(policy);
    assert.equal((await settle(policy)).action, 'skipped');
  });

  test('names a kind that the cluster does not serve', async () => {
    const odd = { apiVersion: 'example.org/v1', kind: 'Odd', metadata: { name: 'x', namespace: NAMESPACE } };
    await assert.rejects(applier.apply(odd), /no kind Odd in example.org\/v1/);
    assert.equal(await client.serves(odd), false);
    assert.equal(await client.serves({ apiVersion: 'v1', kind: 'ConfigMap' }), true);
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startApiServer } from '../../../local/src/services/index.ts';
import type { ApiServer } from '../../../local/src/services/index.ts';
import { KubeClient, loadKubeConfig, Metrics } from '../runtime/index.ts';
import { scaleClient } from './actuator.ts';
import type { ScaleClient } from './types.ts';

const NAMESPACE = 'default';

describe('actuator against a real API server', { timeout: 120_000 }, () => {
  let server: ApiServer;
  let client: KubeClient;
  let scale: ScaleClient;

  before(async () => {
    server = await startApiServer();
    client = new KubeClient({ config: loadKubeConfig({ path: server.kubeconfigPath }), metrics: new Metrics() });
    scale = scaleClient(client.raw);
  });

  after(async () => server.stop());

  const deploy = async (name: string) => {
    const labels = { app: name };
    await client.create({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: NAMESPACE },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } } },
    } as never);
  };

  it('reads and scales a Deployment', async () => {
    await deploy('consumer');
    assert.deepEqual(await scale.read(NAMESPACE, 'consumer'), { replicas: 1, ready: 0, rollingOut: false });
    await scale.setReplicas(NAMESPACE, 'consumer', 7);
    assert.equal((await scale.read(NAMESPACE, 'consumer'))?.replicas, 7);
    await scale.setReplicas(NAMESPACE, 'consumer', 0);
    assert.equal((await scale.read(NAMESPACE, 'consumer'))?.replicas, 0);
  });

  it('sees a rollout by the pods of the old version', async () => {
    await deploy('rolling');
    const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'rolling', namespace: NAMESPACE };
    const status = { observedGeneration: 1, replicas: 3, updatedReplicas: 1, readyReplicas: 2 };
    await client.patch(reference, { status }, { subresource: 'status' });
    assert.deepEqual(await scale.read(NAMESPACE, 'rolling'), { replicas: 1, ready: 2, rollingOut: true });
  });

  it('has nothing to say of a Deployment that is not there, and says so when it is to be scaled', async () => {
    assert.equal(await scale.read(NAMESPACE, 'absent'), null);
    await assert.rejects(scale.setReplicas(NAMESPACE, 'absent', 2), /cannot scale Deployment default\/absent to 2: HTTP 404/);
  });

  it('reads and scales a StatefulSet with its revision, and other kinds by their scale subresource alone', async () => {
    const labels = { app: 'kinds' };
    const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'none' }] } };
    for (const [kind, more] of Object.entries({ StatefulSet: { serviceName: 'kinds' }, ReplicaSet: {} })) {
      const of = { apiVersion: 'apps/v1', kind };
      const metadata = { name: 'kinds', namespace: NAMESPACE };
      await client.create({ ...of, metadata, spec: { selector: { matchLabels: labels }, template, ...more } } as never);
      const status = { replicas: 2, readyReplicas: 1, updatedReplicas: 1, updateRevision: 'kinds-2', observedGeneration: 1 };
      const known = kind === 'StatefulSet' ? status : { replicas: 2, readyReplicas: 1 };
      await client.patch({ ...of, ...metadata }, { status: known }, { subresource: 'status' });
      assert.deepEqual(
        await scale.read(NAMESPACE, 'kinds', of),
        kind === 'StatefulSet'
          ? { replicas: 1, ready: 1, rollingOut: true, version: 'kinds-2' }
          : { replicas: 1, ready: 2, rollingOut: false },
      );
      await scale.setReplicas(NAMESPACE, 'kinds', 4, of);
      assert.equal((await scale.read(NAMESPACE, 'kinds', of))?.replicas, 4);
      assert.equal(await scale.read(NAMESPACE, 'absent', of), null);
    }
  });

  it('names a kind that the cluster does not serve, and one that cannot be scaled', async () => {
    const read = (apiVersion: string, kind: string) => scale.read(NAMESPACE, 'any', { apiVersion, kind });
    await assert.rejects(read('apps/v1', 'Rollout'), /the cluster serves no kind Rollout of apps\/v1/);
    await assert.rejects(read('argoproj.io/v1alpha1', 'Rollout'), /the cluster serves no kind Rollout of argoproj\.io\/v1alpha1/);
    await assert.rejects(read('v1', 'ConfigMap'), /ConfigMap of v1 has no scale subresource/);
  });

  it('names an HPA on the same Deployment, also where ScaledObjects are unknown', async () => {
    await deploy('rivalled');
    assert.deepEqual(await scale.rivals(NAMESPACE, 'rivalled'), []);
    await client.create({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'other', namespace: NAMESPACE },
      spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'rivalled' }, maxReplicas: 3 },
    } as never);
    assert.deepEqual(await scale.rivals(NAMESPACE, 'rivalled'), ['HorizontalPodAutoscaler/other']);
    assert.deepEqual(await scale.rivals(NAMESPACE, 'consumer'), []);
    assert.deepEqual(await scale.rivals(NAMESPACE, 'rivalled', { apiVersion: 'apps/v1', kind: 'StatefulSet' }), [], 'of another kind');
  });

  it('does not take a forbidden list of HPAs for an empty one', async () => {
    const account = { namespace: NAMESPACE, name: 'without-rights' };
    await client.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: account } as never);
    const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account.name}/token`;
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const { body } = await client.raw('POST', path, { body: request, contentType: 'application/json' });
    const { status } = body as { status: { token: string } };
    const config = loadKubeConfig({ path: server.kubeconfigPath });
    const admin = config.getCurrentUser() ?? assert.fail();
    config.users = [{ ...admin, token: status.token }];
    const limited = scaleClient(new KubeClient({ config, metrics: new Metrics() }).raw);
    await assert.rejects(limited.rivals(NAMESPACE, 'rivalled'), /cannot list horizontalpodautoscalers in default: HTTP 403/);
  });

  it('reports the revision of the pods, when the Deployment controller has set one', async () => {
    await deploy('revised');
    const reference = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'revised', namespace: NAMESPACE };
    await client.patch(reference, { metadata: { annotations: { 'deployment.kubernetes.io/revision': '4' } } });
    assert.equal((await scale.read(NAMESPACE, 'revised'))?.version, '4');
  });
});

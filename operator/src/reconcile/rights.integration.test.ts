/**
 * Least privilege: platforms live through everything there is under the rights that the chart gives the operator, and the API server's audit log
 * tells which of them were used. A permission that was not used is one too many; a request that was forbidden is one too few.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { API_VERSION, KIND } from '../api/index.ts';
import { KubeClient, loadKubeConfig, Metrics, type KubernetesObject } from '../runtime/index.ts';
import type { AuditEvent } from '../runtime/testing/harness.ts';
import { Cluster, isForbidden, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';
import { installGatewayApi } from './testing/gateway-api.ts';
import { ACCOUNT, grantedRules } from './testing/installation.ts';
import { installKeda } from './testing/keda.ts';

/** Permissions whose use the audit log does not show; the last test shows that each is needed. */
const NOT_LOGGED = new Map([
  ['/pods get', 'RBAC prevents privilege escalation: the Role of Prometheus has this permission'],
  ['bss-platform.io/bssplatforms/finalizers update', 'some clusters let only those who may set finalizers name an object as owner'],
]);

/** `group/resource verb`, or `group/resource/subresource verb`. */
function rightOf({ verb, objectRef }: AuditEvent): string {
  const { apiGroup = '', resource = '', subresource } = objectRef ?? {};
  return `${apiGroup}/${resource}${subresource === undefined ? '' : `/${subresource}`} ${verb}`;
}

/** An apply that made the object needed the right to create it as well. */
function rightsUsed(event: AuditEvent): string[] {
  const right = rightOf(event);
  return event.verb === 'patch' && event.responseStatus?.code === 201 ? [right, right.replace(/ patch$/, ' create')] : [right];
}

async function rightsGranted(): Promise<string[]> {
  const rules = await grantedRules();
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`))),
  );
}

describe("the operator's rights", () => {
  let cluster: Cluster;
  before(async () => {
    // Not on by default, but on in some distributions: it checks who may name an owner.
    cluster = await Cluster.start({ admissionPlugins: ['OwnerReferencesPermissionEnforcement'] });
  });
  after(() => cluster.stop());

  const unusedRights = async (): Promise<string[]> => {
    const used = new Set((await cluster.audit()).filter(({ responseStatus }) => responseStatus?.code !== 403).flatMap(rightsUsed));
    return (await rightsGranted()).filter((right) => !used.has(right) && !NOT_LOGGED.has(right));
  };

  void test('uses every granted permission, and no request is forbidden', async (t) => {
    const whole = await cluster.platform('whole', {
      deletionPolicy: 'delete',
      redis: {},
      prometheus: {},
      networkPolicies: {},
      workloads: { gateway: { ingress: { host: 'bss.example.com' } } },
    });
    await whole.ready();
    await drift(whole);
    await unstick(cluster, whole);
    await whole.patch({ spec: { workloads: { interest: { autoscaling: { minReplicas: 2 } } } } });
    await until('the consumers to be scaled', LIMIT_MS, async () => replicasOf(await whole.object('Deployment', 'interest')) === 2);
    await rest(whole);
    await leaveOut(whole);
    await keda(cluster);
    await gatewayApi(cluster);
    await whole.delete();
    const limit = performance.now() + LIMIT_MS;
    // Repetitions of an event are written some seconds later.
    while ((await unusedRights()).length > 0 && performance.now() < limit) await cluster.nextRenewal();
    const refused = (await cluster.audit()).filter(({ responseStatus }) => responseStatus?.code === 403);
    assert.deepEqual([...new Set(refused.map((event) => `${rightOf(event)}: ${event.responseStatus?.message}`))], []);
    assert.deepEqual(await unusedRights(), [], 'granted and never used: take it out of the chart');
    t.diagnostic(
      `${(await rightsGranted()).length} rights granted, ${NOT_LOGGED.size} of them used without a trace, all others in the log`,
    );
  });

  void test('needs the permissions that the audit log does not show', async () => {
    const { kubeconfigPath } = await cluster.logIn();
    const operator = new KubeClient({ config: loadKubeConfig({ path: kubeconfigPath }), metrics: new Metrics(), userAgent: 'bss-test' });
    const platform = await cluster.platform('traces');
    const { uid = '' } = (await platform.get()).metadata;
    const owner = { apiVersion: API_VERSION, kind: KIND, name: 'a', uid, controller: true, blockOwnerDeletion: true };
    const attempts: Record<string, KubernetesObject> = {
      '/pods get': {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'probe', namespace: 'traces' },
        rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }],
      },
      'bss-platform.io/bssplatforms/finalizers update': {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'probe', namespace: 'traces', ownerReferences: [owner] },
      },
    };
    assert.deepEqual(Object.keys(attempts), [...NOT_LOGGED.keys()]);
    await cluster.operator.stop();
    for (const [right, object] of Object.entries(attempts)) {
      await operator.create(object, { dryRun: true });
      await withdraw(cluster, right);
      await until(`${object.kind} to be refused without ${right}`, LIMIT_MS, () =>
        operator.create(object, { dryRun: true }).then(
          () => false,
          (error: unknown) => isForbidden(error),
        ),
      );
    }
  });
});

function replicasOf(object: KubernetesObject | undefined): unknown {
  return (object?.['spec'] as { replicas?: number } | undefined)?.replicas;
}

/** The same twice, so that its event is repeated. */
async function drift(platform: TestPlatform): Promise<void> {
  const again = async () => {
    await platform.remove('Service', 'gateway');
    await platform.have('Service', 'gateway');
  };
  await again();
  await again();
  await platform.edit('Secret', 'credentials', { data: { 'debug-token': null } });
  await until('the key to be back', LIMIT_MS, async () => 'debug-token' in (await platform.credentials()));
  await platform.ready();
}

/** A pod of a former revision that blocks the rollout of its StatefulSet. */
async function unstick(cluster: Cluster, platform: TestPlatform): Promise<void> {
  const labels = {
    'app.kubernetes.io/managed-by': 'bss-operator',
    'app.kubernetes.io/instance': 'a',
    'app.kubernetes.io/component': 'postgres',
    'controller-revision-hash': 'a-postgres-old',
  };
  const metadata = { name: 'a-postgres-0', namespace: platform.namespace, labels };
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'postgres', image: 'postgres' }] } };
  const set = await platform.have('StatefulSet', 'postgres');
  await cluster.client.create(pod);
  await cluster.client.patch(
    platform.ref('StatefulSet', 'postgres'),
    { status: { updateRevision: 'a-postgres-new' } },
    { subresource: 'status' },
  );
  await cluster.hand.fail(set);
  await platform.gone('Pod', 'postgres-0');
  await cluster.hand.release('a-postgres');
  await platform.ready();
}

async function rest(platform: TestPlatform): Promise<void> {
  await platform.patch({ spec: { paused: true } });
  await platform.until('Paused', 'True');
  await platform.patch({ spec: { paused: false, hibernate: true } });
  await platform.until('Ready', 'False', 'Hibernated');
  await platform.patch({ spec: { hibernate: false } });
  await platform.ready();
}

/** What is not wanted any more goes: an object of almost every kind. */
async function leaveOut(platform: TestPlatform): Promise<void> {
  const workloads = { gateway: { ingress: null } };
  const enabled = { enabled: false };
  await platform.patch({ spec: { version: '0.2.0', redis: enabled, prometheus: enabled, networkPolicies: enabled, workloads } });
  await platform.gone('StatefulSet', 'prometheus');
  await platform.gone('Service', 'redis');
  await platform.ready();
}

/** KEDA comes while the operator runs; the objects that are made for it are guarded and taken away like all others. */
async function keda(cluster: Cluster): Promise<void> {
  await installKeda(cluster.client);
  const tls = { caSecret: { name: 'kafka-ca' } };
  const builtin = { workloads: { interest: { autoscaling: { mode: 'builtin' } } } };
  const platform = await cluster.platform('keda', {
    kafka: { external: { brokers: cluster.brokers, tls } },
    workloads: { interest: { autoscaling: { mode: 'keda' } } },
  });
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'kafka-ca', namespace: 'keda' }, stringData: { 'ca.crt': 'none' } };
  await cluster.client.create(secret);
  await platform.ready();
  await platform.have('TriggerAuthentication', 'interest');
  await platform.edit('ScaledObject', 'interest', { spec: { maxReplicaCount: 99 } });
  await platform.event('DriftCorrected', /ScaledObject a-interest/);
  await platform.patch({ spec: builtin });
  await platform.gone('ScaledObject', 'interest');
  await platform.gone('TriggerAuthentication', 'interest');
}

async function gatewayApi(cluster: Cluster): Promise<void> {
  await installGatewayApi(cluster.client);
  const route = { parentRefs: [{ name: 'public' }], hostnames: ['bss.example.com'] };
  const platform = await cluster.platform('route', { workloads: { gateway: { route } } });
  await platform.have('HTTPRoute', 'gateway');
  await platform.edit('HTTPRoute', 'gateway', { spec: { hostnames: ['other.example.com'] } });
  await platform.event('DriftCorrected', /HTTPRoute a-gateway/);
  await platform.patch({ spec: { workloads: { gateway: { route: null } } } });
  await platform.gone('HTTPRoute', 'gateway');
}

/** Takes one right out of the operator's ClusterRole. */
async function withdraw(cluster: Cluster, right: string): Promise<void> {
  const [path = '', verb] = right.split(' ');
  const slash = path.indexOf('/');
  const [group, resource] = [path.slice(0, slash), path.slice(slash + 1)];
  const reference = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', name: ACCOUNT };
  const { rules } = (await cluster.client.get(reference)) as unknown as {
    rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
  };
  const kept = rules.map((rule) =>
    rule.apiGroups.includes(group) && rule.resources.includes(resource)
      ? { ...rule, verbs: rule.verbs.filter((one) => one !== verb) }
      : rule,
  );
  await cluster.client.patch(reference, { rules: kept.filter(({ verbs }) => verbs.length > 0) });
}

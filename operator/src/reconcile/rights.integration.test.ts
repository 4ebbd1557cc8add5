/**
 * Least privilege: platforms live through everything there is under the rights that the chart gives the operator, and the API server's audit log
 * tells which of them were used. A permission that was not used is one too many; a request that was forbidden is one too few.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { API_VERSION, AUTOSCALER_KIND, KIND } from '../api/index.ts';
import { KubeClient, loadKubeConfig, Metrics, type KubernetesObject } from '../runtime/index.ts';
import type { AuditEvent } from '../runtime/testing/harness.ts';
import type { AutoscalerObject } from './scaling/claims.ts';
import { Cluster, isForbidden, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';
import { installGatewayApi } from './testing/gateway-api.ts';
import { ACCOUNT, grantedRules } from './testing/installation.ts';
import { installKeda } from './testing/keda.ts';
import { installPrometheusOperator } from './testing/prometheus-operator.ts';

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

/** @param values of the chart */
async function rightsGranted(values: readonly string[] = []): Promise<string[]> {
  const rules = await grantedRules(values);
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`))),
  );
}

async function unusedRights(cluster: Cluster, values: readonly string[] = []): Promise<string[]> {
  const used = new Set((await cluster.audit()).filter(({ responseStatus }) => responseStatus?.code !== 403).flatMap(rightsUsed));
  return (await rightsGranted(values)).filter((right) => !used.has(right) && !NOT_LOGGED.has(right));
}

/** Waits until every right was used: repetitions of an event are written some seconds later. */
async function assertUsed(cluster: Cluster, values: readonly string[] = []): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while ((await unusedRights(cluster, values)).length > 0 && performance.now() < limit) await cluster.nextRenewal();
  const refused = (await cluster.audit()).filter(({ responseStatus }) => responseStatus?.code === 403);
  assert.deepEqual([...new Set(refused.map((event) => `${rightOf(event)}: ${event.responseStatus?.message}`))], []);
  assert.deepEqual(await unusedRights(cluster, values), [], 'granted and never used: take it out of the chart');
}

describe("the operator's rights", () => {
  let cluster: Cluster;
  before(async () => {
    // Not on by default, but on in some distributions: it checks who may name an owner.
    cluster = await Cluster.start({ admissionPlugins: ['OwnerReferencesPermissionEnforcement'] });
  });
  after(() => cluster.stop());

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
    await monitoring(cluster);
    await whole.delete();
    await autoscaler(cluster, 'StatefulSet');
    await assertUsed(cluster);
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

describe("the operator's rights without platforms", () => {
  const values = ['platforms.enabled=false'];
  let cluster: Cluster;
  before(async () => {
    cluster = await Cluster.start({ values });
  });
  after(() => cluster.stop());

  void test('scales with a fraction of the rights, uses all of them, and leaves platforms alone', async (t) => {
    await autoscaler(cluster, 'Deployment');
    await autoscaler(cluster, 'StatefulSet');
    await secured(cluster);
    await assertUsed(cluster, values);
    const granted = await rightsGranted(values);
    assert.deepEqual(
      granted.filter((right) => / (delete|update)$/.test(right) || /bssplatforms|configmaps|roles/.test(right)),
      ['coordination.k8s.io/leases update'],
    );
    t.diagnostic(`${granted.length} rights granted, ${(await rightsGranted()).length} with platforms`);
  });
});

const autoscalerOf = (name: string, namespace: string) => ({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, name, namespace });

/** An object of this kind, scaled up to the safe number because the topic does not exist, and lowered again so that its event is repeated. */
async function autoscaler(cluster: Cluster, kind: string): Promise<void> {
  const [name, namespace] = ['consumers', `rights-${kind.toLowerCase()}`];
  await cluster.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  const labels = { app: name };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'worker', image: 'worker' }] } };
  const more = kind === 'StatefulSet' ? { serviceName: name } : {};
  const workload = { apiVersion: 'apps/v1', kind, name, namespace };
  const spec = { selector: { matchLabels: labels }, template, replicas: 1, ...more };
  await cluster.client.create({ apiVersion: 'apps/v1', kind, metadata: { name, namespace }, spec });
  const target = {
    scaleTargetRef: { kind, name },
    safeReplicas: 2,
    lagUnknownAfter: '0s',
    group: 'rights',
    topics: ['rights'],
    brokers: cluster.brokers,
  };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name, namespace }, spec: target });
  const scaled = async (replicas: number) => {
    await until(`${kind} to have ${replicas} replicas`, LIMIT_MS, async () => replicasOf(await cluster.client.find(workload)) === replicas);
  };
  await scaled(2);
  await cluster.client.patch(workload, { spec: { replicas: 1 } });
  await scaled(2);
}

/** A missing Secret, and its arrival. */
async function secured(cluster: Cluster): Promise<void> {
  const [name, namespace] = ['secured', 'rights-deployment'];
  const sasl = { secretName: 'kafka-login' };
  const spec = { scaleTargetRef: { name }, group: 'rights', topics: ['rights'], brokers: cluster.brokers, sasl };
  await cluster.client.create({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata: { name, namespace }, spec });
  const reason = async () => {
    const { status } = await cluster.client.get<AutoscalerObject>(autoscalerOf(name, namespace));
    return status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
  };
  await until('the missing Secret to be reported', LIMIT_MS, async () => (await reason()) === 'SecretsMissing');
  const metadata = { name: sasl.secretName, namespace };
  await cluster.client.create({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { username: 'a', password: 'b' } });
  await until('the Secret to be read', LIMIT_MS, async () => (await reason()) !== 'SecretsMissing');
}

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
  await platform.edit('Secret', 'credentials', { data: { 'api-key': null } });
  await until('the key to be back', LIMIT_MS, async () => 'api-key' in (await platform.credentials()));
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

async function monitoring(cluster: Cluster): Promise<void> {
  await installPrometheusOperator(cluster.client);
  const platform = await cluster.platform('monitoring', { prometheus: {}, observability: { mode: 'existing' } });
  const objects = ['PodMonitor', 'PrometheusRule'];
  for (const kind of objects) {
    await platform.have(kind, 'monitoring');
    await platform.edit(kind, 'monitoring', { metadata: { labels: { 'app.kubernetes.io/part-of': 'other' } } });
    await platform.event('DriftCorrected', new RegExp(`${kind} a-monitoring`));
  }
  await platform.patch({ spec: { observability: { mode: 'managed' }, prometheus: { enabled: false } } });
  for (const kind of objects) await platform.gone(kind, 'monitoring');
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

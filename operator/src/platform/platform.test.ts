/** What holds for the manifests of every platform. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Container, V1NetworkPolicySpec, V1PodTemplateSpec, V1Probe } from '@kubernetes/client-node';
import { quantityValue } from '../api/index.ts';
import { fieldsOf, goldenInput, inputOf, podTemplateOf } from './golden.ts';
import { buildPlatform, HASH_ANNOTATION, KEEP_ANNOTATION, secretUses, STAGES } from './index.ts';
import type { KubernetesObject, PlatformInput } from './types.ts';

const GOLDEN = ['small', 'production', 'external', 'interest-only', 'existing-monitoring'];

const manifests = (input: PlatformInput): KubernetesObject[] => buildPlatform(input).flatMap((component) => component.manifests);

interface Workload {
  object: KubernetesObject;
  template: V1PodTemplateSpec;
  containers: V1Container[];
}

function workloads(input: PlatformInput): Workload[] {
  return manifests(input).flatMap((object) => {
    const template = podTemplateOf(object);
    return template?.spec ? [{ object, template, containers: [...(template.spec.initContainers ?? []), ...template.spec.containers] }] : [];
  });
}

const claims = (input: PlatformInput) => manifests(input).filter(({ kind }) => kind === 'PersistentVolumeClaim');
const jobName = (raw: unknown) => manifests(inputOf(raw)).find(({ kind }) => kind === 'Job')?.metadata.name;

/** Sum of the requests of a platform's pods, the short-lived Job aside. */
function requested(input: PlatformInput, part: 'cpu' | 'memory'): number {
  return workloads(input)
    .filter(({ object }) => object.kind !== 'Job')
    .flatMap(({ template }) => template.spec?.containers ?? [])
    .reduce((sum, { resources }) => sum + quantityValue(resources?.requests?.[part] ?? '0'), 0);
}

function named(input: PlatformInput, kind: string, name: string): KubernetesObject {
  const found = manifests(input).find((object) => object.kind === kind && object.metadata.name === name);
  assert.ok(found, `${kind}/${name}`);
  return found;
}

const hashOf = (input: PlatformInput, name: string): string | undefined =>
  workloads(input).find(({ object }) => object.metadata.name === name)?.template.metadata?.annotations?.[HASH_ANNOTATION];

/** PgBouncer reloads its users while it runs, and Postgres reads the password only when it creates its data directory. */
const WITHOUT_RESTART = new Set(['pgbouncer demo-credentials/pgbouncer-userlist', 'postgres demo-credentials/postgres-password']);

/** The name of the migration Job changes with its template; its component does not. */
const componentOf = ({ object }: Workload): string | undefined => object.metadata.labels?.['app.kubernetes.io/component'];
const configHash = ({ template }: Workload): string | undefined => template.metadata?.annotations?.[HASH_ANNOTATION];

/** `secret/key` of every value that the pods of a template read, from its variables and volumes. */
function secretsOf({ spec }: V1PodTemplateSpec): string[] {
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const variables = containers.flatMap(({ env = [] }) => env.map(({ valueFrom }) => valueFrom?.secretKeyRef));
  const volumes = (spec?.volumes ?? []).flatMap(({ secret, projected }) => [
    { name: secret?.secretName, items: secret?.items },
    ...(projected?.sources ?? []).map((source) => ({ name: source.secret?.name, items: source.secret?.items })),
  ]);
  const files = volumes.flatMap(({ name, items = [] }) => items.map(({ key }) => ({ name, key })));
  const keys = [...variables, ...files].flatMap((ref) => (ref?.name === undefined ? [] : [`${ref.name}/${ref.key}`]));
  return [...new Set(keys)];
}

/** Reads the logs of containers, which belong to root. */
const ROOT = 'demo-log-agent';
const MOUNT_HOST = [ROOT, 'demo-node-exporter'];

for (const name of GOLDEN) {
  await test(`${name}: every pod is restricted, has limits and probes, and an explicit command`, async () => {
    for (const { object, template, containers } of workloads(await goldenInput(name))) {
      const pod = template.spec;
      const where = object.metadata.name;
      assert.equal(pod?.securityContext?.runAsNonRoot, where !== ROOT, where);
      assert.equal((pod?.securityContext?.runAsUser ?? 0) > 0, where !== ROOT, where);
      if (!MOUNT_HOST.includes(where)) assert.ok(!(pod?.volumes ?? []).some(({ hostPath }) => hostPath), `${where}: no folder of the node`);
      assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault', where);
      assert.equal(pod?.automountServiceAccountToken, where === 'demo-prometheus', `${where}: a token only where it is used`);
      for (const container of containers) {
        assert.equal(container.securityContext?.readOnlyRootFilesystem, true, container.name);
        assert.equal(container.securityContext?.allowPrivilegeEscalation, false, container.name);
        assert.deepEqual(container.securityContext?.capabilities?.drop, ['ALL'], container.name);
        assert.ok(container.resources?.requests?.['cpu'] && container.resources.limits?.['memory'], container.name);
        assert.ok(container.resources.requests['ephemeral-storage'] && container.resources.limits['ephemeral-storage'], container.name);
        assert.ok((container.command ?? []).length > 0, container.name);
        assert.equal(container.terminationMessagePolicy, 'FallbackToLogsOnError', container.name);
      }
      assert.ok(
        pod?.topologySpreadConstraints?.some(({ topologyKey }) => topologyKey === 'kubernetes.io/hostname'),
        `${where}: spread over nodes`,
      );
      for (const { name: container, readinessProbe, livenessProbe } of pod?.containers ?? [])
        if (livenessProbe?.httpGet)
          assert.notDeepEqual(livenessProbe.httpGet, readinessProbe?.httpGet, `${container}: alive is not the same as ready`);
      if (object.kind !== 'Job') assert.ok(pod?.containers[0]?.readinessProbe && pod.containers[0].livenessProbe, where);
    }
  });

  await test(`${name}: standard labels, one name each, stages in order`, async () => {
    const input = await goldenInput(name);
    const components = buildPlatform(input);
    const keys = manifests(input).map((object) => `${object.kind}/${object.metadata.name}`);
    assert.equal(new Set(keys).size, keys.length, 'no object twice');
    for (const { name: component, manifests: objects } of components) {
      for (const { metadata } of objects) {
        assert.equal(metadata.labels?.['app.kubernetes.io/component'], component);
        assert.equal(metadata.labels?.['app.kubernetes.io/managed-by'], 'bss-operator');
        assert.equal(metadata.namespace, 'bss');
        assert.ok(metadata.name === 'demo' || metadata.name.startsWith('demo-'), metadata.name);
      }
    }
    const order = components.map(({ stage }) => STAGES.indexOf(stage));
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
  });

  await test(`${name}: every Secret that pods read is in secretUses, and a new value restarts exactly these pods`, async () => {
    const input = await goldenInput(name);
    const uses = secretUses(input).flatMap((use) => use.keys.map((key) => `${use.name}/${key}`));
    const read = new Set(workloads(input).flatMap(({ template }) => secretsOf(template)));
    assert.ok(read.size > 0);
    assert.deepEqual([...read].toSorted(), uses.toSorted());
    for (const use of uses) {
      const [secret = '', key = ''] = use.split('/');
      const changed = { ...input, secretHashes: { [secret]: { [key]: 'changed' } } };
      const readers = workloads(input)
        .filter(({ template }) => secretsOf(template).includes(use))
        .map(componentOf);
      const former = new Map(workloads(input).map((workload) => [componentOf(workload), configHash(workload)]));
      const restarted = workloads(changed).filter((workload) => configHash(workload) !== former.get(componentOf(workload)));
      const expected = readers.filter((component) => !WITHOUT_RESTART.has(`${component} ${use}`));
      assert.deepEqual(restarted.map(componentOf), expected, use);
    }
  });

  await test(`${name}: hibernation leaves every object but scales all pods to nothing`, async () => {
    const input = await goldenInput(name);
    const asleep = { ...input, spec: { ...input.spec, hibernate: true } };
    for (const { object } of workloads(asleep)) {
      if (object.kind === 'Job') assert.equal(fieldsOf(object).suspend, true);
      else assert.equal(fieldsOf(object).replicas, 0, object.metadata.name);
    }
    assert.deepEqual(claims(asleep), claims(input), 'volumes stay as they are');
  });
}

await test('the small profile runs on two cores and 6 GiB', () => {
  const [cpu, memory] = [requested(inputOf({}), 'cpu'), requested(inputOf({}), 'memory')];
  assert.ok(cpu < 1, `${cpu} cores requested: the operator, DNS and more consumers need room`);
  assert.ok(memory < 3 * 2 ** 30, `${memory / 2 ** 30} GiB requested`);
});

await test('applies replicas only for a workload that is not autoscaled', () => {
  assert.equal('replicas' in fieldsOf(named(inputOf({}), 'Deployment', 'demo-interest')), false);
  const fixed = inputOf({ workloads: { interest: { replicas: 3 } } });
  assert.equal(fieldsOf(named(fixed, 'Deployment', 'demo-interest')).replicas, 3);
});

await test('a change restarts what it concerns, and nothing else', () => {
  const one = inputOf({});
  const pooled = inputOf({ pgbouncer: { defaultPoolSize: 30 } });
  assert.notEqual(hashOf(pooled, 'demo-pgbouncer'), hashOf(one, 'demo-pgbouncer'));
  const rotated = { ...one, secretHashes: { 'demo-credentials': { 'api-key-a': 'new' } } };
  for (const { object } of workloads(one)) {
    const { name } = object.metadata;
    const expected = name === 'demo-gateway' ? assert.notEqual : assert.equal;
    if (object.kind !== 'Job') expected(hashOf(rotated, name), hashOf(one, name), name);
  }
  const upgraded = inputOf({ version: '0.2.0' });
  for (const store of ['kafka', 'postgres', 'prometheus']) {
    const [after, before] = [upgraded, one].map((input) => podTemplateOf(named(input, 'StatefulSet', `demo-${store}`)));
    assert.deepEqual(after, before, `${store} is not restarted by a new version of the workloads`);
  }
});

function claimUnder(deletionPolicy: string) {
  return named(inputOf({ deletionPolicy }), 'PersistentVolumeClaim', 'demo-kafka-data').metadata;
}

await test('deletionPolicy keep leaves volumes without an owner', () => {
  assert.equal(claimUnder('delete').ownerReferences?.[0]?.kind, 'BssPlatform');
  assert.equal(claimUnder('delete').annotations?.[KEEP_ANNOTATION], undefined);
  assert.equal(claimUnder('keep').ownerReferences, undefined);
  assert.equal(claimUnder('keep').annotations?.[KEEP_ANNOTATION], 'true');
});

await test('names a new migration Job when, and only when, its pod template changes', () => {
  assert.equal(jobName({}), jobName({ workloads: { gateway: { replicas: 2 } } }));
  assert.notEqual(jobName({}), jobName({ seedAccounts: 5 }));
  assert.notEqual(jobName({}), jobName({ version: '0.2.0' }));
});

await test('the same input gives the same manifests', () => {
  const input = inputOf({});
  const first = JSON.stringify(buildPlatform(input));
  for (let run = 0; run < 3; run++) assert.equal(JSON.stringify(buildPlatform(input)), first);
});

/** Seconds of failing probes after which the kubelet restarts the container. */
const seconds = (probe: V1Probe | undefined): number => (probe?.periodSeconds ?? 10) * (probe?.failureThreshold ?? 3);

for (const store of ['postgres', 'kafka']) {
  await test(`${store} has an hour to recover its log at startup, and is not restarted because it is busy`, async () => {
    const [container] = fieldsOf(named(await goldenInput('small'), 'StatefulSet', `demo-${store}`)).template?.spec?.containers ?? [];
    assert.ok(seconds(container?.startupProbe) >= 3600, `${seconds(container?.startupProbe)} s to start`);
    assert.ok(seconds(container?.readinessProbe) <= 30, 'clients go elsewhere soon');
    assert.ok(seconds(container?.livenessProbe) >= 300, `${seconds(container?.livenessProbe)} s of missing answers`);
    assert.ok((container?.livenessProbe?.timeoutSeconds ?? 1) >= 30, 'a slow answer is an answer');
  });
}

await test('network policies follow the addresses of the cluster', async () => {
  const workloadsSpec = { interest: { autoscaling: { mode: 'keda' } } };
  const apiServer = { addresses: ['10.0.0.1/32', 'fd00::1/128'], ports: [8443] };
  const unset = inputOf({ workloads: workloadsSpec });
  const set = inputOf({ workloads: workloadsSpec, networkPolicies: { apiServer, dnsPorts: [5353], kedaNamespace: 'scaling' } });
  const rules = (input: PlatformInput, component: string, direction: 'egress' | 'ingress') => {
    const { spec } = named(input, 'NetworkPolicy', `demo-${component}`) as KubernetesObject & { spec: V1NetworkPolicySpec };
    return spec[direction] ?? [];
  };
  const tcp = (...ports: number[]) => ports.map((port) => ({ protocol: 'TCP', port }));
  const dns = (port: number) => [{ ports: [{ protocol: 'UDP', port }, ...tcp(port)] }];
  assert.deepEqual(rules(unset, 'default-deny', 'egress'), dns(53));
  assert.deepEqual(rules(set, 'default-deny', 'egress'), dns(5353));
  const servers = apiServer.addresses.map((network) => ({ ipBlock: { cidr: network } }));
  assert.deepEqual(rules(unset, 'prometheus', 'egress').at(-1), { ports: tcp(443, 6443) });
  assert.deepEqual(rules(set, 'prometheus', 'egress').at(-1), { to: servers, ports: tcp(8443) });
  assert.match(JSON.stringify(rules(unset, 'kafka', 'ingress')), /"kubernetes.io\/metadata.name":"keda"/);
  assert.match(JSON.stringify(rules(set, 'kafka', 'ingress')), /"kubernetes.io\/metadata.name":"scaling"/);
});

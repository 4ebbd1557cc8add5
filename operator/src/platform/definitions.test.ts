/** The definitions hold what the manifests use: whatever a component opens, connects to or reads without declaring it fails here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1NetworkPolicyPeer, V1PodSpec } from '@kubernetes/client-node';
import { EXPORTER_ROLE as MIGRATED_EXPORTER, ROLES } from '../../../workloads/shared/databases/index.ts';
import { DEFINITIONS, SPEC_PIECES } from './components/index.ts';
import { isMetricsPort, presentIn, type ComponentDefinition } from './definition.ts';
import { goldenInput, inputOf, podTemplateOf } from './golden.ts';
import { buildPlatform } from './index.ts';
import { KINDS, type IngressRule } from './kinds.ts';
import { EXPORTER_ROLE, passwordKey, slotKey, SLOTS } from './logins.ts';
import { hasPrometheus } from './scraping.ts';
import type { KubernetesObject, PlatformInput } from './types.ts';

/** Platforms of which all are enough to have every component, each of its connections, and every kind. */
async function platforms(): Promise<Record<string, PlatformInput>> {
  const names = ['small', 'production', 'external', 'existing-monitoring'];
  const [small, production, external, existing] = await Promise.all(names.map(goldenInput));
  assert.ok(small && production && external && existing);
  return { small, production, external, existing, rotating: { ...small, slots: { active: 'b', live: ['a', 'b'], formerAdmin: true } } };
}

const PLATFORMS = await platforms();

interface Policy {
  ingress?: IngressRule[];
  egress?: { to?: V1NetworkPolicyPeer[]; ports?: { port?: number | string }[] }[];
}

interface Built {
  definition: ComponentDefinition;
  manifests: KubernetesObject[];
  pods: V1PodSpec[];
  policy: Policy;
}

/** Each component with its manifests, its pods and its NetworkPolicy. */
function built(input: PlatformInput): Built[] {
  const components = buildPlatform(input);
  const all = components.flatMap(({ manifests }) => manifests);
  return presentIn(DEFINITIONS, input.spec).map((definition) => {
    const manifests = components.find(({ name }) => name === definition.name)?.manifests ?? [];
    const policy = all.find(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === `${input.name}-${definition.name}`);
    const pods = manifests.flatMap((object) => podTemplateOf(object)?.spec ?? []);
    return { definition, manifests, pods, policy: policy?.['spec'] ?? {} };
  });
}

const containersOf = (pods: V1PodSpec[]) => pods.flatMap(({ initContainers = [], containers }) => [...initContainers, ...containers]);

function hasPort(ports: { port?: number | string }[] = [], port: number): boolean {
  return ports.some((one) => one.port === port);
}

function isPeer(peers: V1NetworkPolicyPeer[] | undefined, component: string | undefined): boolean {
  if (peers === undefined) return true;
  return peers.some(({ podSelector }) => component !== undefined && podSelector?.matchLabels?.['app.kubernetes.io/name'] === component);
}

const admits = ({ ingress = [] }: Policy, from: string, port: number) =>
  ingress.some((rule) => hasPort(rule.ports, port) && isPeer(rule.from, from));
const opens = ({ egress = [] }: Policy, to: string | undefined, port: number) =>
  egress.some((rule) => hasPort(rule.ports, port) && (to === undefined ? rule.to === undefined : isPeer(rule.to, to)));

const ADDRESS = /(?<![\w.*-])([a-z][\w.-]*):(\d{2,5})(?!\d)|\bhost=(\S+) port=(\d+)/g;
const LOCAL = new Set(['localhost']);

/** Every host:port in the environment and the command of the pods and in the configuration of the component. */
function addressesOf({ pods, manifests }: Built): { host: string; port: number }[] {
  const environment = containersOf(pods).flatMap(({ env = [], command = [] }) => [...env.map(({ value }) => value ?? ''), ...command]);
  const config = manifests.filter(({ kind }) => kind === 'ConfigMap').flatMap(({ data }) => Object.values(data as Record<string, string>));
  const matches = [...environment, ...config].flatMap((text) => [...text.matchAll(ADDRESS)]);
  return matches
    .map(([, host, port, otherHost, otherPort]) => ({ host: host ?? otherHost ?? '', port: Number(port ?? otherPort) }))
    .filter(({ host }) => !LOCAL.has(host));
}

/** The component that a name inside the cluster belongs to; undefined for a host outside the platform. */
function componentAt({ name }: PlatformInput, host: string): string | undefined {
  const names = DEFINITIONS.map((definition) => definition.name).toSorted((a, b) => b.length - a.length);
  return names.find((component) => host.startsWith(`${name}-${component}`));
}

const slotted = (key: string) => [key, `${key}-former`, ...SLOTS.map((slot) => slotKey(key, slot))];
const rolePasswords = () => DEFINITIONS.flatMap(({ database }) => (database ? SLOTS.map((slot) => passwordKey(database.role, slot)) : []));

/** Keys that are generated for a definition. The list of PgBouncer's users is made of all logins. */
function keysOf({ credentials = [], database }: ComponentDefinition): string[] {
  const own = credentials.flatMap(({ key, derived }) => [...slotted(key), ...(derived ? [derived.key] : [])]);
  return [...own, ...(database ? SLOTS.map((slot) => passwordKey(database.role, slot)) : []), 'pgbouncer-userlist'];
}

function credentialsRead(pods: V1PodSpec[], { name }: PlatformInput): string[] {
  const secret = `${name}-credentials`;
  const variables = containersOf(pods).flatMap(({ env = [] }) => env.map(({ valueFrom }) => valueFrom?.secretKeyRef));
  const files = pods.flatMap(({ volumes = [] }) =>
    volumes.flatMap((volume) => (volume.secret?.secretName === secret ? (volume.secret.items ?? []) : [])),
  );
  return [...variables.flatMap((use) => (use?.name === secret ? [use.key] : [])), ...files.map(({ key }) => key)];
}

function assertUnique(what: string, names: readonly string[]): void {
  const doubles = names.filter((name, index) => names.indexOf(name) !== index);
  assert.deepEqual(doubles, [], `${what} that two definitions use`);
}

await test('every name is used once', () => {
  const each = <T>(select: (definition: ComponentDefinition) => readonly T[] | undefined) =>
    DEFINITIONS.flatMap((one) => select(one) ?? []);
  assertUnique(
    'component names',
    each(({ name }) => [name]),
  );
  assertUnique(
    'fields of the spec',
    SPEC_PIECES.map(({ at }) => at),
  );
  assertUnique(
    'images',
    each(({ images }) => images?.map(({ name }) => name)),
  );
  assertUnique(
    'topics',
    each(({ topics }) => topics?.map(({ name }) => name)),
  );
  assertUnique(
    'consumer groups',
    each(({ consumerGroup }) => consumerGroup && [consumerGroup.name]),
  );
  assertUnique(
    'database roles',
    each(({ database }) => database && [database.role]),
  );
  const keys = each(({ credentials }) => credentials?.flatMap(({ key, derived }) => [key, ...(derived ? [derived.key] : [])]));
  const passwords = each(({ database }) => database && SLOTS.map((slot) => passwordKey(database.role, slot)));
  assertUnique('credential keys', [...keys, ...passwords]);
});

await test('the migration creates exactly the roles that the definitions have', () => {
  const roles = DEFINITIONS.flatMap(({ database }) => (database ? [database.role] : []));
  assert.deepEqual(roles.toSorted(), [...ROLES].toSorted());
  assert.equal(EXPORTER_ROLE, MIGRATED_EXPORTER);
});

await test('groups read topics, and components connect to components, that a definition has', () => {
  const topics = DEFINITIONS.flatMap((one) => one.topics ?? []).map(({ name }) => name);
  for (const { consumerGroup } of DEFINITIONS) for (const topic of consumerGroup?.topics ?? []) assert.ok(topics.includes(topic), topic);
  const names = DEFINITIONS.map(({ name }) => name);
  for (const { spec } of Object.values(PLATFORMS)) {
    const targets = DEFINITIONS.flatMap(({ connections }) => connections?.(spec) ?? []).filter((one) => typeof one === 'string');
    for (const target of targets) assert.ok(names.includes(target), target);
  }
});

for (const [name, input] of Object.entries(PLATFORMS)) {
  await test(`${name}: a component declares exactly the ports that its containers open`, () => {
    for (const { definition, pods } of built(input)) {
      const open = containersOf(pods).flatMap(({ ports = [] }) => ports.map((port) => [port.name, port.containerPort]));
      assert.deepEqual(Object.fromEntries(open), definition.ports?.(input.spec) ?? {}, definition.name);
    }
  });

  await test(`${name}: the jobs of a component are its containers with metrics`, () => {
    for (const { definition, pods } of built(input)) {
      const scraped = containersOf(pods).filter(({ ports = [] }) => ports.some((port) => isMetricsPort(port.name ?? '')));
      const jobs = scraped.map((one) => one.name);
      assert.deepEqual(jobs.length === 0 ? [] : (definition.jobs?.(input.spec) ?? [definition.name]), jobs, definition.name);
    }
  });

  if (hasPrometheus(input.spec)) {
    await test(`${name}: Prometheus may scrape every port with metrics`, () => {
      const all = built(input);
      const prometheus = all.find(({ definition }) => definition.name === 'prometheus')?.policy ?? {};
      for (const { definition, policy } of all) {
        const scraped = Object.entries(definition.ports?.(input.spec) ?? {}).filter(([port]) => isMetricsPort(port));
        for (const [, port] of scraped) {
          assert.ok(admits(policy, 'prometheus', port), `${definition.name}:${port} admits Prometheus`);
          assert.ok(opens(prometheus, definition.name, port), `Prometheus may connect to ${definition.name}:${port}`);
        }
      }
    });
  }

  await test(`${name}: a component may connect to every address that its pods and its configuration name`, () => {
    let found = 0;
    for (const one of built(input)) {
      for (const { host, port } of addressesOf(one)) {
        const target = componentAt(input, host);
        if (target === one.definition.name) continue;
        found += 1;
        assert.ok(opens(one.policy, target, port), `${one.definition.name} connects to ${host}:${port} and does not declare it`);
      }
    }
    assert.ok(found > 10, `only ${found} addresses were found`);
  });

  await test(`${name}: a component reads no credential that it does not declare, or that is not generated`, () => {
    const generated = new Set(DEFINITIONS.flatMap(keysOf));
    for (const { definition, pods } of built(input)) {
      const declared = new Set((definition.reads ?? []).flatMap((key) => (key === 'every role' ? rolePasswords() : slotted(key))));
      const own = definition.database ? SLOTS.map((slot) => passwordKey(definition.database?.role ?? '', slot)) : [];
      for (const key of credentialsRead(pods, input)) {
        assert.ok(declared.has(key) || own.includes(key), `${definition.name} reads ${key}`);
        assert.ok(generated.has(key), `no definition generates ${key}`);
      }
    }
  });
}

await test('only PostgreSQL itself and the migration read the password of the administrator', () => {
  for (const input of Object.values(PLATFORMS)) {
    const { external } = input.spec.postgres;
    const name = external ? external.adminSecret.name : `${input.name}-credentials`;
    const key = external ? external.adminSecret.passwordKey : 'postgres-password';
    const readers = built(input).filter(
      ({ pods }) =>
        containersOf(pods).some(({ env = [] }) =>
          env.some((one) => one.valueFrom?.secretKeyRef?.name === name && one.valueFrom.secretKeyRef.key === key),
        ) ||
        pods.some(({ volumes = [] }) =>
          volumes.some(({ secret }) => secret?.secretName === name && secret.items?.some((item) => item.key === key)),
        ),
    );
    const names = readers.map(({ definition }) => definition.name);
    assert.deepEqual(names, external ? ['migrate'] : ['postgres', 'migrate']);
  }
});

await test('the table of kinds has every kind that is built, and no other', () => {
  const kinds = Object.values(PLATFORMS).flatMap((input) =>
    buildPlatform(input).flatMap(({ manifests }) => manifests.map(({ kind }) => kind)),
  );
  // The credentials Secret is the reconciler's.
  assert.deepEqual([...new Set([...kinds, 'Secret'])].toSorted(), Object.keys(KINDS).toSorted());
});

function metricsPorts({ ports }: ComponentDefinition, input: PlatformInput): number[] {
  return Object.entries(ports?.(input.spec) ?? {}).flatMap(([name, port]) => (isMetricsPort(name) ? [port] : []));
}

/** Whether any address may connect to a port. */
function isOpen({ ingress = [] }: Policy, port: number): boolean {
  return ingress.some(({ from, ports }) => from === undefined && hasPort(ports, port));
}

await test('any address may scrape the metrics ports of a platform without a Prometheus, and of no other', async () => {
  const input = await goldenInput('small');
  const without: PlatformInput = { ...input, spec: { ...input.spec, prometheus: { ...input.spec.prometheus, enabled: false } } };
  const existing = await goldenInput('existing-monitoring');
  // Grafana's metrics are on the port of its page, which asks for a login.
  const opened = (platform: PlatformInput): boolean[] =>
    built(platform)
      .filter(({ definition }) => definition.name !== 'grafana')
      .flatMap(({ definition, policy }) => metricsPorts(definition, platform).map((port) => isOpen(policy, port)));
  for (const platform of [without, existing]) {
    assert.ok(opened(platform).length > 0);
    assert.ok(opened(platform).every((open) => open));
  }
  assert.ok(opened(input).every((open) => !open));
});

const OFF = { gateway: { enabled: false }, ledger: { enabled: false }, interest: { enabled: false }, kafkaExporter: { enabled: false } };
/** What a component that uses a database needs. */
const neededBy = (name: string) => ({
  ...(name === 'interest' ? {} : { ledger: { enabled: true }, outboxRelay: { enabled: true } }),
  ...(name === 'crm' ? { gateway: { enabled: true } } : {}),
});
/** Names of the components of a platform with these workloads alone. */
const componentsWith = (workloads: object): string[] =>
  presentIn(DEFINITIONS, inputOf({ workloads: { ...OFF, ...workloads }, prometheus: { enabled: true } }).spec).map(({ name }) => name);
const DATABASE = ['postgres', 'pgbouncer', 'migrate'];

await test('a platform whose workloads use no database has none; each workload that uses it brings it', () => {
  const without = componentsWith({});
  assert.deepEqual(
    without.filter((name) => DATABASE.includes(name)),
    [],
  );
  assert.ok(without.includes('kafka') && without.includes('prometheus'));
  const users = DEFINITIONS.filter(({ database }) => database);
  assert.ok(users.length > 0);
  for (const { name } of users) {
    const field = name.replaceAll(/-(\w)/g, (_hyphen, letter: string) => letter.toUpperCase());
    const present = componentsWith({ ...neededBy(name), [field]: { enabled: true } });
    assert.ok(present.includes(name), name);
    assert.deepEqual(
      DATABASE.filter((part) => !present.includes(part)),
      [],
      name,
    );
  }
});

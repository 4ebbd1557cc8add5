/** Pure builders: from the spec (and the hashes of Secrets) to every manifest of a platform. */
import type { V1PodSpec } from '@kubernetes/client-node';
import { secretsOf } from '../api/kafka-access.ts';
import { component, type Draft } from './component.ts';
import { DEFINITIONS } from './components/index.ts';
import { kafkaAccess } from './components/kafka.ts';
import { presentIn, type BuildInput, type ComponentDefinition } from './definition.ts';
import { nameOf } from './names.ts';
import { admitted, refusedAgents, type RefusedComponent } from './pod-security.ts';
import { databasePools } from './pools.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { Component, Endpoint, PlatformInput, SecretUse } from './types.ts';

export { adviseSpec } from './advise.ts';
export { KEEP_ANNOTATION } from './component.ts';
export { HTTP_ROUTE } from './components/gateway.ts';
export { POD_MONITOR, PROMETHEUS_RULE } from './components/monitoring.ts';
export { INTEREST_GROUP, INTEREST_TOPIC } from './components/interest.ts';
export { ENTRY_TOPIC } from './components/outbox-relay.ts';
export { READ_MODEL_GROUP } from './components/read-model.ts';
export { kafkaAccess } from './components/kafka.ts';
export {
  beginRotation,
  completeCredentials,
  endRotation,
  isRotating,
  requestOf,
  slotsOf,
  withRequest,
  type Credentials,
} from './credentials.ts';
export { hash } from './hash.ts';
export { holdsData, isFinalizedFirst, isPrunedFirst, kindsWhere } from './kinds.ts';
export { FIRST_SLOT, type CredentialSlots } from './logins.ts';
export { credentialsName, labelsOf } from './names.ts';
export { POD_SECURITY_LABEL } from './pod-security.ts';
export { HASH_ANNOTATION, TEMPLATE_ANNOTATION } from './pods.ts';
export { parseSpec, profiles, specSchema, type BssPlatformSpec, type ParsedSpec } from './spec.ts';
export {
  STAGES,
  type Component,
  type Endpoint,
  type HealthCheck,
  type KubernetesObject,
  type PlatformInput,
  type SecretHashes,
  type SecretUse,
  type Stage,
} from './types.ts';

interface Built {
  definition: ComponentDefinition;
  drafts: (Draft | undefined)[];
}

function drafts(input: PlatformInput): Built[] {
  const definitions = admitted(DEFINITIONS, input.podSecurity);
  const all: BuildInput = { ...input, definitions, pools: databasePools(input.spec, DEFINITIONS).sizes };
  return presentIn(definitions, input.spec).map((definition) => ({ definition, drafts: definition.manifests(all) }));
}

/** Every component of the platform with its complete manifests. The same input gives the same output, to the letter. */
export function buildPlatform(input: PlatformInput): Component[] {
  return drafts(input).map((built) => component(input, built.definition, built.drafts));
}

/** The components of the spec that the namespace refuses, which are not built. */
export function refused({ spec, namespace, podSecurity }: Pick<PlatformInput, 'spec' | 'namespace' | 'podSecurity'>): RefusedComponent[] {
  return refusedAgents(DEFINITIONS, spec, namespace, podSecurity);
}

/** Addresses of the platform for `status.endpoints`, in the order of their names. They are the same in hibernation. */
export function endpoints(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): Endpoint[] {
  return DEFINITIONS.flatMap((definition) => definition.endpoints?.(platform) ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The consumer groups of the platform's components, with the Deployments that are scaled. */
export function ownGroups(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>) {
  return presentIn(DEFINITIONS, platform.spec).flatMap(({ name, consumerGroup: group }) =>
    group
      ? [{ group: group.name, topics: group.topics, deployment: nameOf(platform, name), autoscaling: group.autoscaling(platform.spec) }]
      : [],
  );
}

/** Topics of the spec that a consumer group of the platform reads, and that delete events by age. */
export function consumedTopics(spec: BssPlatformSpec): BssPlatformSpec['topics'] {
  const own = presentIn(DEFINITIONS, spec).flatMap(({ consumerGroup }) => consumerGroup?.topics ?? []);
  const read = new Set([...own, ...spec.consumerGroups.flatMap(({ topics }) => topics)]);
  return spec.topics.filter(({ name, cleanupPolicy }) => read.has(name) && cleanupPolicy === 'delete');
}

/** Secrets that the platform's pods use, by name: `PlatformInput.secretHashes` is made of their values. */
export function secretUses(input: Omit<PlatformInput, 'secretHashes'>): SecretUse[] {
  const keys = new Map<string, Set<string>>();
  const add = (name: string, key: string) => keys.set(name, (keys.get(name) ?? new Set()).add(key));
  for (const draft of drafts({ ...input, secretHashes: {} }).flatMap((built) => built.drafts)) {
    if (draft !== undefined && 'spec' in draft && hasPods(draft.spec)) visitSecrets(draft.spec.template.spec, add);
  }
  return [...keys].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, set]) => ({ name, keys: [...set].toSorted() }));
}

/** Secrets that the platform's pods or the operator itself use, by name. */
export function referencedSecrets(input: Omit<PlatformInput, 'secretHashes'>): SecretUse[] {
  const uses = [...secretUses(input), ...secretsOf(kafkaAccess(input))];
  const names = [...new Set(uses.map(({ name }) => name))].toSorted();
  const keysOf = (wanted: string) => uses.flatMap(({ name, keys }) => (name === wanted ? keys : []));
  return names.map((name) => ({ name, keys: [...new Set(keysOf(name))].toSorted() }));
}

function hasPods(spec: unknown): spec is { template: { spec: V1PodSpec } } {
  return typeof spec === 'object' && spec !== null && 'template' in spec;
}

function visitSecrets(pod: V1PodSpec, add: (name: string, key: string) => void): void {
  for (const { env } of [...(pod.initContainers ?? []), ...pod.containers]) {
    for (const { valueFrom } of env ?? []) if (valueFrom?.secretKeyRef?.name) add(valueFrom.secretKeyRef.name, valueFrom.secretKeyRef.key);
  }
  for (const { secret } of pod.volumes ?? [])
    for (const { key } of secret?.items ?? []) if (secret?.secretName) add(secret.secretName, key);
}
export { hasPrometheus } from './scraping.ts';

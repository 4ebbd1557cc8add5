/** Pure builders: from the spec (and the hashes of Secrets) to every manifest of a platform. */
import type { V1PodSpec } from '@kubernetes/client-node';
import { baseComponent } from './base.ts';
import { component, type Blueprint } from './component.ts';
import { exportersComponent } from './exporters.ts';
import { gatewayComponent } from './gateway.ts';
import { interestComponent } from './interest.ts';
import { kafkaExporterComponent } from './kafka-exporter.ts';
import { kafkaComponent } from './kafka.ts';
import { ledgerComponent } from './ledger.ts';
import { migrateComponent } from './migrate.ts';
import { pgbouncerComponent } from './pgbouncer.ts';
import { postgresComponent } from './postgres.ts';
import { prometheusComponent } from './prometheus.ts';
import { redisComponent } from './redis.ts';
import type { Component, PlatformInput, SecretUse } from './types.ts';

export { KEEP_ANNOTATION } from './component.ts';
export { kafkaAccess, type KafkaAccess, type PostgresAccess } from './connections.ts';
export {
  beginRotation,
  completeCredentials,
  endRotation,
  FIRST_SLOT,
  isRotating,
  requestOf,
  slotsOf,
  withRequest,
  type Credentials,
  type CredentialSlots,
} from './credentials.ts';
export { endpoints, type Endpoint } from './endpoints.ts';
export { HTTP_ROUTE } from './gateway.ts';
export { hash } from './hash.ts';
export { credentialsName, labelsOf, nameOf } from './names.ts';
export { HASH_ANNOTATION, TEMPLATE_ANNOTATION } from './pods.ts';
export {
  STAGES,
  type Component,
  type HealthCheck,
  type KubernetesObject,
  type PlatformInput,
  type SecretHashes,
  type SecretUse,
  type Stage,
} from './types.ts';

/** In the order in which they are brought up; within a stage they come together. */
const BUILDERS: ((input: PlatformInput) => Blueprint | undefined)[] = [
  baseComponent,
  kafkaComponent,
  postgresComponent,
  pgbouncerComponent,
  redisComponent,
  migrateComponent,
  ledgerComponent,
  gatewayComponent,
  interestComponent,
  kafkaExporterComponent,
  exportersComponent,
  prometheusComponent,
];

function blueprints(input: PlatformInput): Blueprint[] {
  return BUILDERS.map((build) => build(input)).filter((part) => part !== undefined);
}

/** Every component of the platform with its complete manifests. The same input gives the same output, to the letter. */
export function buildPlatform(input: PlatformInput): Component[] {
  return blueprints(input).map((part) => component(input, part));
}

/** Secrets that the platform's pods use, by name: what `PlatformInput.secretHashes` is to be made of. */
export function secretUses(input: Omit<PlatformInput, 'secretHashes'>): SecretUse[] {
  const keys = new Map<string, Set<string>>();
  const add = (name: string, key: string) => keys.set(name, (keys.get(name) ?? new Set()).add(key));
  for (const { drafts } of blueprints({ ...input, secretHashes: {} })) {
    for (const draft of drafts) if (hasPods(draft['spec'])) visitSecrets(draft['spec'].template.spec, add);
  }
  return [...keys].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, set]) => ({ name, keys: [...set].toSorted() }));
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

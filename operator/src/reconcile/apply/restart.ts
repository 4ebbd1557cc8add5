/** Why pods are rolled out: a closed list of reasons, derived from the difference between two pod templates. */
import { isDeepStrictEqual } from 'node:util';
import type { KubernetesObject } from '../../runtime/index.ts';

/** In the order in which they are reported. */
export const RESTART_REASONS = [
  'ImageChanged',
  'ConfigChanged',
  'CredentialsRotated',
  'CommandChanged',
  'EnvironmentChanged',
  'ResourcesChanged',
  'ProbesChanged',
  'VolumesChanged',
  'PlacementChanged',
  'SecurityChanged',
  'LabelsChanged',
  'RestartRequested',
  'TemplateChanged',
] as const;
export type RestartReason = (typeof RESTART_REASONS)[number];

type Json = Record<string, unknown>;

/** `kubectl rollout restart` sets this annotation. */
const RESTARTED_AT = 'kubectl.kubernetes.io/restartedAt';

const CONTAINER_FIELDS: Record<string, RestartReason> = {
  image: 'ImageChanged',
  imagePullPolicy: 'ImageChanged',
  command: 'CommandChanged',
  args: 'CommandChanged',
  lifecycle: 'CommandChanged',
  workingDir: 'CommandChanged',
  env: 'EnvironmentChanged',
  envFrom: 'EnvironmentChanged',
  resources: 'ResourcesChanged',
  readinessProbe: 'ProbesChanged',
  livenessProbe: 'ProbesChanged',
  startupProbe: 'ProbesChanged',
  volumeMounts: 'VolumesChanged',
  securityContext: 'SecurityChanged',
};

const POD_FIELDS: Record<string, RestartReason> = {
  volumes: 'VolumesChanged',
  nodeSelector: 'PlacementChanged',
  tolerations: 'PlacementChanged',
  affinity: 'PlacementChanged',
  priorityClassName: 'PlacementChanged',
  priority: 'PlacementChanged',
  topologySpreadConstraints: 'PlacementChanged',
  imagePullSecrets: 'ImageChanged',
  securityContext: 'SecurityChanged',
  serviceAccountName: 'SecurityChanged',
  serviceAccount: 'SecurityChanged',
  automountServiceAccountToken: 'SecurityChanged',
};

/** Changes that can add or remove Secrets. */
const USES_SECRETS = new Set<RestartReason>(['EnvironmentChanged', 'VolumesChanged', 'TemplateChanged']);

/**
 * Reasons for the rollout that turns `before` into `after`; empty when the pod template stays the same. Both are objects as the API server
 * returns them, with its defaults.
 * @param hashAnnotation annotation of the template with the hash of configuration and Secrets
 * @param configChanged whether a ConfigMap of the component changed; otherwise a Secret caused a new hash
 */
export function restartReasons(
  before: KubernetesObject | undefined,
  after: KubernetesObject,
  hashAnnotation: string,
  configChanged: boolean,
): RestartReason[] {
  const [old, next] = [templateOf(before), templateOf(after)];
  if (old === undefined || next === undefined || isDeepStrictEqual(old, next)) return [];
  const pod = podReasons(old, next);
  // A different set of Secrets changes the hash although none of them was rotated.
  const otherSecrets = pod.some((reason) => USES_SECRETS.has(reason));
  const metadata = metadataReasons(old, next, hashAnnotation, configChanged);
  const found = new Set([...metadata.filter((reason) => reason !== 'CredentialsRotated' || !otherSecrets), ...pod]);
  if (found.size === 0) found.add('TemplateChanged');
  return RESTART_REASONS.filter((reason) => found.has(reason));
}

/** A change of their template replaces their pods. */
const RESTARTED = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

function templateOf(object: KubernetesObject | undefined): Json | undefined {
  if (object === undefined || !RESTARTED.has(object.kind)) return undefined;
  const template = record(object['spec'])['template'];
  return template === undefined ? undefined : record(template);
}

function metadataReasons(old: Json, next: Json, hashAnnotation: string, configChanged: boolean): RestartReason[] {
  const [a, b] = [record(old['metadata']), record(next['metadata'])];
  const changed = changedFields(record(a['annotations']), record(b['annotations']));
  return [
    ...(isDeepStrictEqual(a['labels'], b['labels']) ? [] : (['LabelsChanged'] as const)),
    ...(changed.includes(hashAnnotation) ? [configChanged ? ('ConfigChanged' as const) : ('CredentialsRotated' as const)] : []),
    ...(changed.includes(RESTARTED_AT) ? (['RestartRequested'] as const) : []),
  ];
}

function podReasons(old: Json, next: Json): RestartReason[] {
  const [a, b] = [record(old['spec']), record(next['spec'])];
  const fields = changedFields(a, b);
  const containers = ['containers', 'initContainers'];
  return [
    ...fields.filter((field) => !containers.includes(field)).map((field) => POD_FIELDS[field] ?? 'TemplateChanged'),
    ...containers.flatMap((field) => containerReasons(byName(a[field]), byName(b[field]))),
  ];
}

function containerReasons(old: Map<string, Json>, next: Map<string, Json>): RestartReason[] {
  const names = new Set([...old.keys(), ...next.keys()]);
  return [...names].flatMap((name) => {
    const [a, b] = [old.get(name), next.get(name)];
    if (a === undefined || b === undefined) return ['TemplateChanged' as const];
    return changedFields(a, b).map((field) =>
      field === 'env' ? environmentReason(a[field], b[field]) : (CONTAINER_FIELDS[field] ?? 'TemplateChanged'),
    );
  });
}

/** A rotation changes the login of the same service: another key of the same Secret, or another user in an address. */
function environmentReason(old: unknown, next: unknown): RestartReason {
  return isDeepStrictEqual(withoutLogins(old), withoutLogins(next)) ? 'CredentialsRotated' : 'EnvironmentChanged';
}

function withoutLogins(env: unknown): unknown[] {
  return (Array.isArray(env) ? env : []).map((variable) => {
    const { name, value, valueFrom } = record(variable);
    const { secretKeyRef, ...others } = record(valueFrom);
    const address = typeof value === 'string' ? value.replace(/\/\/[^/@]*@/, '//') : value;
    return { name, address, secret: record(secretKeyRef)['name'], others };
  });
}

function byName(containers: unknown): Map<string, Json> {
  const list = Array.isArray(containers) ? containers.map((container) => record(container)) : [];
  return new Map(list.map((container) => [String(container['name']), container]));
}

function changedFields(old: Json, next: Json): string[] {
  const keys = new Set([...Object.keys(old), ...Object.keys(next)]);
  return [...keys].filter((key) => !isDeepStrictEqual(old[key], next[key]));
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

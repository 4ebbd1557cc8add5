/** Pods and containers that the Pod Security level "restricted" admits. */
import type { V1Container, V1ContainerPort, V1EnvVar, V1PodSpec, V1PodTemplateSpec, V1Probe, V1Volume } from '@kubernetes/client-node';
import { PREFIX, quantityValue } from '../api/index.ts';
import type { Image } from './definition.ts';
import { hash } from './hash.ts';
import { imageOf } from './images.ts';
import { nameOf, podLabelsOf, selectorOf } from './names.ts';
import type { BssPlatformSpec } from './spec.ts';
import { customized } from './template.ts';
import type { PlatformInput, SecretUse } from './types.ts';

/** Annotation that changes whenever a configuration or Secret that the pods use changes, so that they are replaced. */
export const HASH_ANNOTATION = `${PREFIX}config-hash`;
/** Annotation with the hash of the template that a pod was created from: its owner's present template, or an earlier one. */
export const TEMPLATE_ANNOTATION = `${PREFIX}template-hash`;

export type Resources = BssPlatformSpec['pgbouncer']['resources'];

/** Fields of `placement()` in the schema. */
export interface Placement {
  nodeSelector: Record<string, string>;
  tolerations: BssPlatformSpec['pgbouncer']['tolerations'];
  priorityClassName?: string | undefined;
  labels: Record<string, string>;
}

interface ContainerOptions {
  name: string;
  image: Image | 'workloads';
  command: string[];
  env?: V1EnvVar[];
  /** Number by name; Prometheus scrapes ports with a name that begins with `metrics`. */
  ports?: Record<string, number>;
  resources: Resources;
  /** Name of the volume by mount path. */
  mounts?: Record<string, string>;
  /** Those of the mount paths that the container cannot write to. */
  readOnlyMounts?: readonly string[];
  probes?: Probes;
  lifecycle?: V1Container['lifecycle'];
}

type Probes = Pick<V1Container, 'readinessProbe' | 'livenessProbe' | 'startupProbe'>;

/** A container with an explicit command, a read-only root file system and no privileges. */
export function container(input: PlatformInput, options: ContainerOptions): V1Container {
  const { pullPolicy } = input.spec.images;
  return {
    name: options.name,
    image: imageOf(input.spec, options.image),
    imagePullPolicy: pullPolicy,
    command: options.command,
    ...list('env', options.env ?? []),
    ...list(
      'ports',
      Object.entries(options.ports ?? {}).map(([name, containerPort]): V1ContainerPort => ({ name, containerPort, protocol: 'TCP' })),
    ),
    resources: withDisk(plain(options.resources)),
    ...list(
      'volumeMounts',
      Object.entries(options.mounts ?? {}).map(([mountPath, name]) => ({
        name,
        mountPath,
        ...(options.readOnlyMounts?.includes(mountPath) ? { readOnly: true } : {}),
      })),
    ),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    // Without a message of its own, a container's last lines of log are its message.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...options.probes,
    ...(options.lifecycle ? { lifecycle: options.lifecycle } : {}),
  };
}

/** A field that is left out when it is empty, as the API server does. */
function list<T>(field: string, items: T[]): Record<string, T[]> {
  return items.length > 0 ? { [field]: items } : {};
}

/** Without the undefined values that the schema's type allows. */
function plain({ requests, limits }: Resources): { requests: Record<string, string>; limits: Record<string, string> } {
  return { requests: defined(requests), limits: defined(limits) };
}

/**
 * Of the node's disk: logs, which the kubelet rotates at 50 MiB by default, and temporary volumes, which have limits of their own. A container that
 * writes more is evicted, and not the other pods of the node.
 */
function withDisk({ requests, limits }: ReturnType<typeof plain>): ReturnType<typeof plain> {
  return { requests: { ...requests, 'ephemeral-storage': '64Mi' }, limits: { ...limits, 'ephemeral-storage': '1Gi' } };
}

function defined(amounts: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(amounts).flatMap(([key, amount]) => (amount === undefined ? [] : [[key, amount]])));
}

interface PodOptions {
  component: string;
  placement: Placement;
  /** Numeric: the kubelet must know that it is not root. Volumes belong to this group too. 0: root, for agents that read files of the node. */
  user: number;
  containers: V1Container[];
  initContainers?: V1Container[];
  volumes?: V1Volume[];
  /** Contents of the configuration that the pods read. */
  config?: unknown;
  secrets?: SecretUse[];
  gracePeriodSeconds: number;
  serviceAccount?: string;
  restartPolicy?: 'Always' | 'OnFailure';
}

/** A pod template with the standard labels, what the user adds to the component, the hash of what the pods read, and the hash of itself. */
export function podTemplate(input: PlatformInput, options: PodOptions): V1PodTemplateSpec {
  const { component } = options;
  const labels = { ...options.placement.labels, ...podLabelsOf(input, component) };
  const configHash = hash([options.config ?? null, secretHashes(input, options.secrets ?? [])]);
  const spec = customized(podSpec(input, options), input.spec, component, selectorOf(input, component));
  const users = input.spec.templates[component]?.annotations ?? {};
  const hashed = [labels, configHash, spec, ...(Object.keys(users).length > 0 ? [users] : [])];
  return { metadata: { labels, annotations: { ...users, [HASH_ANNOTATION]: configHash, [TEMPLATE_ANNOTATION]: hash(hashed) } }, spec };
}

function podSpec(input: PlatformInput, options: PodOptions): V1PodSpec {
  return {
    serviceAccountName: options.serviceAccount ?? input.name,
    automountServiceAccountToken: options.serviceAccount !== undefined,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: options.gracePeriodSeconds,
    restartPolicy: options.restartPolicy ?? 'Always',
    securityContext: securityContext(options.user),
    ...placementFields(input, options),
    ...list(
      'imagePullSecrets',
      input.spec.images.pullSecrets.map((name) => ({ name })),
    ),
    ...(options.initContainers ? { initContainers: options.initContainers } : {}),
    containers: options.containers,
    ...list('volumes', options.volumes ?? []),
  };
}

function securityContext(user: number): NonNullable<V1PodSpec['securityContext']> {
  return {
    runAsNonRoot: user !== 0,
    runAsUser: user,
    runAsGroup: user,
    fsGroup: user,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

function placementFields(input: PlatformInput, { placement, component }: PodOptions): Partial<V1PodSpec> {
  const { nodeSelector, tolerations, priorityClassName } = placement;
  return {
    ...(Object.keys(nodeSelector).length > 0 ? { nodeSelector } : {}),
    ...list(
      'tolerations',
      tolerations.map((toleration) => withoutUndefined(toleration)),
    ),
    ...(priorityClassName === undefined ? {} : { priorityClassName }),
    topologySpreadConstraints: [spread(input, component)],
  };
}

function withoutUndefined(fields: object) {
  return Object.fromEntries(Object.entries(fields).filter(([, part]) => part !== undefined));
}

/** Over nodes, as far as there are enough of them. */
function spread(input: PlatformInput, component: string) {
  return {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selectorOf(input, component) },
  };
}

/** A Secret or key that does not exist yet has no hash; the pod waits for it, and is replaced when it exists. */
function secretHashes(input: PlatformInput, uses: SecretUse[]): string[][] {
  return uses.flatMap(({ name, keys }) => keys.map((key) => [name, key, input.secretHashes[name]?.[key] ?? '']));
}

/** What a pod needs for one purpose, such as a connection to Kafka. */
export interface Requirements {
  env: V1EnvVar[];
  secrets: SecretUse[];
  volumes?: V1Volume[];
  /** Name of the volume by mount path. */
  mounts?: Record<string, string>;
}

export function value(name: string, text: string | number): V1EnvVar {
  return { name, value: String(text) };
}

export function fromSecret(name: string, secret: string, key: string): V1EnvVar {
  return { name, valueFrom: { secretKeyRef: { name: secret, key } } };
}

/** A probe with its period and timeout in seconds. */
export function probe(check: Partial<V1Probe>, periodSeconds: number, failureThreshold: number, timeoutSeconds = 5): V1Probe {
  return { ...check, periodSeconds, timeoutSeconds, failureThreshold };
}

/** Up to two minutes to start; then readiness changes within seconds, and a container that fails for a minute is restarted. */
export function probes(ready: Partial<V1Probe>, live: Partial<V1Probe> = ready): Probes {
  return { startupProbe: probe(live, 1, 120), readinessProbe: probe(ready, 3, 3), livenessProbe: probe(live, 10, 6) };
}

/**
 * For stores: an hour to recover their log at startup, as CloudNativePG gives PostgreSQL (`startDelay`). Afterwards only five minutes without an
 * answer restart a container: a store that is busy would begin its work again.
 */
export function storeProbes(ready: Partial<V1Probe>, live: Partial<V1Probe> = ready): Probes {
  return {
    startupProbe: probe(ready, 2, 1800),
    readinessProbe: probe(ready, 3, 3),
    livenessProbe: probe(live, 30, 10, 30),
  };
}

/** For programs in Go: threads and heap within the limits, which the runtime does not read by itself. */
export function goRuntime({ limits }: Resources): V1EnvVar[] {
  return [
    ...(limits.cpu === undefined ? [] : [value('GOMAXPROCS', Math.max(1, Math.ceil(quantityValue(limits.cpu))))]),
    ...(limits.memory === undefined ? [] : [value('GOMEMLIMIT', Math.floor(quantityValue(limits.memory) * 0.9))]),
  ];
}

/** Mebibytes in a quantity of bytes, rounded down. */
export function mebibytes(quantity: string): number {
  return Math.floor(quantityValue(quantity) / 2 ** 20);
}

/** A volume for temporary files, which is deleted with the pod. */
export function scratch(name: string, sizeLimit: string): V1Volume {
  return { name, emptyDir: { sizeLimit } };
}

export function configVolume(name: string, configMap: string): V1Volume {
  return { name, configMap: { name: configMap } };
}

export function secretVolume(name: string, secret: string, keys: Record<string, string>): V1Volume {
  return { name, secret: { secretName: secret, items: Object.entries(keys).map(([key, path]) => ({ key, path })), defaultMode: 0o440 } };
}

/** A folder of the node. */
export function hostVolume(name: string, path: string, type: 'Directory' | 'DirectoryOrCreate'): V1Volume {
  return { name, hostPath: { path, type } };
}

export function claimVolume(name: string, claim: string): V1Volume {
  return { name, persistentVolumeClaim: { claimName: claim } };
}

/** Name of a component's volume claim. */
export function claimName(input: PlatformInput, component: string): string {
  return `${nameOf(input, component)}-data`;
}

/** What all workloads share: fields in the spec, image, environment, probes, metrics. */
import type { V1DeploymentSpec, V1EnvVar, V1Volume } from '@kubernetes/client-node';
import { z } from 'zod';
import { environment, placement, resources } from '../api/common.ts';
import { defaultText } from '../api/rules.ts';
import type { Draft } from './component.ts';
import type { Connection } from './definition.ts';
import { nameOf, urlPort } from './names.ts';
import { hasCollector, OTLP_HTTP_PORT, samplePercent, traceEndpoint } from './stack.ts';
import { deployment } from './parts.ts';
import { container, mebibytes, podTemplate, probes, value, type Placement, type Resources } from './pods.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { PlatformInput, SecretUse } from './types.ts';

/** Port of the public HTTP interface of a workload. */
export const HTTP_PORT = 8080;
/** Port of a workload's probes and metrics. */
export const METRICS_PORT = 9464;

/** The fields that every workload has in the spec, besides the one that switches it on. */
export const commonFields = () => ({
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('Lowest log level.'),
  env: environment,
  resources: resources('a replica'),
  ...placement(),
});

/** The fields of a workload that runs unless the spec says otherwise. */
export const workloadFields = (what: string) => ({
  enabled: z.boolean().default(true).describe(`Run ${what}.`),
  ...commonFields(),
});

export const replicas = z.int().min(0).max(100).default(1).describe('Number of replicas.');

export const databasePool = defaultText(
  z.int().min(1).max(100).optional().describe('Connections to PgBouncer that one replica may open (DB_POOL_MAX).'),
  "its share of PgBouncer's maxClientConnections",
);

/** User of the workload image. */
export const WORKLOAD_USER = 65532;

/** Fields that all workloads have in the spec. */
interface Common extends Placement {
  logLevel: BssPlatformSpec['workloads']['gateway']['logLevel'];
  env: { name: string; value: string }[];
  resources: Resources;
}

/** Variables of every workload: its identity, its log level, and the endpoint for its traces. */
export function baseEnvironment(input: PlatformInput, service: string, logLevel: string): V1EnvVar[] {
  const endpoint = traceEndpoint(input);
  return [
    value('PLATFORM', input.name),
    { name: 'NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    value('LOG_LEVEL', logLevel),
    value('OTEL_SERVICE_NAME', service),
    ...(endpoint === undefined ? [] : [value('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint)]),
    value('OTEL_TRACES_SAMPLER_ARG', samplePercent(input.spec) / 100),
  ];
}

/** The connections of a workload: those that it names, and the endpoint for its traces. */
export function workloadConnections(spec: BssPlatformSpec, ...names: string[]): Connection[] {
  const { otlpEndpoint } = spec.telemetry;
  if (otlpEndpoint !== undefined) return [...names, { outside: [urlPort(otlpEndpoint)] }];
  return hasCollector(spec) ? [...names, { component: 'collector', ports: [OTLP_HTTP_PORT] }] : names;
}

/** Base URL of a workload's HTTP interface from within the platform. */
export function httpAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>, component: string): string {
  return `http://${nameOf(platform, component)}:${HTTP_PORT}`;
}

/**
 * Heap of Node: three quarters of the memory limit, the rest is for buffers.
 * @param semiSpaceMebibytes size of each of the three spaces for young objects, which a service that works in batches fills before it collects
 *   them; V8's own limit follows from the container's, and is 2 MiB where that is 256 MiB
 */
export function nodeRuntime({ limits }: Resources, semiSpaceMebibytes?: number): V1EnvVar[] {
  const options = [
    ...(limits.memory === undefined ? [] : [`--max-old-space-size=${Math.floor(mebibytes(limits.memory) * 0.75)}`]),
    ...(semiSpaceMebibytes === undefined ? [] : [`--max-semi-space-size=${semiSpaceMebibytes}`]),
  ];
  return options.length === 0 ? [] : [value('NODE_OPTIONS', options.join(' '))];
}

interface WorkloadOptions {
  name: string;
  spec: Common;
  /** Undefined: the autoscaler sets them. */
  replicas: number | undefined;
  env: V1EnvVar[];
  secrets?: SecretUse[];
  volumes?: V1Volume[];
  mounts?: Record<string, string>;
  /** Serves HTTP on 8080 besides its metrics. */
  http?: boolean;
  metricsPort?: number;
  /** As for {@link nodeRuntime}. */
  semiSpaceMebibytes?: number;
  gracePeriodSeconds: number;
  strategy?: V1DeploymentSpec['strategy'];
}

/** Endpoints are removed with a delay: a pod that terminates serves for that long before it receives SIGTERM. */
const SERVE_ON = { preStop: { exec: { command: ['sleep', '3'] } } };

const check = (path: string) => ({ httpGet: { path, port: 'metrics' } });

/** The Deployment of a workload. */
export function workload(input: PlatformInput, options: WorkloadOptions): Draft<'Deployment'> {
  const { name, spec } = options;
  const metrics = options.metricsPort ?? METRICS_PORT;
  const env = [
    ...baseEnvironment(input, name, spec.logLevel),
    ...nodeRuntime(spec.resources, options.semiSpaceMebibytes),
    ...(options.http ? [value('PORT', HTTP_PORT)] : []),
    value('METRICS_PORT', metrics),
    ...options.env,
  ];
  const template = podTemplate(input, {
    component: name,
    placement: spec,
    user: WORKLOAD_USER,
    secrets: options.secrets ?? [],
    gracePeriodSeconds: options.gracePeriodSeconds,
    containers: [
      container(input, {
        name,
        image: 'workloads',
        command: ['node', `workloads/${name}/main.ts`],
        env: overridden(env, spec.env),
        ports: { ...(options.http ? { http: HTTP_PORT } : {}), metrics },
        resources: spec.resources,
        mounts: options.mounts ?? {},
        probes: probes(check('/readyz'), check('/livez')),
        ...(options.http ? { lifecycle: SERVE_ON } : {}),
      }),
    ],
    volumes: options.volumes ?? [],
  });
  return deployment(input, name, template, options.replicas, options.strategy);
}

/** The user's variables replace those of the same name and follow the others. */
function overridden(own: V1EnvVar[], users: { name: string; value: string }[]): V1EnvVar[] {
  return [...own.filter(({ name }) => !users.some((user) => user.name === name)), ...users];
}

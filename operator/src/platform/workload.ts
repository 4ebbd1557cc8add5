/** What the platform's own services have in common: image, environment, probes, metrics. */
import type { V1DeploymentSpec, V1EnvVar, V1Volume } from '@kubernetes/client-node';
import type { BssPlatformSpec } from '../api/index.ts';
import type { Draft } from './component.ts';
import { PORTS } from './names.ts';
import { deployment } from './parts.ts';
import { container, mebibytes, podTemplate, probes, value, type Placement, type Resources } from './pods.ts';
import type { PlatformInput, SecretUse } from './types.ts';

/** User of the workload image. */
export const WORKLOAD_USER = 65532;

/** Fields that all workloads have in the spec. */
interface Common extends Placement {
  logLevel: BssPlatformSpec['workloads']['gateway']['logLevel'];
  env: { name: string; value: string }[];
  resources: Resources;
}

/** Variables of every workload: who it is, how it logs, where it sends traces. */
export function baseEnvironment(input: PlatformInput, service: string, logLevel: string): V1EnvVar[] {
  const { otlpEndpoint, samplePercent } = input.spec.telemetry;
  return [
    value('PLATFORM', input.name),
    { name: 'NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
    { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    value('LOG_LEVEL', logLevel),
    value('OTEL_SERVICE_NAME', service),
    ...(otlpEndpoint === undefined ? [] : [value('OTEL_EXPORTER_OTLP_ENDPOINT', otlpEndpoint)]),
    value('OTEL_TRACES_SAMPLER_ARG', samplePercent / 100),
  ];
}

/** Heap of Node: three quarters of the memory limit, the rest is for buffers. */
export function nodeRuntime({ limits }: Resources): V1EnvVar[] {
  return limits.memory === undefined ? [] : [value('NODE_OPTIONS', `--max-old-space-size=${Math.floor(mebibytes(limits.memory) * 0.75)}`)];
}

interface WorkloadOptions {
  name: string;
  spec: Common;
  /** Undefined: scaled by somebody else. */
  replicas: number | undefined;
  env: V1EnvVar[];
  secrets?: SecretUse[];
  volumes?: V1Volume[];
  mounts?: Record<string, string>;
  /** Serves HTTP on 8080 besides its metrics. */
  http?: boolean;
  metricsPort?: number;
  gracePeriodSeconds: number;
  strategy?: V1DeploymentSpec['strategy'];
}

/** Services need a moment to forget a pod that is to stop: until then it takes requests as before. Then SIGTERM comes. */
const SERVE_ON = { preStop: { exec: { command: ['sleep', '3'] } } };

const check = (path: string) => ({ httpGet: { path, port: 'metrics' } });

/** The Deployment of a workload. */
export function workload(input: PlatformInput, options: WorkloadOptions): Draft {
  const { name, spec } = options;
  const metrics = options.metricsPort ?? PORTS.metrics;
  const env = [
    ...baseEnvironment(input, name, spec.logLevel),
    ...nodeRuntime(spec.resources),
    ...(options.http ? [value('PORT', PORTS.http)] : []),
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
        ports: { ...(options.http ? { http: PORTS.http } : {}), metrics },
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

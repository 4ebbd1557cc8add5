/**
 * The OpenTelemetry Collector as a gateway: it receives the traces of the workloads, decides which of them are kept when they are complete, and sends
 * those to Tempo and Jaeger.
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { placement, resources } from '../../api/common.ts';
import { durationMs } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { positiveDuration } from '../../api/rules.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { configMap, deployment, service } from '../parts.ts';
import { configVolume, container, goRuntime, podTemplate, probes } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { collectorTelemetry, hasCollector, hasJaeger, hasTempo, memoryLimiter, OTLP_GRPC_PORT, OTLP_HTTP_PORT } from '../stack.ts';
import type { PlatformInput } from '../types.ts';
import { jaegerOtlpAddress } from './jaeger.ts';
import { tempoOtlpAddress } from './tempo.ts';

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run the Collector, if there is Tempo or Jaeger.'),
    slow: positiveDuration('Traces that took longer are kept, as those with an error are.').default('500ms'),
    samplePercent: z.int().min(0).max(100).default(100).describe('Percentage of the other traces that are kept.'),
    resources: resources('the Collector'),
    ...placement(),
  })
  .prefault({})
  .describe(
    "The OpenTelemetry Collector, which receives the traces of the workloads. Pods of the platform's namespace may send theirs: OTLP over HTTP (4318) and gRPC (4317).",
  );

export const specPiece = piece('collector', schema, {
  profiles: {
    small: { resources: amounts('50m', '96Mi', '500m', '384Mi') },
    production: { samplePercent: 10, resources: amounts('200m', '512Mi', undefined, '2Gi') },
  },
});

/** Program of the public image. */
export const COLLECTOR_PROGRAM = '/otelcol-contrib';
export const COLLECTOR_IMAGE = {
  name: 'collector',
  refs: { '0.1.0': 'otel/opentelemetry-collector-contrib:0.160.0' },
  what: 'the OpenTelemetry Collector and the log agent',
  debian: {
    packages: [],
    built: ['otelcol-contrib'],
    version: ['otelcol-contrib', '--version'],
    programs: { [COLLECTOR_PROGRAM]: 'otelcol-contrib' },
    stack: true as const,
  },
};
/** User of the public image. */
const USER = 10001;
export const COLLECTOR_METRICS_PORT = 8888;

/**
 * Seconds that the Collector waits for the spans of a trace before it decides. Workloads export every 5 s: a request that took 5 s is complete by then.
 */
const DECISION_SECONDS = 10;

/** Ports, for servers that run outside a cluster. */
export interface CollectorPlace {
  otlpPort: number;
  grpcPort: number;
  metricsPort: number;
}

/** Addresses of the stores, as OTLP/HTTP base URLs by name. */
export type TraceStores = Partial<Record<'tempo' | 'jaeger', string>>;

/** Whatever policy samples a trace keeps it. */
function policies({ slow, samplePercent }: Pick<BssPlatformSpec['collector'], 'slow' | 'samplePercent'>) {
  return [
    { name: 'errors', type: 'status_code', status_code: { status_codes: ['ERROR'] } },
    { name: 'slow', type: 'latency', latency: { threshold_ms: durationMs(slow) } },
    { name: 'share', type: 'probabilistic', probabilistic: { sampling_percentage: samplePercent } },
  ];
}

type Collector = Pick<BssPlatformSpec['collector'], 'slow' | 'samplePercent' | 'resources'>;

/** Configuration of the gateway. One of the stores is enough. */
export function collectorConfig(collector: Collector, stores: TraceStores, place: Partial<CollectorPlace> = {}): string {
  const { otlpPort = OTLP_HTTP_PORT, grpcPort = OTLP_GRPC_PORT, metricsPort = COLLECTOR_METRICS_PORT } = place;
  const endpoints = Object.entries(stores);
  // Each store has a queue of its own: one that is down costs the other nothing.
  const exporters = endpoints.map(([name, endpoint]) => [`otlp_http/${name}`, { endpoint }] as const);
  return stringify(
    {
      receivers: {
        otlp: { protocols: { http: { endpoint: `0.0.0.0:${otlpPort}` }, grpc: { endpoint: `0.0.0.0:${grpcPort}` } } },
      },
      processors: {
        memory_limiter: memoryLimiter(collector.resources),
        tail_sampling: { decision_wait: `${DECISION_SECONDS}s`, num_traces: 50_000, policies: policies(collector) },
        batch: {},
      },
      exporters: Object.fromEntries(exporters),
      service: {
        pipelines: {
          traces: {
            receivers: ['otlp'],
            // Batches after sampling: a batch of spans that are dropped would be for nothing.
            processors: ['memory_limiter', 'tail_sampling', 'batch'],
            exporters: exporters.map(([name]) => name),
          },
        },
        telemetry: collectorTelemetry(metricsPort),
      },
    },
    { aliasDuplicateObjects: false },
  );
}

function storesOf(input: PlatformInput): TraceStores {
  return {
    ...(hasTempo(input.spec) ? { tempo: tempoOtlpAddress(input) } : {}),
    ...(hasJaeger(input.spec) ? { jaeger: jaegerOtlpAddress(input) } : {}),
  };
}

const ports = { 'otlp-http': OTLP_HTTP_PORT, 'otlp-grpc': OTLP_GRPC_PORT };

function template(input: PlatformInput, data: Record<string, string>) {
  const { collector } = input.spec;
  return podTemplate(input, {
    component: 'collector',
    placement: collector,
    user: USER,
    config: data,
    // It decides on the traces that it has, and empties its queues.
    gracePeriodSeconds: 30,
    containers: [
      container(input, {
        name: 'collector',
        image: COLLECTOR_IMAGE,
        command: [COLLECTOR_PROGRAM, '--config=/etc/collector/collector.yml'],
        env: goRuntime(collector.resources),
        ports: { ...ports, metrics: COLLECTOR_METRICS_PORT },
        resources: collector.resources,
        mounts: { '/etc/collector': 'config' },
        // It listens for OTLP once its pipelines have started.
        probes: probes({ tcpSocket: { port: 'otlp-http' } }, { httpGet: { path: '/metrics', port: 'metrics' } }),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'collector'))],
  });
}

export const definition: ComponentDefinition = {
  name: 'collector',
  stage: 'observability',
  present: hasCollector,
  images: [COLLECTOR_IMAGE],
  ports: () => ({ ...ports, metrics: COLLECTOR_METRICS_PORT }),
  connections: (spec) => [...(hasTempo(spec) ? ['tempo'] : []), ...(hasJaeger(spec) ? ['jaeger'] : [])],
  admits: () => [{ from: 'namespace', ports: Object.values(ports) }],
  endpoints: (platform) =>
    hasCollector(platform.spec) ? [{ name: 'collector', address: `http://${addressOf(platform, 'collector')}:${OTLP_HTTP_PORT}` }] : [],
  manifests: (input) => {
    const data = { 'collector.yml': collectorConfig(input.spec.collector, storesOf(input)) };
    return [
      configMap(input, 'collector', data),
      service(input, 'collector', ports),
      // One pod: a decision on a trace needs all its spans.
      deployment(input, 'collector', template(input, data), 1),
    ];
  },
};

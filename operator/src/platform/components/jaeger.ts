/** Jaeger: it shows traces, of which it keeps the newest in memory, or all in an Elasticsearch or OpenSearch of the user's. */
import type { V1EnvVar } from '@kubernetes/client-node';
import { stringify } from 'yaml';
import { z } from 'zod';
import { httpUrl, nameText, placement, resources } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { authority } from '../authority.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf, urlPort } from '../names.ts';
import { configMap, deployment, service } from '../parts.ts';
import { configVolume, container, fromSecret, goRuntime, podTemplate, probes, scratch, value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { collectorTelemetry, hasJaeger, memoryLimiter, OTLP_HTTP_PORT } from '../stack.ts';
import type { PlatformInput, SecretUse } from '../types.ts';

const search = z
  .strictObject({
    kind: z.enum(['elasticsearch', 'opensearch']).default('elasticsearch').describe('Which of the two it is.'),
    url: httpUrl('Its URL.', 'write a URL such as https://search.example.com:9200'),
    secretName: nameText("Secret in the platform's namespace with the login: keys username and password.").optional(),
    caSecretName: nameText('Secret with its certificate authority in PEM, key ca.crt, if it is not publicly trusted.').optional(),
    indexPrefix: z
      .string()
      .max(64)
      .regex(/^[a-z0-9][-a-z0-9_]*$/)
      .optional()
      .describe('Prefix of the indices; absent: the name of the platform.'),
  })
  .describe('An existing Elasticsearch or OpenSearch, which keeps the traces in place of the memory.');

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run Jaeger.'),
    maxTraces: z.int().min(100).max(1_000_000).default(10_000).describe('Traces in memory: the oldest are dropped above it.'),
    search: search.optional(),
    resources: resources('Jaeger'),
    ...placement(),
  })
  .prefault({})
  .describe('Jaeger, for the traces of the last requests. A restart loses those in memory.');

export const specPiece = piece('jaeger', schema, {
  profiles: {
    small: { resources: amounts('50m', '96Mi', '500m', '512Mi') },
    production: { maxTraces: 50_000, resources: amounts('100m', '512Mi', undefined, '2Gi') },
  },
});

const PROGRAM = '/cmd/jaeger/jaeger-linux';
const IMAGE = {
  name: 'jaeger',
  refs: { '0.1.0': 'jaegertracing/jaeger:2.13.0' },
  what: 'Jaeger',
  debian: { packages: [], built: ['jaeger'], version: ['jaeger', 'version'], programs: { [PROGRAM]: 'jaeger' }, stack: true as const },
};
/** User of the public image. */
const USER = 10001;
const HTTP_PORT = 16686;
const METRICS_PORT = 8888;
/** Variables with the login of the search engine. */
const SEARCH_USER = 'SEARCH_USERNAME';
const SEARCH_PASSWORD = 'SEARCH_PASSWORD';

/** Ports, for servers that run outside a cluster. */
export interface JaegerPlace {
  httpPort: number;
  /** Of the query API over gRPC, which no part of the platform uses. */
  grpcPort: number;
  otlpPort: number;
  metricsPort: number;
}

type Jaeger = Pick<BssPlatformSpec['jaeger'], 'maxTraces' | 'search' | 'resources'>;

function backend({ maxTraces, search: engine }: Jaeger, platform: string) {
  if (!engine) return { memory: { max_traces: maxTraces } };
  const { kind, url, secretName, caSecretName, indexPrefix = platform } = engine;
  const basic = { username: `\${env:${SEARCH_USER}}`, password: `\${env:${SEARCH_PASSWORD}}` };
  return {
    [kind]: {
      server_urls: [url],
      indices: { index_prefix: indexPrefix },
      ...(secretName === undefined ? {} : { auth: { basic } }),
      ...(caSecretName === undefined ? {} : { tls: { ca_file: searchAuthority(caSecretName).path } }),
    },
  };
}

const searchAuthority = (name: string) => authority('search', { name, key: 'ca.crt' });

/** Configuration of Jaeger 2. @param platform name of the platform */
export function jaegerConfig(jaeger: Jaeger, platform: string, place: Partial<JaegerPlace> = {}): string {
  const { httpPort = HTTP_PORT, grpcPort = 16685, otlpPort = OTLP_HTTP_PORT, metricsPort = METRICS_PORT } = place;
  return stringify({
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], processors: ['memory_limiter', 'batch'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: collectorTelemetry(metricsPort),
    },
    extensions: {
      jaeger_storage: { backends: { traces: backend(jaeger, platform) } },
      jaeger_query: {
        storage: { traces: 'traces' },
        http: { endpoint: `0.0.0.0:${httpPort}` },
        grpc: { endpoint: `127.0.0.1:${grpcPort}` },
      },
    },
    receivers: { otlp: { protocols: { http: { endpoint: `0.0.0.0:${otlpPort}` } } } },
    processors: { memory_limiter: memoryLimiter(jaeger.resources), batch: {} },
    exporters: { jaeger_storage_exporter: { trace_storage: 'traces' } },
  });
}

/** Base URL of its web page and query API, inside the cluster. */
export function jaegerAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `http://${addressOf(platform, 'jaeger')}:${HTTP_PORT}`;
}

/** Where it receives traces. */
export function jaegerOtlpAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `http://${addressOf(platform, 'jaeger')}:${OTLP_HTTP_PORT}`;
}

/** The login of the search engine. */
function searchLogin({ search: engine }: BssPlatformSpec['jaeger']): { env: V1EnvVar[]; secrets: SecretUse[] } {
  const name = engine?.secretName;
  if (name === undefined) return { env: [], secrets: [] };
  const env = [fromSecret(SEARCH_USER, name, 'username'), fromSecret(SEARCH_PASSWORD, name, 'password')];
  return { env, secrets: [{ name, keys: ['username', 'password'] }] };
}

function template(input: PlatformInput, data: Record<string, string>) {
  const { jaeger } = input.spec;
  const { env, secrets } = searchLogin(jaeger);
  const ca = jaeger.search?.caSecretName === undefined ? undefined : searchAuthority(jaeger.search.caSecretName);
  return podTemplate(input, {
    component: 'jaeger',
    placement: jaeger,
    user: USER,
    config: data,
    secrets: [...secrets, ...(ca?.secrets ?? [])],
    gracePeriodSeconds: 30,
    containers: [
      container(input, {
        name: 'jaeger',
        image: IMAGE,
        command: [PROGRAM, '--config=/etc/jaeger/jaeger.yml'],
        // Otherwise it sends traces of its own queries to a Collector beside it, and logs that there is none.
        env: [...env, value('OTEL_TRACES_SAMPLER', 'always_off'), ...goRuntime(jaeger.resources)],
        ports: { http: HTTP_PORT, 'otlp-http': OTLP_HTTP_PORT, metrics: METRICS_PORT },
        resources: jaeger.resources,
        mounts: { '/etc/jaeger': 'config', '/tmp': 'tmp', ...ca?.mounts },
        // It answers from its storage.
        probes: probes({ httpGet: { path: '/api/services', port: 'http' } }, { tcpSocket: { port: 'http' } }),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'jaeger')), scratch('tmp', '64Mi'), ...(ca?.volumes ?? [])],
  });
}

export const definition: ComponentDefinition = {
  name: 'jaeger',
  stage: 'observability',
  present: hasJaeger,
  images: [IMAGE],
  ports: () => ({ http: HTTP_PORT, 'otlp-http': OTLP_HTTP_PORT, metrics: METRICS_PORT }),
  connections: ({ jaeger }) => (jaeger.search ? [{ outside: [urlPort(jaeger.search.url)] }] : []),
  endpoints: (platform) => (hasJaeger(platform.spec) ? [{ name: 'jaeger', address: jaegerAddress(platform) }] : []),
  manifests: (input) => {
    const data = { 'jaeger.yml': jaegerConfig(input.spec.jaeger, input.name) };
    return [
      configMap(input, 'jaeger', data),
      service(input, 'jaeger', { http: HTTP_PORT, 'otlp-http': OTLP_HTTP_PORT }),
      // Two pods would each have a part of the traces in memory.
      deployment(input, 'jaeger', template(input, data), 1, { type: 'Recreate' }),
    ];
  },
};

/** Exporters of the stores, in one pod: they are small, and work for external stores as for managed ones. */
import type { V1Container, V1Volume } from '@kubernetes/client-node';
import type { ComponentDefinition } from '../definition.ts';
import { EXPORTER_KEY, EXPORTER_ROLE } from '../logins.ts';
import { credentialsName } from '../names.ts';
import { deployment } from '../parts.ts';
import { container, fromSecret, goRuntime, podTemplate, probes, value } from '../pods.ts';
import { usesDatabase } from '../store.ts';
import type { PlatformInput, SecretUse } from '../types.ts';
import { postgresAccess } from './postgres.ts';
import { redisAccess } from './redis.ts';

const POSTGRES_IMAGE = {
  name: 'postgresExporter',
  refs: { '0.1.0': 'prometheuscommunity/postgres-exporter:v0.17.1' },
  what: 'the PostgreSQL exporter',
  debian: {
    packages: ['prometheus-postgres-exporter'],
    version: ['postgres_exporter', '--version'],
    programs: { postgres_exporter: 'prometheus-postgres-exporter' },
  },
};
const REDIS_IMAGE = {
  name: 'redisExporter',
  refs: { '0.1.0': 'oliver006/redis_exporter:v1.69.0' },
  what: 'the Redis exporter',
  debian: {
    packages: ['prometheus-redis-exporter'],
    version: ['redis_exporter', '--version'],
    programs: { redis_exporter: 'prometheus-redis-exporter' },
  },
};
const POSTGRES_PORT = 9187;
const REDIS_PORT = 9121;
const USER = 65532;
const RESOURCES = { requests: { cpu: '5m', memory: '24Mi' }, limits: { cpu: '200m', memory: '96Mi' } };

interface Exporter {
  container: V1Container;
  secrets: SecretUse[];
  volumes: V1Volume[];
}

function postgresExporter(input: PlatformInput): Exporter | undefined {
  if (!usesDatabase(input.spec)) return undefined;
  const server = postgresAccess(input);
  const secret = credentialsName(input);
  const env = [value('DATA_SOURCE_USER', EXPORTER_ROLE), fromSecret('DATA_SOURCE_PASS', secret, EXPORTER_KEY)];
  const port = POSTGRES_PORT;
  const { authority } = server;
  const root = authority ? `&sslrootcert=${authority.path}` : '';
  return {
    secrets: [{ name: secret, keys: [EXPORTER_KEY] }, ...(authority?.secrets ?? [])],
    volumes: authority?.volumes ?? [],
    container: container(input, {
      name: 'postgres-exporter',
      image: POSTGRES_IMAGE,
      command: ['postgres_exporter', `--web.listen-address=:${port}`],
      env: [...env, value('DATA_SOURCE_URI', `${server.host}:${server.port}/ledger?sslmode=${server.tls}${root}`), ...goRuntime(RESOURCES)],
      ports: { 'metrics-pg': port },
      resources: RESOURCES,
      mounts: authority?.mounts ?? {},
      probes: probes({ httpGet: { path: '/', port } }, { tcpSocket: { port } }),
    }),
  };
}

function redisExporter(input: PlatformInput): Exporter | undefined {
  const access = redisAccess(input);
  if (!access) return undefined;
  const { url, password, authority } = access;
  const port = REDIS_PORT;
  return {
    secrets: [...(password ? [{ name: password.secretName, keys: [password.key] }] : []), ...(authority?.secrets ?? [])],
    volumes: authority?.volumes ?? [],
    container: container(input, {
      name: 'redis-exporter',
      image: REDIS_IMAGE,
      command: ['redis_exporter', `-web.listen-address=:${port}`],
      env: [
        value('REDIS_ADDR', url),
        ...(password ? [fromSecret('REDIS_PASSWORD', password.secretName, password.key)] : []),
        ...(authority ? [value('REDIS_EXPORTER_TLS_CA_CERT_FILE', authority.path)] : []),
        ...goRuntime(RESOURCES),
      ],
      ports: { 'metrics-redis': port },
      resources: RESOURCES,
      mounts: authority?.mounts ?? {},
      probes: probes({ httpGet: { path: '/health', port } }, { tcpSocket: { port } }),
    }),
  };
}

export const definition: ComponentDefinition = {
  name: 'exporters',
  stage: 'observability',
  // Only Prometheus reads them.
  present: (spec) => spec.prometheus.enabled && (usesDatabase(spec) || spec.redis.enabled),
  images: [POSTGRES_IMAGE, REDIS_IMAGE],
  ports: (spec) => ({
    ...(usesDatabase(spec) ? { 'metrics-pg': POSTGRES_PORT } : {}),
    ...(spec.redis.enabled ? { 'metrics-redis': REDIS_PORT } : {}),
  }),
  jobs: (spec) => [...(usesDatabase(spec) ? ['postgres-exporter'] : []), ...(spec.redis.enabled ? ['redis-exporter'] : [])],
  connections: () => ['postgres', 'redis'],
  credentials: [{ key: EXPORTER_KEY, type: 'password' }],
  reads: [EXPORTER_KEY, 'redis-password'],
  manifests: (input) => {
    const exporters = [postgresExporter(input), redisExporter(input)].filter((exporter) => exporter !== undefined);
    const template = podTemplate(input, {
      component: 'exporters',
      placement: input.spec.prometheus,
      user: USER,
      secrets: exporters.flatMap((exporter) => exporter.secrets),
      gracePeriodSeconds: 10,
      containers: exporters.map((exporter) => exporter.container),
      volumes: exporters.flatMap((exporter) => exporter.volumes),
    });
    return [deployment(input, 'exporters', template, 1, { type: 'Recreate' })];
  },
};

/** Exporters of the stores, in one pod: they are small, and work for external stores as for managed ones. */
import type { V1Container } from '@kubernetes/client-node';
import { blueprint, type Blueprint } from './component.ts';
import { postgresAccess, postgresAdmin, redisAccess } from './connections.ts';
import { PORTS } from './names.ts';
import { deployment } from './parts.ts';
import { container, fromSecret, goRuntime, podTemplate, probes, value } from './pods.ts';
import type { PlatformInput, SecretUse } from './types.ts';

const USER = 65532;
const RESOURCES = { requests: { cpu: '5m', memory: '24Mi' }, limits: { cpu: '200m', memory: '96Mi' } };

interface Exporter {
  container: V1Container;
  secrets: SecretUse[];
}

function postgresExporter(input: PlatformInput): Exporter {
  const server = postgresAccess(input);
  const { env, secrets } = postgresAdmin(input, 'DATA_SOURCE_USER', 'DATA_SOURCE_PASS');
  const port = PORTS.postgresExporter;
  return {
    secrets,
    container: container(input, {
      name: 'postgres-exporter',
      image: 'postgresExporter',
      command: ['postgres_exporter', `--web.listen-address=:${port}`],
      env: [...env, value('DATA_SOURCE_URI', `${server.host}:${server.port}/ledger?sslmode=${server.tls}`), ...goRuntime(RESOURCES)],
      ports: { 'metrics-pg': port },
      resources: RESOURCES,
      probes: probes({ httpGet: { path: '/', port } }),
    }),
  };
}

function redisExporter(input: PlatformInput): Exporter | undefined {
  const access = redisAccess(input);
  if (!access) return undefined;
  const { url, password } = access;
  const port = PORTS.redisExporter;
  return {
    secrets: password ? [{ name: password.secretName, keys: [password.key] }] : [],
    container: container(input, {
      name: 'redis-exporter',
      image: 'redisExporter',
      command: ['redis_exporter', `-web.listen-address=:${port}`],
      env: [
        value('REDIS_ADDR', url),
        ...(password ? [fromSecret('REDIS_PASSWORD', password.secretName, password.key)] : []),
        ...goRuntime(RESOURCES),
      ],
      ports: { 'metrics-redis': port },
      resources: RESOURCES,
      probes: probes({ httpGet: { path: '/health', port } }),
    }),
  };
}

/** Nothing when there is no Prometheus to read them. */
export function exportersComponent(input: PlatformInput): Blueprint | undefined {
  if (!input.spec.prometheus.enabled) return undefined;
  const exporters = [postgresExporter(input), redisExporter(input)].filter((exporter) => exporter !== undefined);
  const template = podTemplate(input, {
    component: 'exporters',
    placement: input.spec.prometheus,
    user: USER,
    secrets: exporters.flatMap((exporter) => exporter.secrets),
    gracePeriodSeconds: 10,
    containers: exporters.map((exporter) => exporter.container),
  });
  return blueprint('exporters', 'observability', [deployment(input, 'exporters', template, 1, { type: 'Recreate' })]);
}

/** Loki: it keeps the logs of the platform's pods. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { placement, resources, storage } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { duration, rule } from '../../api/rules.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet } from '../parts.ts';
import { claimName, claimVolume, configVolume, container, goRuntime, podTemplate, probes, scratch } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { goDuration, hasLoki } from '../stack.ts';
import type { PlatformInput } from '../types.ts';

/** Loki deletes by day, and refuses a shorter retention. */
const ONE_DAY = '^0*([1-9][0-9]*d|(2[4-9]|[3-9][0-9]|[1-9][0-9]{2,})h)$';

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run Loki and the log agent.'),
    retention: rule(duration('How long log lines are kept.'), {
      cel: `self.matches('${ONE_DAY}')`,
      message: 'write at least one day in days or hours, such as 7d or 36h',
      check: (value) => new RegExp(ONE_DAY).test(value),
    }).default('7d'),
    storage: storage('the logs', '5Gi'),
    resources: resources('Loki'),
    ...placement(),
  })
  .prefault({})
  .describe('Loki, which keeps the logs of all pods of the platform.');

export const specPiece = piece('loki', schema, {
  profiles: {
    small: { resources: amounts('50m', '128Mi', '500m', '512Mi') },
    production: { storage: { size: '50Gi' }, resources: amounts('250m', '512Mi', undefined, '2Gi') },
  },
});

const IMAGE = {
  name: 'loki',
  refs: { '0.1.0': 'grafana/loki:3.7.8' },
  what: 'Loki',
  debian: { packages: [], built: ['loki', 'logcli'], version: ['loki', '--version'], stack: true as const },
};
/** User `loki` of the public image. */
const USER = 10001;
const PORT = 3100;
const DATA = '/loki';

/** Resource attributes of log records that Loki indexes: labels of streams. Each combination of values is a stream, so there are few. */
export const LOG_LABELS = ['service.name', 'namespace', 'platform', 'level', 'stream'] as const;

/** Ports and the folder of the data, for servers that run outside a cluster. */
export interface LokiPlace {
  httpPort: number;
  grpcPort: number;
  data: string;
}

/** Configuration of Loki as one process with its data on a file system. */
export function lokiConfig({ retention }: Pick<BssPlatformSpec['loki'], 'retention'>, place: Partial<LokiPlace> = {}): string {
  const { httpPort = PORT, grpcPort = 9095, data = DATA } = place;
  return stringify({
    auth_enabled: false,
    server: { http_listen_port: httpPort, grpc_listen_port: grpcPort, log_level: 'info' },
    common: {
      path_prefix: data,
      replication_factor: 1,
      // One process: its parts reach each other within the pod.
      instance_addr: '127.0.0.1',
      ring: { kvstore: { store: 'inmemory' } },
      storage: { filesystem: { chunks_directory: `${data}/chunks`, rules_directory: `${data}/rules` } },
    },
    schema_config: {
      configs: [
        { from: '2025-01-01', store: 'tsdb', object_store: 'filesystem', schema: 'v13', index: { prefix: 'index_', period: '24h' } },
      ],
    },
    compactor: { working_directory: `${data}/compactor`, retention_enabled: true, delete_request_store: 'filesystem' },
    limits_config: {
      retention_period: goDuration(retention),
      allow_structured_metadata: true,
      // Volumes by label, for the dashboards and Grafana's view of logs.
      volume_enabled: true,
      // A program that logs without limit must not fill the disk: Loki discards what exceeds this, and an alert fires.
      ingestion_rate_mb: 8,
      ingestion_burst_size_mb: 16,
      max_global_streams_per_user: 5000,
      // The agent sets both labels.
      discover_service_name: [],
      discover_log_levels: false,
      otlp_config: {
        resource_attributes: { ignore_defaults: true, attributes_config: [{ action: 'index_label', attributes: [...LOG_LABELS] }] },
      },
    },
    analytics: { reporting_enabled: false },
  });
}

/** Base URL of its API, inside the cluster. */
export function lokiAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `http://${addressOf(platform, 'loki')}:${PORT}`;
}

function template(input: PlatformInput, data: Record<string, string>) {
  const { loki } = input.spec;
  return podTemplate(input, {
    component: 'loki',
    placement: loki,
    user: USER,
    config: data,
    // It writes what it has in memory to the disk.
    gracePeriodSeconds: 60,
    containers: [
      container(input, {
        name: 'loki',
        image: IMAGE,
        command: ['loki', '-config.file=/etc/loki/loki.yml'],
        env: goRuntime(loki.resources),
        ports: { metrics: PORT },
        resources: loki.resources,
        mounts: { '/etc/loki': 'config', [DATA]: 'data', '/tmp': 'tmp' },
        probes: probes(
          { httpGet: { path: '/ready', port: 'metrics' } },
          { httpGet: { path: '/loki/api/v1/status/buildinfo', port: 'metrics' } },
        ),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'loki')), claimVolume('data', claimName(input, 'loki')), scratch('tmp', '64Mi')],
  });
}

export const definition: ComponentDefinition = {
  name: 'loki',
  stage: 'observability',
  present: hasLoki,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  endpoints: (platform) => (hasLoki(platform.spec) ? [{ name: 'loki', address: lokiAddress(platform) }] : []),
  manifests: (input) => {
    const data = { 'loki.yml': lokiConfig(input.spec.loki) };
    return [
      configMap(input, 'loki', data),
      claim(input, 'loki', input.spec.loki.storage),
      service(input, 'loki', { http: PORT }),
      service(input, 'loki', { http: PORT }, { headless: true }),
      statefulSet(input, 'loki', template(input, data)),
    ];
  },
};

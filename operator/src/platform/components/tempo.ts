/** Tempo: it keeps traces on a disk, for Grafana. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { placement, resources, storage } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { positiveDuration } from '../../api/rules.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet } from '../parts.ts';
import { claimName, claimVolume, configVolume, container, goRuntime, podTemplate, probes, scratch } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { goDuration, hasTempo, OTLP_HTTP_PORT } from '../stack.ts';
import type { PlatformInput } from '../types.ts';

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run Tempo.'),
    retention: positiveDuration('How long traces are kept.').default('7d'),
    storage: storage('the traces', '5Gi'),
    resources: resources('Tempo'),
    ...placement(),
  })
  .prefault({})
  .describe('Tempo, which keeps traces for Grafana.');

export const specPiece = piece('tempo', schema, {
  profiles: {
    small: { resources: amounts('50m', '128Mi', '500m', '512Mi') },
    production: { storage: { size: '50Gi' }, resources: amounts('250m', '512Mi', undefined, '2Gi') },
  },
});

const IMAGE = {
  name: 'tempo',
  refs: { '0.1.0': 'grafana/tempo:3.0.0' },
  what: 'Tempo',
  debian: { packages: [], built: ['tempo'], version: ['tempo', '--version'], programs: { '/tempo': 'tempo' }, stack: true as const },
};
/** User `tempo` of the public image. */
const USER = 10001;
const PORT = 3200;
const DATA = '/var/tempo';

/** Ports and the folder of the data, for servers that run outside a cluster. */
export interface TempoPlace {
  httpPort: number;
  grpcPort: number;
  otlpPort: number;
  data: string;
}

/** Configuration of Tempo 3 as one process with its data on a file system. */
export function tempoConfig({ retention }: Pick<BssPlatformSpec['tempo'], 'retention'>, place: Partial<TempoPlace> = {}): string {
  const { httpPort = PORT, grpcPort = 9095, otlpPort = OTLP_HTTP_PORT, data = DATA } = place;
  // The scheduler plans what is deleted, and the worker deletes it.
  const compaction = { block_retention: goDuration(retention) };
  return stringify(
    {
      server: { http_listen_port: httpPort, grpc_listen_port: grpcPort, log_level: 'info' },
      // One process has no members to find.
      memberlist: { bind_addr: ['127.0.0.1'], bind_port: 0 },
      distributor: { receivers: { otlp: { protocols: { http: { endpoint: `0.0.0.0:${otlpPort}` } } } } },
      backend_scheduler: { ...(place.data ? { local_work_path: `${data}/scheduler` } : {}), provider: { compaction: { compaction } } },
      // By default below the folder of the data in the image.
      ...(place.data ? { live_store: { wal: { path: `${data}/live-store/traces` }, shutdown_marker_dir: `${data}/live-store` } } : {}),
      backend_worker: { compaction },
      storage: { trace: { backend: 'local', wal: { path: `${data}/wal` }, local: { path: `${data}/blocks` } } },
      usage_report: { reporting_enabled: false },
    },
    { aliasDuplicateObjects: false },
  );
}

/** Base URL of its API, inside the cluster. */
export function tempoAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `http://${addressOf(platform, 'tempo')}:${PORT}`;
}

/** Where it receives traces. */
export function tempoOtlpAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `http://${addressOf(platform, 'tempo')}:${OTLP_HTTP_PORT}`;
}

/** The connection of a client that reads traces. */
export const TEMPO_API = { component: 'tempo', ports: [PORT] };

function template(input: PlatformInput, data: Record<string, string>) {
  const { tempo } = input.spec;
  return podTemplate(input, {
    component: 'tempo',
    placement: tempo,
    user: USER,
    config: data,
    // It writes what it has in memory to the disk.
    gracePeriodSeconds: 60,
    containers: [
      container(input, {
        name: 'tempo',
        image: IMAGE,
        command: ['/tempo', '-config.file=/etc/tempo/tempo.yml'],
        env: goRuntime(tempo.resources),
        ports: { metrics: PORT, 'otlp-http': OTLP_HTTP_PORT },
        resources: tempo.resources,
        mounts: { '/etc/tempo': 'config', [DATA]: 'data', '/tmp': 'tmp' },
        probes: probes({ httpGet: { path: '/ready', port: 'metrics' } }, { httpGet: { path: '/api/echo', port: 'metrics' } }),
      }),
    ],
    volumes: [configVolume('config', nameOf(input, 'tempo')), claimVolume('data', claimName(input, 'tempo')), scratch('tmp', '64Mi')],
  });
}

export const definition: ComponentDefinition = {
  name: 'tempo',
  stage: 'observability',
  present: hasTempo,
  images: [IMAGE],
  ports: () => ({ metrics: PORT, 'otlp-http': OTLP_HTTP_PORT }),
  endpoints: (platform) => (hasTempo(platform.spec) ? [{ name: 'tempo', address: tempoAddress(platform) }] : []),
  manifests: (input) => {
    const data = { 'tempo.yml': tempoConfig(input.spec.tempo) };
    const ports = { http: PORT, 'otlp-http': OTLP_HTTP_PORT };
    return [
      configMap(input, 'tempo', data),
      claim(input, 'tempo', input.spec.tempo.storage),
      service(input, 'tempo', ports),
      service(input, 'tempo', ports, { headless: true }),
      statefulSet(input, 'tempo', template(input, data)),
    ];
  },
};

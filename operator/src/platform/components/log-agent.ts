/** The log agent: an OpenTelemetry Collector on every node, which sends the logs of the platform's pods to Loki. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { resources, tolerations } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { nameOf } from '../names.ts';
import { configMap, daemonSet } from '../parts.ts';
import { configVolume, container, goRuntime, hostVolume, podTemplate, probes, type Resources } from '../pods.ts';
import { collectorTelemetry, hasLogAgent, memoryLimiter } from '../stack.ts';
import type { PlatformInput } from '../types.ts';
import { COLLECTOR_IMAGE, COLLECTOR_METRICS_PORT, COLLECTOR_PROGRAM } from './collector.ts';
import { lokiAddress } from './loki.ts';

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run the log agent. Without it, Loki gets no logs.'),
    resources: resources('the agent on a node'),
    tolerations: tolerations('By default it runs on nodes without taints.'),
  })
  .prefault({})
  .describe(
    "The agent on every node that reads the logs of the platform's pods. It mounts folders of the node: the namespace must not enforce Pod Security baseline or restricted.",
  );

export const specPiece = piece('logAgent', schema, {
  profiles: {
    small: { resources: amounts('20m', '64Mi', '250m', '192Mi') },
    production: { resources: amounts('50m', '128Mi', undefined, '384Mi') },
  },
});

/** The files belong to root, and so does the folder of the positions. Without capabilities root reads only what it owns. */
const ROOT = 0;
const LOGS = '/var/log/pods';
const POSITIONS = '/var/lib/log-agent';

/** Fields of JSON log lines that become structured metadata, by which lines are found without indexing them. */
export const LOG_IDS = [
  'trace_id',
  'span_id',
  'account_id',
  'transaction_id',
  'transfer_id',
  'event_id',
  'idempotency_key',
  'topic',
  'partition',
] as const;

const JSON_LINE = 'body matches "^{.*}$"';
const FIELD = 'attributes["json"]';
const has = (name: string) => `${FIELD} != nil and "${name}" in ${FIELD}`;

/** A level in a line that is no JSON: `level=warn` of Go programs, `WARN` of Kafka, `ERROR:` of PostgreSQL. */
const LEVEL = String.raw`(?i)(?:\blevel=|\[|\s|^)(?P<level>trace|debug|info|log|notice|warn|warning|err|error|fatal|panic)(?:\]|\s|:|$)`;
const LEVELS = '{"log": "info", "notice": "info", "warning": "warn", "err": "error", "fatal": "error", "panic": "error"}';

/**
 * What is done with a line of a container: the runtime's prefix is removed and parts of a long line are joined; the level and where the line comes
 * from become labels, ids become structured metadata. The line itself stays as it is.
 */
function operators(platform: string) {
  return [
    { type: 'container', id: 'runtime' },
    { type: 'json_parser', id: 'json', if: JSON_LINE, parse_to: FIELD, on_error: 'send_quiet' },
    { type: 'regex_parser', id: 'text', if: `not (${JSON_LINE})`, regex: LEVEL, parse_to: FIELD, on_error: 'send_quiet' },
    { type: 'add', id: 'no-level', if: `not (${has('level')})`, field: 'resource["level"]', value: 'unknown' },
    {
      type: 'add',
      id: 'level',
      if: has('level'),
      field: 'resource["level"]',
      value: `EXPR(let name = lower(string(${FIELD}.level)); ${LEVELS}[name] ?? name)`,
    },
    ...LOG_IDS.map((name) => ({ type: 'move', id: name, if: has(name), from: `${FIELD}["${name}"]`, to: `attributes["${name}"]` })),
    { type: 'remove', id: 'rest', if: `${FIELD} != nil`, field: FIELD },
    { type: 'move', id: 'service', from: 'resource["k8s.container.name"]', to: 'resource["service.name"]' },
    { type: 'move', id: 'namespace', from: 'resource["k8s.namespace.name"]', to: 'resource["namespace"]' },
    { type: 'move', id: 'pod', from: 'resource["k8s.pod.name"]', to: 'attributes["pod"]' },
    { type: 'move', id: 'stream', from: 'attributes["log.iostream"]', to: 'resource["stream"]' },
    { type: 'add', id: 'platform', field: 'resource["platform"]', value: platform },
    ...['resource["k8s.pod.uid"]', 'resource["k8s.container.restart_count"]', 'attributes["log.file.path"]', 'attributes["logtag"]'].map(
      (field, index) => ({ type: 'remove', id: `unused-${index}`, field, on_error: 'send_quiet' }),
    ),
  ];
}

/** Places of an agent, for servers that run outside a cluster. */
export interface LogAgentPlace {
  /** Folder with the logs of pods, as the kubelet lays it out. */
  logs: string;
  /** Folder of the positions. */
  positions: string;
  metricsPort: number;
}

interface Agent {
  platform: string;
  namespace: string;
  /** Base URL of Loki. */
  loki: string;
  resources: Resources;
}

/** Configuration of the agent. */
export function logAgentConfig({ platform, namespace, loki, resources: amount }: Agent, place: Partial<LogAgentPlace> = {}): string {
  const { logs = LOGS, positions = POSITIONS, metricsPort = COLLECTOR_METRICS_PORT } = place;
  const pods = `${logs}/${namespace}_${platform}-`;
  return stringify(
    {
      receivers: {
        file_log: {
          include: [`${pods}*/*/*.log`],
          // A line about a failed delivery would cause the next delivery.
          exclude: [`${pods}log-agent-*/*/*.log`],
          start_at: 'beginning',
          include_file_path: true,
          include_file_name: false,
          // The runtime splits long lines at any character: a space at the end of a part belongs to the line.
          preserve_trailing_whitespaces: true,
          storage: 'file_storage',
          // Waits while Loki is down: the files are the buffer.
          retry_on_failure: { enabled: true, max_elapsed_time: '0s' },
          operators: operators(platform),
        },
      },
      processors: { memory_limiter: memoryLimiter(amount), batch: { send_batch_max_size: 2000, send_batch_size: 1000, timeout: '1s' } },
      exporters: { 'otlp_http/loki': { endpoint: `${loki}/otlp`, retry_on_failure: { enabled: true, max_elapsed_time: '0s' } } },
      extensions: { file_storage: { directory: positions } },
      service: {
        extensions: ['file_storage'],
        pipelines: { logs: { receivers: ['file_log'], processors: ['memory_limiter', 'batch'], exporters: ['otlp_http/loki'] } },
        telemetry: collectorTelemetry(metricsPort),
      },
    },
    { aliasDuplicateObjects: false, lineWidth: 0 },
  );
}

function template(input: PlatformInput, data: Record<string, string>) {
  const { logAgent } = input.spec;
  return podTemplate(input, {
    component: 'log-agent',
    placement: { nodeSelector: {}, labels: {}, tolerations: logAgent.tolerations },
    user: ROOT,
    config: data,
    gracePeriodSeconds: 15,
    containers: [
      container(input, {
        name: 'log-agent',
        image: COLLECTOR_IMAGE,
        command: [COLLECTOR_PROGRAM, '--config=/etc/log-agent/log-agent.yml'],
        env: goRuntime(logAgent.resources),
        ports: { metrics: COLLECTOR_METRICS_PORT },
        resources: logAgent.resources,
        mounts: { '/etc/log-agent': 'config', [LOGS]: 'logs', [POSITIONS]: 'positions' },
        readOnlyMounts: [LOGS],
        probes: probes({ httpGet: { path: '/metrics', port: 'metrics' } }, { tcpSocket: { port: 'metrics' } }),
      }),
    ],
    volumes: [
      configVolume('config', nameOf(input, 'log-agent')),
      hostVolume('logs', LOGS, 'Directory'),
      // On the node: the next pod goes on where this one stopped.
      hostVolume('positions', `/var/lib/bss-platform/${input.namespace}_${input.name}/log-agent`, 'DirectoryOrCreate'),
    ],
  });
}

export const definition: ComponentDefinition = {
  name: 'log-agent',
  stage: 'observability',
  present: hasLogAgent,
  mountsHost: true,
  ports: () => ({ metrics: COLLECTOR_METRICS_PORT }),
  connections: () => ['loki'],
  manifests: (input) => {
    const { name, namespace, spec } = input;
    const agent = { platform: name, namespace, loki: lokiAddress(input), resources: spec.logAgent.resources };
    const data = { 'log-agent.yml': logAgentConfig(agent) };
    return [configMap(input, 'log-agent', data), daemonSet(input, 'log-agent', template(input, data))];
  },
};

/** Grafana with the platform's data sources and dashboards. It keeps nothing: everything that it shows is provisioned from files. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { DASHBOARD_FILES, HOME_DASHBOARD } from '../../../../dashboards/src/dashboards.ts';
import { placement, resources } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { configMap, deployment, service } from '../parts.ts';
import { configVolume, container, fromSecret, goRuntime, podTemplate, probes, scratch, value } from '../pods.ts';
import { hasPrometheus } from '../scraping.ts';
import { hasJaeger, hasLoki, hasTempo } from '../stack.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { PlatformInput } from '../types.ts';
import { alertmanagerAddress } from './alertmanager.ts';
import { jaegerAddress } from './jaeger.ts';
import { lokiAddress } from './loki.ts';
import { prometheusAddress } from './prometheus.ts';
import { TEMPO_API, tempoAddress } from './tempo.ts';

const schema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        'Run Grafana. It needs Prometheus. The login is `admin`, its password is in the Secret `<platform>-credentials`, key `grafana-password`.',
      ),
    resources: resources('Grafana'),
    ...placement(),
  })
  .prefault({})
  .describe('Grafana with the dashboards of the platform. Changes in its web page are not kept.');

export const specPiece = piece('grafana', schema, {
  profiles: {
    small: { resources: amounts('50m', '96Mi', '500m', '256Mi') },
    production: { resources: amounts('100m', '128Mi', undefined, '512Mi') },
  },
});

const IMAGE = { name: 'grafana', refs: { '0.1.0': 'grafana/grafana:12.2.0' }, what: 'Grafana' };
/** User `grafana` of the public image. */
const USER = 472;
const PORT = 3000;
const PASSWORD_KEY = 'grafana-password';
const PROVISIONING = '/etc/grafana/provisioning';
const DASHBOARDS = '/etc/grafana/dashboards';
const DATA = '/var/lib/grafana';

/** Where the store of a link is: the uid of its data source. Dashboards name data sources by these. */
const UID = { prometheus: 'prometheus', alertmanager: 'alertmanager', loki: 'loki', tempo: 'tempo', jaeger: 'jaeger' } as const;

/** Grafana expands `$` in its files: two of them stand for one. */
const variable = (name: string) => `$\${${name}}`;

/** From the samples of a metric to the trace of one request, and from a line of log to its trace. */
function traceLinks(spec: BssPlatformSpec) {
  const store = hasTempo(spec) ? UID.tempo : hasJaeger(spec) ? UID.jaeger : undefined;
  if (store === undefined) return { exemplars: {}, lines: {} };
  const link = { matcherType: 'label', matcherRegex: 'trace_id', url: variable('__value.raw'), datasourceUid: store };
  return {
    exemplars: { exemplarTraceIdDestinations: [{ name: 'trace_id', datasourceUid: store }] },
    lines: { derivedFields: [{ name: 'trace_id', urlDisplayLabel: 'Trace', ...link }] },
  };
}

/** From a span to the lines of log of its trace, and to the metrics of its service. */
function spanLinks(input: PlatformInput) {
  const range = { spanStartTimeShift: '-5m', spanEndTimeShift: '5m' };
  const requests = `http_request_duration_seconds_count{platform="${input.name}",$$__tags}`;
  const buckets = `http_request_duration_seconds_bucket{platform="${input.name}",$$__tags}`;
  return {
    ...(hasLoki(input.spec)
      ? {
          tracesToLogsV2: {
            datasourceUid: UID.loki,
            ...range,
            customQuery: true,
            query: `{platform="${input.name}"} | trace_id="${variable('__trace.traceId')}"`,
          },
        }
      : {}),
    tracesToMetrics: {
      datasourceUid: UID.prometheus,
      ...range,
      tags: [{ key: 'service.name', value: 'service' }],
      queries: [
        { name: 'Requests per second', query: `sum(rate(${requests}[5m]))` },
        { name: 'p99', query: `histogram_quantile(0.99, sum by (le) (rate(${buckets}[5m])))` },
      ],
    },
    nodeGraph: { enabled: true },
  };
}

/** The data sources of the platform's stores, with the links between them. */
export function dataSources(input: PlatformInput): object[] {
  const { spec } = input;
  const alertmanager = alertmanagerAddress(input);
  const { exemplars, lines } = traceLinks(spec);
  const source = (name: string, uid: keyof typeof UID, url: string, jsonData: object) => ({
    name,
    uid: UID[uid],
    type: uid,
    access: 'proxy',
    url,
    jsonData,
  });
  const interval = { timeInterval: spec.prometheus.scrapeInterval, alertmanagerUid: UID.alertmanager };
  return [
    { ...source('Prometheus', 'prometheus', `http://${prometheusAddress(input)}`, { ...interval, ...exemplars }), isDefault: true },
    ...(alertmanager === undefined
      ? []
      : [source('Alertmanager', 'alertmanager', `http://${alertmanager}`, { implementation: 'prometheus' })]),
    ...(hasLoki(spec) ? [source('Loki', 'loki', lokiAddress(input), lines)] : []),
    ...(hasTempo(spec) ? [source('Tempo', 'tempo', tempoAddress(input), spanLinks(input))] : []),
    ...(hasJaeger(spec) ? [source('Jaeger', 'jaeger', jaegerAddress(input), spanLinks(input))] : []),
  ];
}

const PROVIDERS = stringify({
  apiVersion: 1,
  providers: [{ name: 'BSS platform', folder: 'BSS platform', type: 'file', allowUiUpdates: false, options: { path: DASHBOARDS } }],
});

/** Objects that hold its files, by their place in the pod. */
const FILES = {
  'grafana-datasources': `${PROVISIONING}/datasources`,
  'grafana-providers': `${PROVISIONING}/dashboards`,
  'grafana-dashboards': DASHBOARDS,
} as const;

function files(input: PlatformInput): Record<keyof typeof FILES, Record<string, string>> {
  return {
    'grafana-datasources': {
      'datasources.yml': stringify({ apiVersion: 1, datasources: dataSources(input) }, { aliasDuplicateObjects: false, lineWidth: 0 }),
    },
    'grafana-providers': { 'dashboards.yml': PROVIDERS },
    'grafana-dashboards': { ...DASHBOARD_FILES },
  };
}

function template(input: PlatformInput, data: object) {
  const { grafana } = input.spec;
  return podTemplate(input, {
    component: 'grafana',
    placement: grafana,
    user: USER,
    config: data,
    secrets: [{ name: credentialsName(input), keys: [PASSWORD_KEY] }],
    gracePeriodSeconds: 30,
    containers: [
      container(input, {
        name: 'grafana',
        image: IMAGE,
        command: ['/usr/share/grafana/bin/grafana', 'server', '--homepath=/usr/share/grafana'],
        env: [
          value('GF_SERVER_HTTP_PORT', PORT),
          value('GF_SECURITY_ADMIN_USER', 'admin'),
          fromSecret('GF_SECURITY_ADMIN_PASSWORD', credentialsName(input), PASSWORD_KEY),
          value('GF_PATHS_PROVISIONING', PROVISIONING),
          value('GF_PATHS_DATA', DATA),
          value('GF_PATHS_LOGS', `${DATA}/log`),
          value('GF_PATHS_PLUGINS', `${DATA}/plugins`),
          value('GF_LOG_MODE', 'console'),
          value('GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH', `${DASHBOARDS}/${HOME_DASHBOARD}`),
          // It reaches nothing outside the platform.
          value('GF_ANALYTICS_REPORTING_ENABLED', 'false'),
          value('GF_ANALYTICS_CHECK_FOR_UPDATES', 'false'),
          value('GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES', 'false'),
          value('GF_NEWS_NEWS_FEED_ENABLED', 'false'),
          ...goRuntime(grafana.resources),
        ],
        ports: { metrics: PORT },
        resources: grafana.resources,
        mounts: { ...Object.fromEntries(Object.entries(FILES).map(([name, path]) => [path, name])), [DATA]: 'data', '/tmp': 'tmp' },
        probes: probes({ httpGet: { path: '/api/health', port: 'metrics' } }, { tcpSocket: { port: 'metrics' } }),
      }),
    ],
    volumes: [
      ...Object.keys(FILES).map((name) => configVolume(name, nameOf(input, name))),
      scratch('data', '256Mi'),
      scratch('tmp', '64Mi'),
    ],
  });
}

const isPresent = (spec: BssPlatformSpec) => spec.grafana.enabled && hasPrometheus(spec);

export const definition: ComponentDefinition = {
  name: 'grafana',
  stage: 'observability',
  present: isPresent,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  connections: (spec) => [
    'prometheus',
    'alertmanager',
    ...(hasLoki(spec) ? ['loki'] : []),
    TEMPO_API,
    ...(hasJaeger(spec) ? ['jaeger'] : []),
  ],
  admits: () => [{ from: 'anywhere', ports: [PORT] }],
  credentials: [{ key: PASSWORD_KEY, type: 'password' }],
  reads: [PASSWORD_KEY],
  endpoints: (platform) =>
    isPresent(platform.spec) ? [{ name: 'grafana', address: `http://${addressOf(platform, 'grafana')}:${PORT}` }] : [],
  manifests: (input) => {
    const data = files(input);
    return [
      ...Object.entries(data).map(([name, content]) => configMap(input, name, content)),
      service(input, 'grafana', { http: PORT }),
      deployment(input, 'grafana', template(input, data), 1, { type: 'Recreate' }),
    ];
  },
};

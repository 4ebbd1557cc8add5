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
import type { BssPlatformSpec } from '../spec.ts';
import type { PlatformInput } from '../types.ts';
import { alertmanagerAddress } from './alertmanager.ts';
import { prometheusAddress } from './prometheus.ts';

const schema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
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

function dataSources(input: PlatformInput): string {
  const alertmanager = alertmanagerAddress(input);
  const prometheus = {
    name: 'Prometheus',
    uid: 'prometheus',
    type: 'prometheus',
    access: 'proxy',
    isDefault: true,
    url: `http://${prometheusAddress(input)}`,
  };
  const interval = { jsonData: { timeInterval: input.spec.prometheus.scrapeInterval, alertmanagerUid: 'alertmanager' } };
  const alerts = {
    name: 'Alertmanager',
    uid: 'alertmanager',
    type: 'alertmanager',
    access: 'proxy',
    jsonData: { implementation: 'prometheus' },
  };
  return stringify({
    apiVersion: 1,
    datasources: [{ ...prometheus, ...interval }, ...(alertmanager === undefined ? [] : [{ ...alerts, url: `http://${alertmanager}` }])],
  });
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
    'grafana-datasources': { 'datasources.yml': dataSources(input) },
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

const isPresent = ({ grafana, prometheus }: BssPlatformSpec) => grafana.enabled && prometheus.enabled;

export const definition: ComponentDefinition = {
  name: 'grafana',
  stage: 'observability',
  present: isPresent,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  connections: () => ['prometheus', 'alertmanager'],
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

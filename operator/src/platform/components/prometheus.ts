/** Prometheus. It discovers the platform's pods by their labels. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { ruleFile } from '../../../../dashboards/src/rules/index.ts';
import { placement, resources, storage } from '../../api/common.ts';
import { durationMs, quantityValue } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { bytes, positiveDuration } from '../../api/rules.ts';
import type { Draft } from '../component.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { addressOf, nameOf } from '../names.ts';
import { claim, configMap, service, statefulSet } from '../parts.ts';
import { claimName, claimVolume, configVolume, container, goRuntime, podTemplate, probes } from '../pods.ts';
import {
  COMPONENT,
  copy,
  foreignComponents,
  hasPrometheus,
  keep,
  drop,
  OWN_LABELS,
  PUSHED_JOB,
  PUSHED_LABELS,
  ruleOptions,
  RUNNING,
  type Relabeling,
} from '../scraping.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice, PlatformInput } from '../types.ts';
import { alertmanagerAddress } from './alertmanager.ts';

const alerts = z
  .strictObject({
    runbooks: z
      .string()
      .min(1)
      .max(512)
      .default('docs/runbooks/')
      .describe(
        'Where the runbooks are published: `runbook_url` of an alert is this, its name and `.md`. Default: their folder in the source.',
      ),
    durationDivisor: z
      .int()
      .min(1)
      .max(60)
      .default(1)
      .describe(
        'Divides every duration of the alerts. 1, except in demonstrations and tests: with 10, an alert that waits 5 minutes fires after 30 s.',
      ),
  })
  .prefault({})
  .describe('The alerts of the platform.');

const schema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Run Prometheus and the exporters. Pods serve /metrics in both cases.'),
    retention: positiveDuration('How long samples are kept.').default('15d'),
    retentionSize: bytes('Disk space above which Prometheus deletes the oldest samples. Keep it below storage.size.').prefault('3Gi'),
    scrapeInterval: positiveDuration('Time between two scrapes.').default('5s'),
    alerts,
    storage: storage('the samples', '5Gi'),
    resources: resources('Prometheus'),
    ...placement(),
  })
  .prefault({})
  .describe('Prometheus, which scrapes every component of the platform.');

export const specPiece = piece('prometheus', schema, {
  profiles: {
    small: { resources: amounts('50m', '192Mi', '500m', '768Mi') },
    production: { retentionSize: '50G', storage: { size: '60Gi' }, resources: amounts('500m', '2Gi', undefined, '4Gi') },
  },
});

const IMAGE = {
  name: 'prometheus',
  refs: { '0.1.0': 'prom/prometheus:v3.16.0' },
  what: 'Prometheus',
  debian: { packages: [], built: ['prometheus', 'promtool'], version: ['prometheus', '--version'] },
};
const USER = 65534;
const PORT = 9090;

/** The Service of the operator's metrics, in its namespace: see the chart bss-operator. */
const OPERATOR_SERVICE = 'bss-operator-metrics';
const OPERATOR_PORT = 8081;

/**
 * The operator's replicas. Their own series get the name of this platform, so that panels and alerts find them by it; those about platforms keep
 * their labels, and only this platform's are kept.
 */
function operatorJob(input: PlatformInput) {
  return {
    job_name: 'bss-operator',
    honor_labels: true,
    dns_sd_configs: [
      { names: [`${OPERATOR_SERVICE}.${input.operatorNamespace}.svc`], type: 'A', port: OPERATOR_PORT, refresh_interval: '10s' },
    ],
    relabel_configs: [
      { target_label: 'service', replacement: 'bss-operator' },
      { target_label: 'platform', replacement: input.name },
      { target_label: 'namespace', replacement: input.operatorNamespace },
      copy('__address__', 'pod'),
    ],
    metric_relabel_configs: [keep('platform', input.name), keep('namespace', `${input.namespace}|${input.operatorNamespace}`)],
  };
}

function alerting(input: PlatformInput) {
  const address = alertmanagerAddress(input);
  return address === undefined ? {} : { alerting: { alertmanagers: [{ static_configs: [{ targets: [address] }] }] } };
}

/** A scrape of every container port with a name that begins with `metrics`, in every running pod of this platform. */
function scrape(input: PlatformInput, job: string, relabeling: readonly Relabeling[]) {
  return {
    job_name: job,
    kubernetes_sd_configs: [
      {
        role: 'pod',
        namespaces: { names: [input.namespace] },
        selectors: [{ role: 'pod', label: `app.kubernetes.io/part-of=bss-platform,app.kubernetes.io/instance=${input.name}` }],
      },
    ],
    relabel_configs: [keep('__meta_kubernetes_pod_container_port_name', 'metrics(-.*)?'), RUNNING, ...relabeling],
  };
}

/** Components with metrics of other programs have a job of their own, which keeps the labels of those metrics. */
function scrapes(input: BuildInput) {
  const foreign = foreignComponents(input).map(({ name }) => name);
  if (foreign.length === 0) return [scrape(input, 'bss-platform', OWN_LABELS)];
  const names = foreign.join('|');
  const honored = scrape(input, PUSHED_JOB, [keep(COMPONENT, names), ...PUSHED_LABELS]);
  return [scrape(input, 'bss-platform', [drop(COMPONENT, names), ...OWN_LABELS]), { honor_labels: true, ...honored }];
}

function config(input: BuildInput): string {
  const interval = `${durationMs(input.spec.prometheus.scrapeInterval)}ms`;
  return stringify(
    {
      global: {
        scrape_interval: interval,
        scrape_timeout: interval,
        evaluation_interval: interval,
        external_labels: { platform: input.name },
      },
      rule_files: ['/etc/prometheus/rules.yml'],
      ...alerting(input),
      scrape_configs: [operatorJob(input), ...scrapes(input)],
    },
    { aliasDuplicateObjects: false },
  );
}

const RBAC = 'rbac.authorization.k8s.io';

/** Address of its API, host:port. */
export function prometheusAddress(platform: Pick<PlatformInput, 'name' | 'namespace'>): string {
  return `${addressOf(platform, 'prometheus')}:${PORT}`;
}

/** It may read the pods of its own namespace and nothing else. */
function role(input: PlatformInput): Draft<'Role'> {
  return {
    kind: 'Role',
    name: nameOf(input, 'prometheus'),
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }],
  };
}

function identity(input: PlatformInput): Draft[] {
  const name = nameOf(input, 'prometheus');
  return [
    { kind: 'ServiceAccount', name, automountServiceAccountToken: false },
    {
      kind: 'RoleBinding',
      name,
      roleRef: { apiGroup: RBAC, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: input.namespace }],
    },
  ];
}

/**
 * How old a sample may be in the result of a query. A Prometheus that ends writes no staleness markers: the next one would take the targets that
 * are gone meanwhile for targets that are down, by default for five minutes, and ServiceDown would fire after every upgrade.
 */
function lookbackMs(scrapeInterval: string): number {
  return Math.max(60_000, 4 * durationMs(scrapeInterval));
}

function template(input: PlatformInput, data: Record<string, string>) {
  const { prometheus } = input.spec;
  const name = nameOf(input, 'prometheus');
  return podTemplate(input, {
    component: 'prometheus',
    placement: prometheus,
    user: USER,
    config: data,
    gracePeriodSeconds: 60,
    serviceAccount: name,
    containers: [
      container(input, {
        name: 'prometheus',
        image: IMAGE,
        command: [
          'prometheus',
          '--config.file=/etc/prometheus/prometheus.yml',
          '--storage.tsdb.path=/prometheus/data',
          `--storage.tsdb.retention.time=${durationMs(prometheus.retention)}ms`,
          `--storage.tsdb.retention.size=${Math.floor(quantityValue(prometheus.retentionSize))}B`,
          `--query.lookback-delta=${lookbackMs(prometheus.scrapeInterval)}ms`,
          `--web.listen-address=:${PORT}`,
          '--enable-feature=exemplar-storage',
        ],
        env: goRuntime(prometheus.resources),
        ports: { metrics: PORT },
        resources: prometheus.resources,
        mounts: { '/etc/prometheus': 'config', '/prometheus': 'data' },
        probes: probes({ httpGet: { path: '/-/ready', port: 'metrics' } }, { httpGet: { path: '/-/healthy', port: 'metrics' } }),
      }),
    ],
    volumes: [configVolume('config', name), claimVolume('data', claimName(input, 'prometheus'))],
  });
}

function retentionAboveDisk(spec: BssPlatformSpec): Advice | undefined {
  const { prometheus } = spec;
  if (!hasPrometheus(spec) || quantityValue(prometheus.retentionSize) < quantityValue(prometheus.storage.size)) return undefined;
  return {
    path: 'spec.prometheus.retentionSize',
    message: `retentionSize ${prometheus.retentionSize} is not below the volume's ${prometheus.storage.size}: the disk fills before Prometheus deletes old samples; lower it or raise storage.size`,
  };
}

export const definition: ComponentDefinition = {
  name: 'prometheus',
  stage: 'observability',
  present: hasPrometheus,
  images: [IMAGE],
  ports: () => ({ metrics: PORT }),
  connections: ({ networkPolicies: { apiServer } }) => [
    { metrics: 'all' },
    { operator: [OPERATOR_PORT] },
    { outside: apiServer.ports, of: apiServer.addresses },
  ],
  // It reads the firing alerts.
  admits: () => [{ from: 'operator', ports: [PORT] }],
  endpoints: (platform) => (hasPrometheus(platform.spec) ? [{ name: 'prometheus', address: `http://${prometheusAddress(platform)}` }] : []),
  advise: (all) => [retentionAboveDisk(all)],
  // The API server accepts a RoleBinding only when its Role exists.
  prerequisites: (input) => [role(input)],
  manifests: (input) => {
    const data = { 'prometheus.yml': config(input), 'rules.yml': ruleFile(ruleOptions(input)) };
    return [
      ...identity(input),
      configMap(input, 'prometheus', data),
      claim(input, 'prometheus', input.spec.prometheus.storage),
      service(input, 'prometheus', { http: PORT }),
      service(input, 'prometheus', { http: PORT }, { headless: true }),
      statefulSet(input, 'prometheus', template(input, data)),
    ];
  },
};

/** What the platform gives to a Prometheus and a Grafana that the cluster has: monitors, rules and dashboards. */
import { z } from 'zod';
import { DASHBOARD_FILES } from '../../../../dashboards/src/dashboards.ts';
import { scopedGroups } from '../../../../dashboards/src/rules/index.ts';
import { annotationMap, objectLabels } from '../../api/common.ts';
import { durationMs } from '../../api/index.ts';
import { piece, type SpecPiece } from '../../api/piece.ts';
import { merge } from '../../api/profiles.ts';
import type { Draft } from '../component.ts';
import { isMetricsPort, presentIn, type BuildInput, type ComponentDefinition } from '../definition.ts';
import { hash } from '../hash.ts';
import { KINDS, type MonitorRelabeling } from '../kinds.ts';
import { nameOf } from '../names.ts';
import { foreignComponents, OWN_LABELS, PUSHED_JOB, PUSHED_LABELS, ruleOptions, RUNNING, type Relabeling } from '../scraping.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice, PlatformInput } from '../types.ts';
import * as alertmanager from './alertmanager.ts';
import * as collector from './collector.ts';
import * as grafana from './grafana.ts';
import * as jaeger from './jaeger.ts';
import * as logAgent from './log-agent.ts';
import * as loki from './loki.ts';
import * as nodeExporter from './node-exporter.ts';
import * as pghero from './pghero.ts';
import * as prometheus from './prometheus.ts';
import * as tempo from './tempo.ts';

const dashboards = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Write the ConfigMap. The dashboards have a list of platforms, so one platform of the cluster is enough.'),
    labels: objectLabels("Labels by which the sidecar of Grafana finds the ConfigMap. Default: `grafana_dashboard: '1'`.", {
      grafana_dashboard: '1',
    }),
    annotations: annotationMap('Annotations of the ConfigMap: the folder in Grafana. Default: `grafana_folder: BSS platform`.', {
      grafana_folder: 'BSS platform',
    }),
  })
  .prefault({})
  .describe('A ConfigMap with the dashboards, in mode existing.');

const schema = z
  .strictObject({
    mode: z
      .enum(['managed', 'existing'])
      .default('managed')
      .describe(
        'managed: the platform runs Prometheus, Alertmanager, Grafana and the stores of logs and traces. existing: it runs none of them, and writes PodMonitors, a PrometheusRule and dashboards for the prometheus-operator and the Grafana of the cluster. `prometheus.scrapeInterval` and `prometheus.alerts` apply in both modes.',
      ),
    labels: objectLabels(
      'Labels of the PodMonitors and the PrometheusRule, by which your Prometheus selects them, such as `release: kube-prometheus-stack`. In mode existing.',
    ),
    dashboards,
  })
  .prefault({})
  .describe('Who scrapes the platform, evaluates its rules and shows its dashboards.');

export const specPiece = piece('observability', schema);

/** The fields that the rules of mode existing compare. */
interface Monitoring {
  observability: { mode: 'managed' | 'existing' };
  prometheus: { enabled: boolean };
  alertmanager: { receivers: Partial<Record<(typeof RECEIVERS)[number], unknown>> };
}

const RECEIVERS = ['slack', 'email', 'pagerduty', 'webhook', 'watchdog'] as const;
const NOT_EXISTING = "self.?observability.?mode.orValue('managed') != 'existing'";
const isManaged = ({ observability }: Monitoring) => observability.mode === 'managed';

/** What a user could rely on, and mode existing does not have: notifications, a switch. */
export const EXISTING_RULES = [
  {
    cel: `${NOT_EXISTING} || self.?prometheus.?enabled.orValue(true)`,
    message:
      'observability.mode existing runs no Prometheus, and false would take the exporters away that yours scrapes: remove prometheus.enabled',
    fieldPath: '.prometheus.enabled',
    check: (spec: Monitoring) => isManaged(spec) || spec.prometheus.enabled,
  },
  {
    cel: `${NOT_EXISTING} || !(${RECEIVERS.map((name) => `self.?alertmanager.?receivers.?${name}.hasValue()`).join(' || ')})`,
    message:
      'observability.mode existing runs no Alertmanager that could notify them: set the receivers in yours, and remove alertmanager.receivers',
    fieldPath: '.alertmanager.receivers',
    check: (spec: Monitoring) => isManaged(spec) || RECEIVERS.every((name) => spec.alertmanager.receivers[name] === undefined),
  },
];

/** Kinds of prometheus-operator, which not every cluster serves. */
export const POD_MONITOR = { apiVersion: KINDS.PodMonitor.apiVersion, kind: 'PodMonitor' };
export const PROMETHEUS_RULE = { apiVersion: KINDS.PrometheusRule.apiVersion, kind: 'PrometheusRule' };

/** Labels that prometheus-operator adds to every target: rules and dashboards do not expect them, and metrics may have labels of these names. */
const ADDED = ['container', 'endpoint', 'pod'];

/** Drops those of them that the relabeling does not set. */
function withoutAdded(relabeling: readonly Relabeling[]): MonitorRelabeling {
  const set = new Set(relabeling.map((step) => step.target_label));
  return { action: 'labeldrop', regex: ADDED.filter((label) => !set.has(label)).join('|') };
}

function monitorRelabeling({ source_labels: sourceLabels, target_label: targetLabel, ...rest }: Relabeling): MonitorRelabeling {
  return { ...(sourceLabels ? { sourceLabels } : {}), ...rest, ...(targetLabel === undefined ? {} : { targetLabel }) };
}

interface Monitored {
  name: string;
  /** Components whose pods it selects. */
  of: readonly ComponentDefinition[];
  /** Of the label app.kubernetes.io/component. */
  selection: { operator: 'In' | 'NotIn'; values: string[] };
  honorLabels: boolean;
  relabeling: readonly Relabeling[];
}

/** A PodMonitor for every metrics port of these components; undefined when they have none. */
function podMonitor(input: BuildInput, monitored: Monitored): Draft<'PodMonitor'> | undefined {
  const { name, of, selection, honorLabels, relabeling } = monitored;
  const ports = new Set(of.flatMap(({ ports: open }) => Object.keys(open?.(input.spec) ?? {}).filter(isMetricsPort)));
  if (ports.size === 0) return undefined;
  const interval = `${durationMs(input.spec.prometheus.scrapeInterval)}ms`;
  const relabelings = [...[RUNNING, ...relabeling].map(monitorRelabeling), withoutAdded(relabeling)];
  return {
    kind: 'PodMonitor',
    name: nameOf(input, name),
    labels: input.spec.observability.labels,
    spec: {
      selector: {
        matchLabels: { 'app.kubernetes.io/instance': input.name, 'app.kubernetes.io/part-of': 'bss-platform' },
        ...(selection.values.length > 0 ? { matchExpressions: [{ key: 'app.kubernetes.io/component', ...selection }] } : {}),
      },
      podMetricsEndpoints: [...ports].map((port) => ({
        port,
        interval,
        scrapeTimeout: interval,
        ...(honorLabels ? { honorLabels } : {}),
        relabelings,
      })),
    },
  };
}

/** Components with metrics of other programs have a monitor of their own, which keeps the labels of those metrics. */
function podMonitors(input: BuildInput): (Draft<'PodMonitor'> | undefined)[] {
  const foreign = foreignComponents(input);
  const own = presentIn(input.definitions, input.spec).filter((one) => !foreign.includes(one));
  const values = foreign.map(({ name }) => name);
  const pushed = [{ target_label: 'job', replacement: PUSHED_JOB }, ...PUSHED_LABELS];
  return [
    podMonitor(input, {
      name: 'monitoring',
      of: own,
      selection: { operator: 'NotIn', values },
      honorLabels: false,
      relabeling: OWN_LABELS,
    }),
    podMonitor(input, {
      name: 'monitoring-pushed',
      of: foreign,
      selection: { operator: 'In', values },
      honorLabels: true,
      relabeling: pushed,
    }),
  ];
}

/** While the platform hibernates there are no rules: every target is missing, and nobody is to be notified. */
function prometheusRule(input: BuildInput): Draft<'PrometheusRule'> | undefined {
  if (input.spec.hibernate) return undefined;
  const { name: platform, namespace, operatorNamespace } = input;
  const interval = `${durationMs(input.spec.prometheus.scrapeInterval)}ms`;
  const groups = scopedGroups(ruleOptions(input), { platform, namespace, operatorNamespace });
  return {
    kind: 'PrometheusRule',
    name: nameOf(input, 'monitoring'),
    labels: input.spec.observability.labels,
    spec: { groups: groups.map(({ name, rules }) => ({ name, interval, rules })) },
  };
}

function dashboardFiles(input: PlatformInput): Draft<'ConfigMap'> | undefined {
  const { enabled, labels, annotations } = input.spec.observability.dashboards;
  if (!enabled) return undefined;
  return { kind: 'ConfigMap', name: nameOf(input, 'monitoring-dashboards'), labels, annotations, data: { ...DASHBOARD_FILES } };
}

const PLACEMENT = ['nodeSelector', 'tolerations', 'priorityClassName', 'labels'];

/**
 * Fields without effect in mode existing. Not among them: the placement below `prometheus`, which is that of the exporters as well, and the volumes,
 * which may be kept.
 */
const WITHOUT_EFFECT: Record<string, { piece: SpecPiece; fields: string[] }> = {
  prometheus: { piece: prometheus.specPiece, fields: ['retention', 'retentionSize', 'resources'] },
  alertmanager: { piece: alertmanager.specPiece, fields: ['retention', 'resources', ...PLACEMENT] },
  loki: { piece: loki.specPiece, fields: ['retention', 'resources', ...PLACEMENT] },
  tempo: { piece: tempo.specPiece, fields: ['retention', 'resources', ...PLACEMENT] },
  jaeger: { piece: jaeger.specPiece, fields: ['maxTraces', 'search', 'resources', ...PLACEMENT] },
  collector: { piece: collector.specPiece, fields: ['slow', 'samplePercent', 'resources', ...PLACEMENT] },
  logAgent: { piece: logAgent.specPiece, fields: ['resources', 'tolerations'] },
  nodeExporter: { piece: nodeExporter.specPiece, fields: ['resources', 'tolerations'] },
  grafana: { piece: grafana.specPiece, fields: ['resources', ...PLACEMENT] },
  pghero: { piece: pghero.specPiece, fields: ['enabled', 'resources', ...PLACEMENT] },
};

type Fields = Record<string, unknown>;

function defaultsOf({ schema: shape, profiles }: SpecPiece, profile: BssPlatformSpec['profile']): Fields {
  return shape.parse(merge({}, profiles?.[profile])) as Fields;
}

/** Paths below `spec` of the fields that differ from their defaults. */
function changed(at: string, fields: string[], values: Fields, defaults: Fields): string[] {
  return fields.filter((name) => hash(values[name] ?? null) !== hash(defaults[name] ?? null)).map((name) => `spec.${at}.${name}`);
}

function withoutEffect(spec: BssPlatformSpec): Advice[] {
  const { mode } = spec.observability;
  const values = spec as unknown as Record<string, Fields>;
  const parts: typeof WITHOUT_EFFECT =
    mode === 'existing' ? WITHOUT_EFFECT : { observability: { piece: specPiece, fields: ['labels', 'dashboards'] } };
  const other = mode === 'existing' ? 'managed' : 'existing';
  const paths = Object.entries(parts).flatMap(([at, { piece: one, fields }]) =>
    changed(at, fields, values[at] ?? {}, defaultsOf(one, spec.profile)),
  );
  return paths.map((path) => ({ path, message: `it has no effect in observability.mode ${mode}: remove it, or set the mode to ${other}` }));
}

export const definition: ComponentDefinition = {
  name: 'monitoring',
  withoutPods: true,
  stage: 'observability',
  present: ({ observability }: BssPlatformSpec) => observability.mode === 'existing',
  advise: withoutEffect,
  manifests: (input) => [...podMonitors(input), prometheusRule(input), dashboardFiles(input)],
};

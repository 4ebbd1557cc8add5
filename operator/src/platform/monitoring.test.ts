/** Mode existing against mode managed: the same targets, the same rules, and nothing else of the platform changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { OPERATOR_PLATFORM, type WrittenGroup } from '../../../dashboards/src/rules/index.ts';
import { inputOf, podTemplateOf } from './golden.ts';
import { buildPlatform, endpoints } from './index.ts';
import { parseSpec } from './spec.ts';
import { monitorJobs, targetsOf, type ScrapedPod, type ScrapeJob, type Target } from './testing/relabel.ts';
import type { KubernetesObject } from './types.ts';

const SCOPE = `namespace=~"bss|bss-system",platform=~"demo|${OPERATOR_PLATFORM}"`;
const ANY = 'platform!=""';
const STACK = ['prometheus', 'alertmanager', 'grafana', 'loki', 'log-agent', 'tempo', 'jaeger', 'collector', 'node-exporter', 'pghero'];
/** Where workloads send their traces: otherwise the mode changes it, and restarts them. */
const telemetry = { otlpEndpoint: 'http://collector.monitoring:4318' };
/** Specs in mode managed; each is compared with itself in mode existing. */
const SPECS: Record<string, Record<string, unknown>> = {
  small: { telemetry },
  'with a Pushgateway': { telemetry, pushgateway: { enabled: true } },
  'production, external stores, other settings': {
    profile: 'production',
    telemetry,
    kafka: { external: { brokers: ['kafka:9092'] } },
    postgres: { external: { host: 'db', adminSecret: { name: 'db' } } },
    redis: { enabled: false },
    pushgateway: { enabled: true },
    prometheus: { scrapeInterval: '15s', alerts: { durationDivisor: 10, runbooks: 'https://wiki.example.com/' } },
  },
};

const existing = (spec: Record<string, unknown>, fields: object = {}) => ({ ...spec, observability: { mode: 'existing', ...fields } });
const built = (spec: unknown): KubernetesObject[] => buildPlatform(inputOf(spec)).flatMap(({ manifests }) => manifests);
const componentOf = ({ metadata }: KubernetesObject) => metadata.labels?.['app.kubernetes.io/component'] ?? '';
const ofKind = (objects: KubernetesObject[], kind: string) => objects.filter((object) => object.kind === kind);

/** The pods of the manifests, in both modes the same, and one of a Job that has ended. */
function podsOf(objects: KubernetesObject[]): ScrapedPod[] {
  return objects
    .filter((object) => !STACK.includes(componentOf(object)))
    .flatMap((object) => {
      const { metadata, spec } = podTemplateOf(object) ?? {};
      const ports = (spec?.containers ?? []).flatMap(({ name: container, ports: open = [] }) =>
        open.map(({ name = '', containerPort }) => ({ container, name, port: containerPort })),
      );
      const pod = { labels: metadata?.labels ?? {}, phase: 'Running', ports };
      return ports.length === 0 ? [] : [pod, { ...pod, phase: 'Pending' }, { ...pod, labels: { 'app.kubernetes.io/instance': 'other' } }];
    });
}

interface Configuration {
  global: { scrape_interval: string; scrape_timeout: string };
  scrape_configs: ScrapeJob[];
}

function configMapOf(objects: KubernetesObject[]): Record<string, string> {
  const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'demo-prometheus');
  return found?.['data'] as Record<string, string>;
}

function managedTargets(objects: KubernetesObject[], pods: ScrapedPod[]): Target[] {
  const { global, scrape_configs: jobs } = parse(configMapOf(objects)['prometheus.yml'] ?? '') as Configuration;
  const ofPods = jobs.filter(({ job_name: name }) => name !== 'bss-operator').map((job) => ({ ...global, ...job }));
  // The selector of the service discovery: the API server lists the pods of the platform alone.
  const own = pods.filter(({ labels }) => labels['app.kubernetes.io/instance'] === 'demo');
  return targetsOf(ofPods, own);
}

for (const [name, spec] of Object.entries(SPECS)) {
  await test(`${name}: the PodMonitors give the targets of the managed Prometheus, with the same labels, interval and honoring`, () => {
    const [managed, other] = [built(spec), built(existing(spec))];
    const pods = podsOf(managed);
    const wanted = managedTargets(managed, pods);
    const monitors = ofKind(other, 'PodMonitor') as Parameters<typeof monitorJobs>[0][];
    assert.ok(wanted.length > 5, `only ${wanted.length} targets`);
    assert.deepEqual(targetsOf(monitors.flatMap(monitorJobs), pods), wanted);
  });

  await test(`${name}: the PrometheusRule has every rule of the managed Prometheus, for this platform alone`, () => {
    const { groups } = parse(configMapOf(built(spec))['rules.yml'] ?? '') as { groups: WrittenGroup[] };
    const [rule] = ofKind(built(existing(spec)), 'PrometheusRule') as (KubernetesObject & { spec: { groups: WrittenGroup[] } })[];
    assert.deepEqual(withoutTargets(withoutScope(rule?.spec.groups ?? [])), withoutTargets(groups));
  });

  await test(`${name}: the mode changes nothing but the monitoring and the policies`, () => {
    const kept = (objects: KubernetesObject[]) =>
      objects.filter(
        (one) =>
          ![...STACK, 'monitoring'].includes(componentOf(one)) &&
          one.kind !== 'NetworkPolicy' &&
          !one.metadata.name.endsWith('-prometheus'),
      );
    assert.deepEqual(kept(built(existing(spec))), kept(built(spec)));
  });
}

/** A rule in the format of Prometheus. */
interface Rule {
  alert?: string;
  expr?: string;
  labels?: Record<string, string>;
}

/** The expression as the rules are written: recorded names, which have colons, have no matchers there. */
function general(expr = ''): string {
  return expr
    .replaceAll(SCOPE, ANY)
    .replaceAll(/(:\w+)\{platform!=""\}/g, '$1')
    .replaceAll(/(:\w+)\{platform!="",/g, '$1{');
}

function withoutScope(groups: WrittenGroup[]): WrittenGroup[] {
  const strip = (rule: Rule): Rule => {
    const expr = general(rule.expr);
    if (rule.alert === undefined) return { ...rule, expr };
    const { namespace, platform, ...labels } = rule.labels ?? {};
    assert.deepEqual([namespace, platform], ['bss', 'demo'], rule.alert);
    return { ...rule, expr, labels };
  };
  return groups.map(({ name, rules }) => ({ name, rules: rules.map(strip) }));
}

/** The targets that must exist differ: without the managed stack nobody misses them. */
function withoutTargets(groups: WrittenGroup[]): WrittenGroup[] {
  const own = new RegExp(`job="(${STACK.join('|')})"`);
  const others = (expr = '') => expr.split('\nor\n').filter((part) => !own.test(part));
  const strip = (rule: Rule) => (rule.alert === 'TargetMissing' ? { ...rule, expr: others(rule.expr) } : rule);
  return groups.map(({ name, rules }) => ({ name, rules: rules.map(strip) }));
}

await test('mode existing has no part of the monitoring stack, in status either, and keeps exporters and Pushgateway', () => {
  const spec = existing({ pushgateway: { enabled: true }, pghero: { enabled: true } });
  const components = buildPlatform(inputOf(spec)).map(({ name }) => name);
  assert.deepEqual(
    components.filter((name) => STACK.includes(name)),
    [],
  );
  for (const name of ['exporters', 'pushgateway', 'kafka-exporter', 'monitoring']) assert.ok(components.includes(name), name);
  assert.deepEqual(
    endpoints(inputOf(spec)).filter(({ name }) => STACK.includes(name)),
    [],
  );
  assert.ok(!buildPlatform(inputOf({})).some(({ name }) => name === 'monitoring'), 'mode managed writes nothing for others');
});

await test('labels of the spec are on monitors and rules, and those of the dashboards on their ConfigMap', () => {
  const objects = built(
    existing({ pushgateway: { enabled: true } }, { labels: { release: 'stack' }, dashboards: { labels: { grafana: 'yes' } } }),
  );
  const labelsOf = (kind: string, name: string) =>
    objects.find((one) => one.kind === kind && one.metadata.name === name)?.metadata.labels ?? {};
  for (const name of ['demo-monitoring', 'demo-monitoring-pushed']) assert.equal(labelsOf('PodMonitor', name)['release'], 'stack');
  assert.equal(labelsOf('PrometheusRule', 'demo-monitoring')['release'], 'stack');
  const own = labelsOf('ConfigMap', 'demo-monitoring-dashboards');
  assert.deepEqual([own['grafana'], own['grafana_dashboard'], own['release']], ['yes', undefined, undefined]);
  const without = built(existing({}, { dashboards: { enabled: false } }));
  assert.ok(!without.some(({ metadata }) => metadata.name === 'demo-monitoring-dashboards'));
});

await test('a hibernating platform has no rules: nobody is notified of targets that sleep', () => {
  assert.deepEqual(ofKind(built({ ...existing({}), hibernate: true }), 'PrometheusRule'), []);
});

const REFUSED: Record<string, { fields: object; path: string }> = {
  'receivers of an Alertmanager that does not run': {
    fields: { alertmanager: { receivers: { email: { to: 'a@b.c', from: 'a@b.c', smarthost: 'mail:25' } } } },
    path: 'spec.alertmanager.receivers',
  },
  'exporters that are switched off': { fields: { prometheus: { enabled: false } }, path: 'spec.prometheus.enabled' },
};

for (const [name, { fields, path }] of Object.entries(REFUSED)) {
  await test(`mode existing refuses ${name}`, () => {
    const parsed = parseSpec(existing(fields as Record<string, unknown>));
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.problems.map((problem) => problem.path),
      [path],
    );
    assert.ok(parseSpec(fields).ok, 'mode managed takes it');
  });
}

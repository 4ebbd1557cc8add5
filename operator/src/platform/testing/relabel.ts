/**
 * What Prometheus makes of a pod's ports: service discovery and relabeling, as far as the platform's configurations use them, and the configuration
 * that prometheus-operator writes for a PodMonitor (`generatePodMonitorConfig` of its v0.85.0). Pure.
 */
import type { KubernetesObject } from '../types.ts';

type Labels = Record<string, string>;

/** A pod as the controllers would make it, with the ports of its containers. */
export interface ScrapedPod {
  labels: Labels;
  phase: string;
  ports: { container: string; name: string; port: number }[];
}

export interface Target {
  labels: Labels;
  honorLabels: boolean;
  /** Milliseconds. */
  interval: string;
  timeout: string;
}

export interface Step {
  source_labels?: string[];
  action?: string;
  regex?: string;
  target_label?: string;
  replacement?: string;
}

export interface ScrapeJob {
  job_name: string;
  honor_labels?: boolean;
  scrape_interval: string;
  scrape_timeout: string;
  relabel_configs: Step[];
}

const sanitized = (name: string) => name.replaceAll(/[^a-zA-Z0-9_]/g, '_');

/** The meta labels of the role `pod`, one set a port. */
function discovered({ labels, phase, ports }: ScrapedPod, job: string): Labels[] {
  const own = Object.entries(labels).flatMap(([key, value]) => [
    [`__meta_kubernetes_pod_label_${sanitized(key)}`, value],
    [`__meta_kubernetes_pod_labelpresent_${sanitized(key)}`, 'true'],
  ]);
  return ports.map(({ container, name, port }) => ({
    ...(Object.fromEntries(own) as Labels),
    job,
    __address__: `10.0.0.1:${port}`,
    __meta_kubernetes_namespace: 'bss',
    __meta_kubernetes_pod_name: `${container}-0`,
    __meta_kubernetes_pod_phase: phase,
    __meta_kubernetes_pod_container_name: container,
    __meta_kubernetes_pod_container_port_name: name,
    __meta_kubernetes_pod_container_port_number: String(port),
  }));
}

/** One step; undefined: the target is dropped. */
function relabel(labels: Labels, step: Step): Labels | undefined {
  const { source_labels = [], action = 'replace', regex = '(.*)', target_label = '', replacement = '$1' } = step;
  const whole = new RegExp(`^(?:${regex})$`, 's');
  if (action === 'labeldrop') return Object.fromEntries(Object.entries(labels).filter(([name]) => !whole.test(name)));
  const value = source_labels.map((name) => labels[name] ?? '').join(';');
  const match = whole.exec(value);
  if (action === 'keep') return match ? labels : undefined;
  if (action === 'drop') return match ? undefined : labels;
  if (action !== 'replace') throw new Error(`unknown action ${action}`);
  if (!match) return labels;
  return { ...labels, [target_label]: replacement.replaceAll(/\$(?:\{(\d+)\}|(\d+))/g, (_, a, b) => match[Number(a ?? b)] ?? '') };
}

/** Labels of the target without those that Prometheus removes; empty ones do not exist. */
function targetOf(labels: Labels, job: ScrapeJob): Target | undefined {
  const result = job.relabel_configs.reduce<Labels | undefined>((so, step) => so && relabel(so, step), labels);
  if (result === undefined) return undefined;
  const kept = Object.entries({ ...result, instance: result['instance'] ?? result['__address__'] ?? '' });
  const visible = Object.fromEntries(kept.filter(([name, value]) => !name.startsWith('__') && value !== ''));
  return {
    labels: visible,
    honorLabels: job.honor_labels === true,
    interval: job.scrape_interval,
    timeout: job.scrape_timeout,
  };
}

/** All targets, in the order of their labels. */
export function targetsOf(jobs: ScrapeJob[], pods: ScrapedPod[]): Target[] {
  const all = jobs.flatMap((job) => pods.flatMap((pod) => discovered(pod, job.job_name).map((labels) => targetOf(labels, job))));
  const sorted = all
    .filter((target) => target !== undefined)
    .map((target) => ({ key: JSON.stringify(Object.entries(target.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))), target }));
  return sorted.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ target }) => target);
}

interface PodMonitorSpec {
  selector: { matchLabels: Labels; matchExpressions?: { key: string; operator: string; values: string[] }[] };
  podMetricsEndpoints: {
    port: string;
    interval: string;
    scrapeTimeout: string;
    honorLabels?: boolean;
    relabelings: { sourceLabels?: string[]; action?: string; regex?: string; targetLabel?: string; replacement?: string }[];
  }[];
}

const copy = (from: string, to: string): Step => ({ source_labels: [from], target_label: to });

function selected(key: string, values: string[], action: string): Step {
  const label = sanitized(key);
  const source_labels = [`__meta_kubernetes_pod_label_${label}`, `__meta_kubernetes_pod_labelpresent_${label}`];
  return { action, source_labels, regex: `(${values.join('|')});true` };
}

/** The jobs that prometheus-operator writes for a PodMonitor. */
export function monitorJobs({ metadata: { name, namespace }, spec }: KubernetesObject & { spec: PodMonitorSpec }): ScrapeJob[] {
  const { matchLabels, matchExpressions = [] } = spec.selector;
  const selection = [
    ...Object.entries(matchLabels).map(([key, value]) => selected(key, [value], 'keep')),
    ...matchExpressions.map(({ key, operator, values }) => selected(key, values, operator === 'In' ? 'keep' : 'drop')),
  ];
  return spec.podMetricsEndpoints.map(({ port, interval, scrapeTimeout, honorLabels = false, relabelings }, index) => ({
    job_name: `podMonitor/${namespace}/${name}/${index}`,
    honor_labels: honorLabels,
    scrape_interval: interval,
    scrape_timeout: scrapeTimeout,
    relabel_configs: [
      { action: 'drop', source_labels: ['__meta_kubernetes_pod_phase'], regex: '(Failed|Succeeded)' },
      ...selection,
      { action: 'keep', source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: port },
      copy('__meta_kubernetes_namespace', 'namespace'),
      copy('__meta_kubernetes_pod_container_name', 'container'),
      copy('__meta_kubernetes_pod_name', 'pod'),
      { target_label: 'job', replacement: `${namespace}/${name}` },
      { target_label: 'endpoint', replacement: port },
      ...relabelings.map(({ sourceLabels, targetLabel, ...rest }) => ({
        ...rest,
        ...(sourceLabels ? { source_labels: sourceLabels } : {}),
        ...(targetLabel === undefined ? {} : { target_label: targetLabel }),
      })),
    ],
  }));
}

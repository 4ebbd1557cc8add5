/** What is scraped and which rules there are, for whichever Prometheus does it: the platform's own, or one that the cluster has. */
import type { RuleFileOptions } from '../../../dashboards/src/rules/index.ts';
import { isMetricsPort, presentIn, type BuildInput, type ComponentDefinition } from './definition.ts';
import type { BssPlatformSpec } from './spec.ts';

/** A step of relabeling in the fields of Prometheus' configuration. */
export interface Relabeling {
  source_labels?: string[];
  action?: string;
  regex?: string;
  target_label?: string;
  replacement?: string;
}

export const keep = (label: string, regex: string): Relabeling => ({ source_labels: [label], action: 'keep', regex });
export const drop = (label: string, regex: string): Relabeling => ({ source_labels: [label], action: 'drop', regex });
export const copy = (label: string, target: string): Relabeling => ({ source_labels: [label], target_label: target });

/** Whether the platform runs a Prometheus of its own. */
export function hasPrometheus({ prometheus, observability }: BssPlatformSpec): boolean {
  return prometheus.enabled && observability.mode === 'managed';
}

export const COMPONENT = '__meta_kubernetes_pod_label_app_kubernetes_io_component';
const PLATFORM = copy('__meta_kubernetes_pod_label_app_kubernetes_io_instance', 'platform');
const NAMESPACE = copy('__meta_kubernetes_namespace', 'namespace');

export const RUNNING = keep('__meta_kubernetes_pod_phase', 'Running');

/** Labels of the pods' own metrics. */
export const OWN_LABELS: readonly Relabeling[] = [
  copy('__meta_kubernetes_pod_container_name', 'job'),
  copy('__meta_kubernetes_pod_container_name', 'service'),
  copy(COMPONENT, 'component'),
  NAMESPACE,
  copy('__meta_kubernetes_pod_name', 'pod'),
  PLATFORM,
];

/** Labels of metrics that come from other programs, beside the labels that those have. */
export const PUSHED_LABELS: readonly Relabeling[] = [copy(COMPONENT, 'component'), NAMESPACE, PLATFORM];
/** `job` of the targets with such metrics. */
export const PUSHED_JOB = 'bss-platform-pushed';

/** Components of the platform with metrics of other programs. */
export function foreignComponents({ definitions, spec }: BuildInput): ComponentDefinition[] {
  return presentIn(definitions, spec).filter(({ honorLabels }) => honorLabels);
}

/** `job` of every target that must exist: an alert fires when one is missing. */
function targets({ definitions, spec }: BuildInput): string[] {
  const always = presentIn(definitions, spec).filter(
    ({ consumerGroup, honorLabels }) => !honorLabels && consumerGroup?.autoscaling(spec).minReplicas !== 0,
  );
  const jobs = always.flatMap(({ name, ports, jobs: named }) => {
    const scraped = Object.keys(ports?.(spec) ?? {}).some(isMetricsPort);
    return named?.(spec) ?? (scraped ? [name] : []);
  });
  return ['bss-operator', ...jobs].toSorted((a, b) => (a < b ? -1 : 1));
}

/** What the rules of a platform depend on. */
export function ruleOptions(input: BuildInput): RuleFileOptions {
  const { runbooks, durationDivisor } = input.spec.prometheus.alerts;
  return { targets: targets(input), divisor: durationDivisor, runbooks };
}

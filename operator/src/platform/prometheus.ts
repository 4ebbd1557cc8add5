/** Prometheus, which finds the platform's pods by their labels. */
import { stringify } from 'yaml';
import { durationMs, quantityValue } from '../api/index.ts';
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { nameOf, PORTS } from './names.ts';
import { claim, configMap, service, statefulSet } from './parts.ts';
import { claimName, claimVolume, configVolume, container, goRuntime, podTemplate, probes } from './pods.ts';
import type { PlatformInput } from './types.ts';

const USER = 65534;

const keep = (label: string, regex: string) => ({ source_labels: [label], action: 'keep', regex });
const copy = (label: string, target: string) => ({ source_labels: [label], target_label: target });

/** Every container port whose name starts with `metrics`, in every running pod of this platform. */
function config(input: PlatformInput): string {
  const interval = `${durationMs(input.spec.prometheus.scrapeInterval)}ms`;
  return stringify({
    global: {
      scrape_interval: interval,
      scrape_timeout: interval,
      evaluation_interval: interval,
      external_labels: { platform: input.name },
    },
    scrape_configs: [
      {
        job_name: 'bss-platform',
        kubernetes_sd_configs: [
          {
            role: 'pod',
            namespaces: { names: [input.namespace] },
            selectors: [{ role: 'pod', label: `app.kubernetes.io/part-of=bss-platform,app.kubernetes.io/instance=${input.name}` }],
          },
        ],
        relabel_configs: [
          keep('__meta_kubernetes_pod_container_port_name', 'metrics(-.*)?'),
          keep('__meta_kubernetes_pod_phase', 'Running'),
          copy('__meta_kubernetes_pod_container_name', 'job'),
          copy('__meta_kubernetes_pod_container_name', 'service'),
          copy('__meta_kubernetes_pod_label_app_kubernetes_io_component', 'component'),
          copy('__meta_kubernetes_namespace', 'namespace'),
          copy('__meta_kubernetes_pod_name', 'pod'),
          copy('__meta_kubernetes_pod_label_app_kubernetes_io_instance', 'platform'),
        ],
      },
    ],
  });
}

const RBAC = 'rbac.authorization.k8s.io';

/** It may look at the pods of its own namespace, and at nothing else. The API server takes a binding only when the role is there already. */
export function prometheusRole(input: PlatformInput): Draft | undefined {
  if (!input.spec.prometheus.enabled) return undefined;
  const rules = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }];
  return { apiVersion: `${RBAC}/v1`, kind: 'Role', name: nameOf(input, 'prometheus'), rules };
}

function identity(input: PlatformInput): Draft[] {
  const name = nameOf(input, 'prometheus');
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', name, automountServiceAccountToken: false },
    {
      apiVersion: `${RBAC}/v1`,
      kind: 'RoleBinding',
      name,
      roleRef: { apiGroup: RBAC, kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: input.namespace }],
    },
  ];
}

export function prometheusComponent(input: PlatformInput): Blueprint | undefined {
  const { prometheus } = input.spec;
  if (!prometheus.enabled) return undefined;
  const name = nameOf(input, 'prometheus');
  const data = { 'prometheus.yml': config(input) };
  const template = podTemplate(input, {
    component: 'prometheus',
    placement: prometheus,
    user: USER,
    config: data,
    gracePeriodSeconds: 60,
    serviceAccount: name,
    containers: [
      container(input, {
        name: 'prometheus',
        image: 'prometheus',
        command: [
          'prometheus',
          '--config.file=/etc/prometheus/prometheus.yml',
          '--storage.tsdb.path=/prometheus/data',
          `--storage.tsdb.retention.time=${durationMs(prometheus.retention)}ms`,
          `--storage.tsdb.retention.size=${Math.floor(quantityValue(prometheus.retentionSize))}B`,
          `--web.listen-address=:${PORTS.prometheus}`,
          '--enable-feature=exemplar-storage',
        ],
        env: goRuntime(prometheus.resources),
        ports: { metrics: PORTS.prometheus },
        resources: prometheus.resources,
        mounts: { '/etc/prometheus': 'config', '/prometheus': 'data' },
        probes: probes({ httpGet: { path: '/-/ready', port: 'metrics' } }, { httpGet: { path: '/-/healthy', port: 'metrics' } }),
      }),
    ],
    volumes: [configVolume('config', name), claimVolume('data', claimName(input, 'prometheus'))],
  });
  return blueprint('prometheus', 'observability', [
    ...identity(input),
    configMap(input, 'prometheus', data),
    claim(input, 'prometheus', prometheus.storage),
    service(input, 'prometheus', { http: PORTS.prometheus }),
    service(input, 'prometheus', { http: PORTS.prometheus }, { headless: true }),
    statefulSet(input, 'prometheus', template),
  ]);
}

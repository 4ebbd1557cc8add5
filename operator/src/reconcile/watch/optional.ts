/** Objects of optional kinds: a platform works without them on clusters that do not serve the kind. */
import { HTTP_ROUTE, POD_MONITOR, PROMETHEUS_RULE, type Component } from '../../platform/index.ts';
import type { Kind, KubernetesObject } from '../../runtime/index.ts';

interface Optional extends Kind {
  /** Reported while the cluster does not serve the kind. */
  warning: string;
}

const OPTIONAL: Optional[] = [
  {
    ...HTTP_ROUTE,
    warning:
      'spec.workloads.gateway.route: the cluster does not serve HTTPRoute (gateway.networking.k8s.io/v1), so the gateway is not reachable from outside: install the Gateway API, or set ingress instead',
  },
  {
    ...POD_MONITOR,
    warning: `spec.observability.mode: the cluster does not serve PodMonitor (${POD_MONITOR.apiVersion}), so nothing scrapes the platform: install prometheus-operator, or set the mode to managed`,
  },
  {
    ...PROMETHEUS_RULE,
    warning: `spec.observability.mode: the cluster does not serve PrometheusRule (${PROMETHEUS_RULE.apiVersion}), so there are no alerts: install prometheus-operator, or set the mode to managed`,
  },
];

export interface Served {
  /** Without the objects of kinds that are not served. */
  components: Component[];
  /** One sentence for each missing kind. */
  warnings: string[];
}

/** Drops manifests of optional kinds that the cluster does not serve. Required kinds stay: the API server refuses them. */
export async function servedComponents(components: Component[], serves: (kind: Kind) => boolean | Promise<boolean>): Promise<Served> {
  const manifests = components.flatMap((component) => component.manifests);
  const missing: Optional[] = [];
  for (const kind of OPTIONAL) if (manifests.some((manifest) => isOf(kind, manifest)) && !(await serves(kind))) missing.push(kind);
  if (missing.length === 0) return { components, warnings: [] };
  const kept = (manifest: KubernetesObject) => !missing.some((kind) => isOf(kind, manifest));
  return {
    components: components.map((component) => ({ ...component, manifests: component.manifests.filter(kept) })),
    warnings: missing.map(({ warning }) => warning),
  };
}

function isOf({ apiVersion, kind }: Kind, manifest: KubernetesObject): boolean {
  return manifest.kind === kind && manifest.apiVersion === apiVersion;
}

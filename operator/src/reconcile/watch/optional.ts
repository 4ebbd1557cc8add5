/** Objects of kinds that a cluster need not serve, and without which a platform works all the same. */
import { HTTP_ROUTE, type Component } from '../../platform/index.ts';
import type { Kind, KubernetesObject } from '../../runtime/index.ts';

interface Optional extends Kind {
  /** Said while the kind is missing. */
  warning: string;
}

const OPTIONAL: Optional[] = [
  {
    ...HTTP_ROUTE,
    warning:
      'spec.workloads.gateway.route: the cluster does not serve HTTPRoute (gateway.networking.k8s.io/v1), so that the gateway is not reached from outside: install the Gateway API, and the route is made; or set ingress instead',
  },
];

export interface Served {
  /** Without the objects of kinds that are not served. */
  components: Component[];
  /** What is missing for that, a sentence each. */
  warnings: string[];
}

/** Leaves out what the cluster cannot hold. Kinds that a platform cannot do without stay: the API server refuses them. */
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

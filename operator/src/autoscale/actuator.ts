/** Changes replicas through the scale subresource, and looks for others who do the same. */
import type { DeploymentView, ScaleClient } from './types.ts';

export interface KubeResponse {
  status: number;
  body: unknown;
}

/**
 * One request to the API server. Resolves for every HTTP status (the caller judges it), rejects only when no answer came.
 * `path` begins with `/api` or `/apis`; `body` is sent as JSON under `contentType`.
 */
export type KubeRequest = (method: 'GET' | 'PATCH', path: string, patch?: { body: unknown; contentType: string }) => Promise<KubeResponse>;

interface DeploymentObject {
  metadata?: { generation?: number };
  spec?: { replicas?: number };
  status?: { observedGeneration?: number; replicas?: number; updatedReplicas?: number; readyReplicas?: number };
}

/** A ScaleClient over any function that talks to the API server. */
export function scaleClient(request: KubeRequest): ScaleClient {
  return {
    async read(namespace, deployment) {
      const { status, body } = await request('GET', deploymentPath(namespace, deployment));
      if (status === 404) return null;
      if (status !== 200) throw refused(`read Deployment ${namespace}/${deployment}`, status, body);
      return viewOf(body as DeploymentObject);
    },
    async setReplicas(namespace, deployment, replicas) {
      const patch = { body: { spec: { replicas } }, contentType: 'application/merge-patch+json' };
      const { status, body } = await request('PATCH', `${deploymentPath(namespace, deployment)}/scale`, patch);
      if (status !== 200) throw refused(`scale Deployment ${namespace}/${deployment} to ${replicas}`, status, body);
    },
    async rivals(namespace, deployment) {
      const kinds = await Promise.all(RIVALS.map(async (rival) => rivalsOfKind(request, rival, namespace, deployment)));
      return kinds.flat().toSorted();
    },
  };
}

/** A rollout is on while old pods are still there or the controller has not seen the newest spec. */
export function viewOf(object: DeploymentObject): DeploymentView {
  const { spec, status, metadata } = object;
  const behind = (status?.observedGeneration ?? 0) < (metadata?.generation ?? 0);
  const oldPods = (status?.replicas ?? 0) > (status?.updatedReplicas ?? 0);
  return { replicas: spec?.replicas ?? 1, ready: status?.readyReplicas ?? 0, rollingOut: oldPods && !behind };
}

function deploymentPath(namespace: string, name: string): string {
  return `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/deployments/${encodeURIComponent(name)}`;
}

const RIVALS = [
  { kind: 'HorizontalPodAutoscaler', api: '/apis/autoscaling/v2', plural: 'horizontalpodautoscalers' },
  { kind: 'ScaledObject', api: '/apis/keda.sh/v1alpha1', plural: 'scaledobjects' },
];

interface RivalList {
  items?: { metadata?: { name?: string }; spec?: { scaleTargetRef?: { kind?: string; name?: string } } }[];
}

/** A cluster without the kind (404), or one where the operator may not look (403), has no rival that we could name. */
async function rivalsOfKind(
  request: KubeRequest,
  rival: (typeof RIVALS)[number],
  namespace: string,
  deployment: string,
): Promise<string[]> {
  const { status, body } = await request('GET', `${rival.api}/namespaces/${encodeURIComponent(namespace)}/${rival.plural}`);
  if (status === 404 || status === 403) return [];
  if (status !== 200) throw refused(`list ${rival.plural} in ${namespace}`, status, body);
  const items = (body as RivalList).items ?? [];
  return items
    .filter(({ spec }) => spec?.scaleTargetRef?.name === deployment && (spec.scaleTargetRef.kind ?? 'Deployment') === 'Deployment')
    .map(({ metadata }) => `${rival.kind}/${metadata?.name ?? '?'}`);
}

function refused(what: string, status: number, body: unknown): Error {
  const message = (body as { message?: string } | null)?.message;
  return new Error(`cannot ${what}: HTTP ${status}${message === undefined ? '' : `: ${message}`}`);
}

/** Changes replicas through the scale subresource, and looks for others who do the same. */
import { z } from 'zod';
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

const Count = z.number().default(0);

const DeploymentObject = z.object({
  metadata: z.object({ generation: Count, annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ replicas: z.number().default(1) }),
  status: z.object({ observedGeneration: Count, replicas: Count, updatedReplicas: Count, readyReplicas: Count }).prefault({}),
});

const RivalList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ scaleTargetRef: z.object({ kind: z.string().default('Deployment'), name: z.string() }) }),
    }),
  ),
});

const Refusal = z.object({ message: z.string() });

/** A ScaleClient over any function that talks to the API server. */
export function scaleClient(request: KubeRequest): ScaleClient {
  return {
    async read(namespace, deployment) {
      const { status, body } = await request('GET', deploymentPath(namespace, deployment));
      if (status === 404) return null;
      if (status !== 200) throw refused(`read Deployment ${namespace}/${deployment}`, status, body);
      return viewOf(DeploymentObject.parse(body));
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

/** The Deployment controller counts the changes of the pods' template here. */
const REVISION = 'deployment.kubernetes.io/revision';

/** A rollout is on while pods of the old version are still there; a mere change of replicas is none. */
function viewOf({ spec, status, metadata }: z.infer<typeof DeploymentObject>): DeploymentView {
  const seen = status.observedGeneration >= metadata.generation;
  const version = metadata.annotations[REVISION];
  const rollingOut = seen && status.replicas > status.updatedReplicas;
  return { replicas: spec.replicas, ready: status.readyReplicas, rollingOut, ...(version === undefined ? {} : { version }) };
}

function deploymentPath(namespace: string, name: string): string {
  return `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/deployments/${encodeURIComponent(name)}`;
}

const RIVALS = [
  { kind: 'HorizontalPodAutoscaler', api: '/apis/autoscaling/v2', plural: 'horizontalpodautoscalers' },
  { kind: 'ScaledObject', api: '/apis/keda.sh/v1alpha1', plural: 'scaledobjects' },
];

/**
 * A cluster without the kind (404) has no rival of that kind. Where the operator is not allowed to list HorizontalPodAutoscalers, nobody knows.
 * A ScaledObject scales through an HorizontalPodAutoscaler of its own, which shows even where ScaledObjects must not be listed.
 */
async function rivalsOfKind(
  request: KubeRequest,
  rival: (typeof RIVALS)[number],
  namespace: string,
  deployment: string,
): Promise<string[]> {
  const { status, body } = await request('GET', `${rival.api}/namespaces/${encodeURIComponent(namespace)}/${rival.plural}`);
  if (status === 404 || (status === 403 && rival.kind === 'ScaledObject')) return [];
  if (status !== 200) throw refused(`list ${rival.plural} in ${namespace}`, status, body);
  return RivalList.parse(body)
    .items.filter(({ spec: { scaleTargetRef } }) => scaleTargetRef.name === deployment && scaleTargetRef.kind === 'Deployment')
    .map(({ metadata }) => `${rival.kind}/${metadata.name}`);
}

function refused(what: string, status: number, body: unknown): Error {
  const { data } = Refusal.safeParse(body);
  return new Error(`cannot ${what}: HTTP ${status}${data === undefined ? '' : `: ${data.message}`}`);
}

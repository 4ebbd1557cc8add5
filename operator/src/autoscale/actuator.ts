/** Changes replicas through the scale subresource, and looks for others who do the same. */
import { z } from 'zod';
import { DEPLOYMENT } from './types.ts';
import type { DeploymentView, ScaleClient, ScaledKind } from './types.ts';

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

const Controlled = z.object({
  metadata: z.object({ generation: Count, annotations: z.record(z.string(), z.string()).default({}) }),
  spec: z.object({ replicas: z.number().default(1) }),
  status: z
    .object({
      observedGeneration: Count,
      replicas: Count,
      updatedReplicas: Count,
      readyReplicas: Count,
      updateRevision: z.string().optional(),
    })
    .prefault({}),
});

/** What every scale subresource has. */
const Scale = z.object({ spec: z.object({ replicas: Count }).prefault({}), status: z.object({ replicas: Count }).prefault({}) });

const ResourceList = z.object({ resources: z.array(z.object({ name: z.string(), kind: z.string() })).default([]) });

const RivalList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      spec: z.object({ scaleTargetRef: z.object({ kind: z.string().default('Deployment'), name: z.string() }) }),
    }),
  ),
});

const Refusal = z.object({ message: z.string() });

/** Kinds whose status says which pods are ready and which are new. Of the others only the scale subresource is read. */
const WITH_PODS: Record<string, string> = { 'apps/v1 Deployment': 'deployments', 'apps/v1 StatefulSet': 'statefulsets' };

/** A ScaleClient over any function that talks to the API server. */
export function scaleClient(request: KubeRequest): ScaleClient {
  const plurals = new Map(Object.entries(WITH_PODS));
  const pathOf = async (kind: ScaledKind, namespace: string, name: string): Promise<string> => {
    const plural = plurals.get(nameOf(kind)) ?? (await pluralOf(request, kind));
    plurals.set(nameOf(kind), plural);
    return `${apiOf(kind)}/namespaces/${encodeURIComponent(namespace)}/${plural}/${encodeURIComponent(name)}`;
  };
  return {
    async read(namespace, name, kind = DEPLOYMENT) {
      const whole = nameOf(kind) in WITH_PODS;
      const path = await pathOf(kind, namespace, name);
      const { status, body } = await request('GET', whole ? path : `${path}/scale`);
      if (status === 404) return null;
      if (status !== 200) throw refused(`read ${kind.kind} ${namespace}/${name}`, status, body);
      return whole ? viewOf(Controlled.parse(body)) : scaleView(Scale.parse(body));
    },
    async setReplicas(namespace, name, replicas, kind = DEPLOYMENT) {
      const patch = { body: { spec: { replicas } }, contentType: 'application/merge-patch+json' };
      const { status, body } = await request('PATCH', `${await pathOf(kind, namespace, name)}/scale`, patch);
      if (status !== 200) throw refused(`scale ${kind.kind} ${namespace}/${name} to ${replicas}`, status, body);
    },
    async rivals(namespace, name, kind = DEPLOYMENT) {
      const kinds = await Promise.all(RIVALS.map(async (rival) => rivalsOfKind(request, rival, namespace, { kind: kind.kind, name })));
      return kinds.flat().toSorted();
    },
  };
}

const nameOf = ({ apiVersion, kind }: ScaledKind): string => `${apiVersion} ${kind}`;
const apiOf = ({ apiVersion }: ScaledKind): string => (apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`);

/** @throws Error when the cluster does not serve the kind, or serves it without a scale subresource */
async function pluralOf(request: KubeRequest, kind: ScaledKind): Promise<string> {
  const { status, body } = await request('GET', apiOf(kind));
  if (status !== 200 && status !== 404) throw refused(`list the kinds of ${kind.apiVersion}`, status, body);
  const { resources } = status === 404 ? { resources: [] } : ResourceList.parse(body);
  const found = resources.find(({ name, kind: served }) => served === kind.kind && !name.includes('/'));
  if (found === undefined) throw new Error(`the cluster serves no kind ${kind.kind} of ${kind.apiVersion}`);
  if (resources.some(({ name }) => name === `${found.name}/scale`)) return found.name;
  throw new Error(`${kind.kind} of ${kind.apiVersion} has no scale subresource`);
}

/** The Deployment controller counts the changes of the pods' template here. */
const REVISION = 'deployment.kubernetes.io/revision';

/** A rollout is on while pods of the old version are still there; a mere change of replicas is none. */
function viewOf({ spec, status, metadata }: z.infer<typeof Controlled>): DeploymentView {
  const seen = status.observedGeneration >= metadata.generation;
  const version = metadata.annotations[REVISION] ?? status.updateRevision;
  const rollingOut = seen && status.replicas > status.updatedReplicas;
  return { replicas: spec.replicas, ready: status.readyReplicas, rollingOut, ...(version === undefined ? {} : { version }) };
}

/** A scale subresource does not tell which pods are ready: those that exist count. */
function scaleView({ spec, status }: z.infer<typeof Scale>): DeploymentView {
  return { replicas: spec.replicas, ready: status.replicas, rollingOut: false };
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
  target: { kind: string; name: string },
): Promise<string[]> {
  const { status, body } = await request('GET', `${rival.api}/namespaces/${encodeURIComponent(namespace)}/${rival.plural}`);
  if (status === 404 || (status === 403 && rival.kind === 'ScaledObject')) return [];
  if (status !== 200) throw refused(`list ${rival.plural} in ${namespace}`, status, body);
  return RivalList.parse(body)
    .items.filter(({ spec: { scaleTargetRef } }) => scaleTargetRef.name === target.name && scaleTargetRef.kind === target.kind)
    .map(({ metadata }) => `${rival.kind}/${metadata.name}`);
}

function refused(what: string, status: number, body: unknown): Error {
  const { data } = Refusal.safeParse(body);
  return new Error(`cannot ${what}: HTTP ${status}${data === undefined ? '' : `: ${data.message}`}`);
}

/** From the drafts of a component to its manifests: API version, labels, namespace and owner follow the same rules for all of them. */
import { ApiObject, App, Chart } from 'cdk8s';
import { API_VERSION, KIND, PREFIX } from '../api/index.ts';
import { KINDS, type DraftKind, type FieldsOf } from './kinds.ts';
import { labelsOf } from './names.ts';
import type { Component, HealthCheck, KubernetesObject, PlatformInput, Stage } from './types.ts';

interface Identity<K extends DraftKind> {
  kind: K;
  name: string;
  annotations?: Record<string, string>;
  /** Beside the standard ones, which they cannot replace. */
  labels?: Record<string, string>;
  /** False: the object outlives the platform. */
  owned?: boolean;
}

/**
 * An object as a builder writes it: kind, name and the fields of that kind. A field that the kind does not have is a type error. Fields set to
 * undefined are left out.
 */
export type Draft<K extends DraftKind = DraftKind> = { [P in K]: Identity<P> & FieldsOf<P> }[K];

/** Annotation on volumes that stay when the platform is deleted. */
export const KEEP_ANNOTATION = `${PREFIX}keep`;

/** The manifests of a component. A rollout waits for its Deployments, StatefulSets, DaemonSets and Jobs: they are its health checks. */
export function component(input: PlatformInput, { name, stage }: { name: string; stage: Stage }, drafts: (Draft | undefined)[]): Component {
  const chart = new Chart(new App(), name, { namespace: input.namespace, labels: labelsOf(input, name), disableResourceNameHashes: true });
  const manifests = drafts.filter((draft) => draft !== undefined).map((draft) => manifest(chart, input, draft));
  return { name, stage, manifests, health: manifests.map(healthCheck).filter((check) => check !== undefined) };
}

function manifest(chart: Chart, input: PlatformInput, { kind, name, annotations, labels, owned = true, ...rest }: Draft): KubernetesObject {
  const kept = owned ? {} : { [KEEP_ANNOTATION]: 'true' };
  const owner = owned && input.uid !== undefined ? [ownerReference(input.name, input.uid)] : undefined;
  const object = new ApiObject(chart, `${kind}-${name}`, {
    apiVersion: KINDS[kind].apiVersion,
    kind,
    metadata: {
      name,
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, ...kept },
      ...(owner ? { ownerReferences: owner } : {}),
    },
    ...rest,
  });
  return object.toJson();
}

function ownerReference(name: string, uid: string) {
  return { apiVersion: API_VERSION, kind: KIND, name, uid, controller: true, blockOwnerDeletion: true };
}

function healthCheck({ kind, metadata: { name } }: KubernetesObject): HealthCheck | undefined {
  const isJudged = kind === 'Deployment' || kind === 'StatefulSet' || kind === 'DaemonSet' || kind === 'Job';
  return isJudged ? { kind, name } : undefined;
}

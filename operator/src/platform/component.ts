/** Turns the objects of a component into manifests: labels, namespace and owner are the same on all of them. */
import { ApiObject, App, Chart } from 'cdk8s';
import { API_VERSION, KIND, PREFIX } from '../api/index.ts';
import { labelsOf } from './names.ts';
import type { Component, HealthCheck, KubernetesObject, PlatformInput, Stage } from './types.ts';

/** An object as a builder writes it: a name, and no labels, namespace or owner. Fields set to undefined are left out. */
export interface Draft {
  apiVersion: string;
  kind: string;
  name: string;
  annotations?: Record<string, string>;
  /** False: the object outlives the platform. */
  owned?: boolean;
  [field: string]: unknown;
}

/** Annotation on volumes that stay when the platform goes. */
export const KEEP_ANNOTATION = `${PREFIX}keep`;

/** A component before its objects are written out. */
export interface Blueprint {
  name: string;
  stage: Stage;
  drafts: Draft[];
}

export function blueprint(name: string, stage: Stage, drafts: (Draft | undefined)[]): Blueprint {
  return { name, stage, drafts: drafts.filter((draft) => draft !== undefined) };
}

/** A component with its manifests. What a rollout of it must wait for is read off the kinds of its objects. */
export function component(input: PlatformInput, { name, stage, drafts }: Blueprint): Component {
  const chart = new Chart(new App(), name, { namespace: input.namespace, labels: labelsOf(input, name), disableResourceNameHashes: true });
  const manifests = drafts.map((draft) => manifest(chart, input, draft));
  return { name, stage, manifests, health: manifests.map(healthCheck).filter((check) => check !== undefined) };
}

function manifest(
  chart: Chart,
  input: PlatformInput,
  { apiVersion, kind, name, annotations, owned = true, ...rest }: Draft,
): KubernetesObject {
  const kept = owned ? {} : { [KEEP_ANNOTATION]: 'true' };
  const owner = owned && input.uid !== undefined ? [ownerReference(input.name, input.uid)] : undefined;
  const object = new ApiObject(chart, `${kind}-${name}`, {
    apiVersion,
    kind,
    metadata: { name, annotations: { ...annotations, ...kept }, ...(owner ? { ownerReferences: owner } : {}) },
    ...rest,
  });
  return object.toJson();
}

function ownerReference(name: string, uid: string) {
  return { apiVersion: API_VERSION, kind: KIND, name, uid, controller: true, blockOwnerDeletion: true };
}

function healthCheck({ kind, metadata: { name } }: KubernetesObject): HealthCheck | undefined {
  return kind === 'Deployment' || kind === 'StatefulSet' || kind === 'Job' ? { kind, name } : undefined;
}

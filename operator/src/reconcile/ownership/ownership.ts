/** The owner of a live object that has a desired name. Pure. */
import { FIELD_MANAGER, GROUP, KIND, type BssPlatform } from '../../api/index.ts';
import { APPLIED_ANNOTATION, type KubernetesObject, type OwnerReference } from '../../runtime/index.ts';

export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';
/** Selects all objects that the operator created, and their pods. */
export const MANAGED_SELECTOR = `${MANAGED_BY_LABEL}=${FIELD_MANAGER}`;

/** A BssPlatform as the caches hold it. */
export type PlatformObject = BssPlatform & KubernetesObject;

type Owner = Pick<BssPlatform, 'metadata'>;

/**
 * - `ours`: this platform is its controller.
 * - `adoptable`: created for a platform of this name, but without an owner reference to this one (the platform was recreated, the volume was kept,
 *   another client edited it).
 * - `foreign`: it has another owner, or neither owner nor labels.
 */
export type Ownership = 'ours' | 'adoptable' | 'foreign';

export function ownershipOf(platform: Owner, object: KubernetesObject): Ownership {
  const controller = controllerOf(object);
  if (controller !== undefined && controller.uid === platform.metadata.uid) return 'ours';
  if (controller !== undefined) return isFormerSelf(platform, controller) ? 'adoptable' : 'foreign';
  return isLabelledFor(platform, object) ? 'adoptable' : 'foreign';
}

function controllerOf(object: KubernetesObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

/** The reference names an earlier platform of the same name. */
function isFormerSelf(platform: Owner, { apiVersion, kind, name }: OwnerReference): boolean {
  return apiVersion.startsWith(`${GROUP}/`) && kind === KIND && name === platform.metadata.name;
}

function isLabelledFor(platform: Owner, { metadata: { labels } }: KubernetesObject): boolean {
  return labels?.[MANAGED_BY_LABEL] === FIELD_MANAGER && labels[INSTANCE_LABEL] === platform.metadata.name;
}

/** The owner references without those to earlier platforms of this name; undefined when there are none of them. */
export function withoutFormerSelf(platform: Owner, object: KubernetesObject): OwnerReference[] | undefined {
  const references = object.metadata.ownerReferences ?? [];
  const kept = references.filter((reference) => !isFormerSelf(platform, reference) || reference.uid === platform.metadata.uid);
  return kept.length === references.length ? undefined : kept;
}

/** Fingerprint of the last applied manifest. */
export function appliedHash(object: KubernetesObject | undefined): string | undefined {
  return object?.metadata.annotations?.[APPLIED_ANNOTATION];
}

/** Keys of the platforms of an object: by its controller, and by its labels in case the owner reference is missing. */
export function platformKeysOf(object: KubernetesObject): string[] {
  const { namespace, labels } = object.metadata;
  if (namespace === undefined) return [];
  const controller = controllerOf(object);
  const names = [controller?.kind === KIND ? controller.name : undefined, labels?.[INSTANCE_LABEL]];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))].map((name) => `${namespace}/${name}`);
}

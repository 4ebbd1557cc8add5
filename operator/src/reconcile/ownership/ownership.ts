/** Whose is an object that stands under a name we want? Pure. */
import { FIELD_MANAGER, GROUP, KIND, type BssPlatform } from '../../api/index.ts';
import { APPLIED_ANNOTATION, type KubernetesObject, type OwnerReference } from '../../runtime/index.ts';

export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const INSTANCE_LABEL = 'app.kubernetes.io/instance';
export const COMPONENT_LABEL = 'app.kubernetes.io/component';
/** Selects everything that operators of this kind made, and the pods of it. */
export const MANAGED_SELECTOR = `${MANAGED_BY_LABEL}=${FIELD_MANAGER}`;

/** A BssPlatform as the runtime's caches hold it. */
export type PlatformObject = BssPlatform & KubernetesObject;

type Owner = Pick<BssPlatform, 'metadata'>;

/**
 * - `ours`: this platform is its controller.
 * - `adoptable`: made for a platform of this name, but the reference to it is lost (the operator was reinstalled, the volume was kept, somebody
 *   edited it).
 * - `foreign`: belongs to somebody else, or nobody says whose it is.
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

/** An earlier platform of the same name. */
function isFormerSelf(platform: Owner, { apiVersion, kind, name }: OwnerReference): boolean {
  return apiVersion.startsWith(`${GROUP}/`) && kind === KIND && name === platform.metadata.name;
}

function isLabelledFor(platform: Owner, { metadata: { labels } }: KubernetesObject): boolean {
  return labels?.[MANAGED_BY_LABEL] === FIELD_MANAGER && labels[INSTANCE_LABEL] === platform.metadata.name;
}

/** Owner references without those to earlier platforms of this name; undefined when there are none of these. */
export function withoutFormerSelf(platform: Owner, object: KubernetesObject): OwnerReference[] | undefined {
  const references = object.metadata.ownerReferences ?? [];
  const kept = references.filter((reference) => !isFormerSelf(platform, reference) || reference.uid === platform.metadata.uid);
  return kept.length === references.length ? undefined : kept;
}

/** Stands for what was applied to an object last. */
export function appliedHash(object: KubernetesObject | undefined): string | undefined {
  return object?.metadata.annotations?.[APPLIED_ANNOTATION];
}

/** Keys of the platforms that an object concerns: by its controller, and by its labels for objects that have lost it. */
export function platformKeysOf(object: KubernetesObject): string[] {
  const { namespace, labels } = object.metadata;
  if (namespace === undefined) return [];
  const controller = controllerOf(object);
  const names = [controller?.kind === KIND ? controller.name : undefined, labels?.[INSTANCE_LABEL]];
  return [...new Set(names.filter((name) => name !== undefined && name !== ''))].map((name) => `${namespace}/${name}`);
}

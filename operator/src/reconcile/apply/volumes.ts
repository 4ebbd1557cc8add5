/** Sizes of volume claims: they grow as far as the storage class allows, and never shrink. Pure. */
import { quantityValue } from '../../api/index.ts';
import type { KubeError, KubernetesObject } from '../../runtime/index.ts';

interface Claim extends KubernetesObject {
  spec?: { resources?: { requests?: { storage?: string } } };
}

const sizeOf = (object: KubernetesObject): string | undefined =>
  object.kind === 'PersistentVolumeClaim' ? (object as Claim).spec?.resources?.requests?.storage : undefined;

/**
 * The manifest with the size of the live claim, if that is larger: a person or a controller that expands volumes has enlarged it. The API server
 * would refuse the smaller size, and with it every later stage. Another manifest is returned as it is.
 */
export function withoutShrinking<T extends KubernetesObject>(manifest: T, live: KubernetesObject | undefined): T {
  const [desired, present] = [sizeOf(manifest), live && sizeOf(live)];
  if (desired === undefined || present === undefined || quantityValue(present) <= quantityValue(desired)) return manifest;
  const { spec } = manifest as Claim;
  return {
    ...manifest,
    spec: { ...spec, resources: { ...spec?.resources, requests: { ...spec?.resources?.requests, storage: present } } },
  };
}

/** What status says of a claim that is larger than the spec; undefined when it is not. */
export function enlargement(manifest: KubernetesObject, live: KubernetesObject | undefined): string | undefined {
  const present = live && sizeOf(live);
  if (present === undefined || withoutShrinking(manifest, live) === manifest) return undefined;
  return `${claimText(manifest)}: it requests ${present}, and the spec ${sizeOf(manifest)}: something else enlarged it, and a volume cannot shrink: set the size to ${present}`;
}

/**
 * What status says when the API server refuses to expand a claim that exists; undefined for any other error. The claim keeps its size, and the
 * platform works on.
 */
export function unexpandable(manifest: KubernetesObject, live: KubernetesObject | undefined, error: KubeError): string | undefined {
  const [desired, present] = [sizeOf(manifest), live && sizeOf(live)];
  if (desired === undefined || present === undefined || quantityValue(desired) <= quantityValue(present)) return undefined;
  if (!/resize|expan|bound claims/i.test(error.message)) return undefined;
  return `${claimText(manifest)}: it cannot grow from ${present} to ${desired}: its storage class must have allowVolumeExpansion, and its volume must be bound (${error.message.replaceAll(/\s+/g, ' ').slice(0, 200)})`;
}

const claimText = ({ kind, metadata: { name } }: KubernetesObject): string => `${kind} ${name}`;

/** Kubernetes objects as JSON, the ways to name them, and one text and hash for each value. Pure; imports nothing of the operator. */
export { fingerprint, isRecord, shortFingerprint } from './canonical.ts';
export { keyOf, parseKey, referenceOf } from './object.ts';
export type { FieldSet, Kind, KubernetesObject, ManagedFieldsEntry, ObjectMeta, ObjectReference, OwnerReference } from './object.ts';

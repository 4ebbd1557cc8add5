/** Kubernetes objects as JSON, and the ways to name them. */

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: ManagedFieldsEntry[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Which fields a manager owns; `fieldsV1` is a tree of `f:<field>`, `k:<list key>` and `v:<set value>`. */
export interface ManagedFieldsEntry {
  manager?: string;
  operation?: 'Apply' | 'Update';
  apiVersion?: string;
  time?: string;
  subresource?: string;
  fieldsV1?: FieldSet;
}

export interface FieldSet {
  [path: string]: FieldSet;
}

/** Any Kubernetes object, as JSON. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

/** A kind of object; everything else about it (plural, namespaced or not) comes from the API server's discovery. */
export interface Kind {
  apiVersion: string;
  kind: string;
}

/** One object. `namespace` stays out for kinds that have none. */
export interface ObjectReference extends Kind {
  name: string;
  namespace?: string;
}

/** The reference that names `object`. */
export function referenceOf(object: KubernetesObject): ObjectReference {
  const { name, namespace } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, name, ...(namespace === undefined ? {} : { namespace }) };
}

/** `namespace/name`, or `name` for an object without namespace: the key of caches and queues. */
export function keyOf({ namespace, name }: { namespace?: string; name: string }): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

/** The inverse of {@link keyOf}. */
export function parseKey(key: string): { namespace?: string; name: string } {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

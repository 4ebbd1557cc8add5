/**
 * Reads managedFields. A client that changes or removes a field, by any kind of request, removes it from the sets of all other managers. So an
 * object matches what a manager applied exactly as long as that manager still owns every field of it. This test needs no knowledge of defaults, of
 * how quantities are stored (`1000m` becomes `1`) or of lists that others may extend.
 */
import { isRecord } from '../objects/canonical.ts';
import type { FieldSet, KubernetesObject, ManagedFieldsEntry } from '../objects/object.ts';

/** The entry of what the manager owns by server-side apply, subresources aside. */
export function appliedBy(manager: string, object: KubernetesObject): ManagedFieldsEntry | undefined {
  return object.metadata.managedFields?.find((entry) => isAppliedBy(manager, entry));
}

function isAppliedBy(manager: string, { manager: name, operation, subresource }: ManagedFieldsEntry): boolean {
  return name === manager && operation === 'Apply' && !subresource;
}

/** For `ReflectorOptions.transform`: drops the managedFields of other managers, which make up much of an object's size. */
export function withoutForeignManagers<T extends KubernetesObject>(manager: string): (object: T) => T {
  return (object) => {
    const managedFields = object.metadata.managedFields?.filter((entry) => isAppliedBy(manager, entry)) ?? [];
    return { ...object, metadata: { ...object.metadata, managedFields } };
  };
}

/** Fields that identify an object; managedFields does not list them. */
const IDENTITY = new Set(['apiVersion', 'kind']);
const META_IDENTITY = new Set(['name', 'namespace', 'uid', 'resourceVersion']);

/** True when the set contains every field of `desired`. */
export function ownsAll(desired: KubernetesObject, fields: FieldSet): boolean {
  const { metadata, ...rest } = desired;
  const owned = fields['f:metadata'] ?? {};
  return ownsFields(rest, fields, IDENTITY) && ownsFields({ ...metadata }, owned, META_IDENTITY);
}

function ownsFields(value: Record<string, unknown>, fields: FieldSet, except?: Set<string>): boolean {
  return Object.entries(value).every(([name, part]) => except?.has(name) || owns(part, fields[`f:${name}`]));
}

function owns(value: unknown, fields: FieldSet | undefined): boolean {
  // The server often does not store empty objects, empty lists and null.
  if (isEmpty(value)) return true;
  if (fields === undefined) return false;
  // A leaf: the value is owned as a whole.
  if (Object.keys(fields).length === 0) return true;
  if (Array.isArray(value)) return value.every((element) => ownsElement(element, fields));
  return isRecord(value) ? ownsFields(value, fields) : true;
}

/** Key fields (`k:{"name":"x"}`) identify elements of a list; values (`v:"x"`) identify elements of a set. */
function ownsElement(element: unknown, fields: FieldSet): boolean {
  if (!isRecord(element)) return fields[`v:${JSON.stringify(element)}`] !== undefined;
  return Object.entries(fields).some(([path, below]) => path.startsWith('k:') && hasKey(element, path.slice(2)) && owns(element, below));
}

/** A default filled in a key field that the element omits (`protocol: TCP`). */
function hasKey(element: Record<string, unknown>, key: string): boolean {
  const fields: Record<string, unknown> = JSON.parse(key);
  return Object.entries(fields).every(([name, value]) => element[name] === undefined || element[name] === value);
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  return Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0;
}

/**
 * Reads managedFields. Whoever changes the value of a field or removes it, by any kind of request, takes it out of the set of everyone else. So an
 * object has what a manager applied exactly as long as the manager still owns every field of it: a test that needs no knowledge of defaults, of
 * how quantities are written (`1000m` is stored as `1`) or of lists that others may add to.
 */
import { isRecord } from '../objects/canonical.ts';
import type { FieldSet, KubernetesObject, ManagedFieldsEntry } from '../objects/object.ts';

/** What the manager owns by server-side apply to the object itself. */
export function appliedBy(manager: string, object: KubernetesObject): ManagedFieldsEntry | undefined {
  return object.metadata.managedFields?.find((entry) => isAppliedBy(manager, entry));
}

function isAppliedBy(manager: string, { manager: name, operation, subresource }: ManagedFieldsEntry): boolean {
  return name === manager && operation === 'Apply' && !subresource;
}

/** For `ReflectorOptions.transform`: drops the managedFields of others, which make up much of an object's size. */
export function withoutForeignManagers<T extends KubernetesObject>(manager: string): (object: T) => T {
  return (object) => {
    const managedFields = object.metadata.managedFields?.filter((entry) => isAppliedBy(manager, entry)) ?? [];
    return { ...object, metadata: { ...object.metadata, managedFields } };
  };
}

/** Fields that identify an object and that nobody owns. */
const IDENTITY = new Set(['apiVersion', 'kind']);
const META_IDENTITY = new Set(['name', 'namespace', 'uid', 'resourceVersion']);

/** True when every field of `desired` is in the set. */
export function ownsAll(desired: KubernetesObject, fields: FieldSet): boolean {
  const { metadata, ...rest } = desired;
  const owned = fields['f:metadata'] ?? {};
  return ownsFields(rest, fields, IDENTITY) && ownsFields({ ...metadata }, owned, META_IDENTITY);
}

function ownsFields(value: Record<string, unknown>, fields: FieldSet, except?: Set<string>): boolean {
  return Object.entries(value).every(([name, part]) => except?.has(name) || owns(part, fields[`f:${name}`]));
}

function owns(value: unknown, fields: FieldSet | undefined): boolean {
  // Empty objects, empty lists and null often do not come to be stored at all.
  if (isEmpty(value)) return true;
  if (fields === undefined) return false;
  // A leaf: the value is owned as a whole.
  if (Object.keys(fields).length === 0) return true;
  if (Array.isArray(value)) return value.every((element) => ownsElement(element, fields));
  return isRecord(value) ? ownsFields(value, fields) : true;
}

/** Elements of a list are found by their key fields (`k:{"name":"x"}`), those of a set by their value (`v:"x"`). */
function ownsElement(element: unknown, fields: FieldSet): boolean {
  if (!isRecord(element)) return fields[`v:${JSON.stringify(element)}`] !== undefined;
  return Object.entries(fields).some(([path, below]) => path.startsWith('k:') && hasKey(element, path.slice(2)) && owns(element, below));
}

/** A key field that the element leaves out was filled in by a default (`protocol: TCP`). */
function hasKey(element: Record<string, unknown>, key: string): boolean {
  const fields: Record<string, unknown> = JSON.parse(key);
  return Object.entries(fields).every(([name, value]) => element[name] === undefined || element[name] === value);
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  return Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0;
}

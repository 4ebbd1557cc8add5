/** From the zod schemas to JSON Schema as Kubernetes (structural) and Helm want it. */
import { z } from 'zod';
import type { Profiles } from './profiles.ts';

/** A JSON Schema node. */
export interface Schema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  required?: string[];
  anyOf?: Schema[];
  [keyword: string]: unknown;
}

const DEFAULT_TEXT = 'x-default-text';
const INT_OR_STRING = 'x-kubernetes-int-or-string';

/**
 * The schema of what a user writes. Defaults that depend on the profile are not in it, as the API server would write them into the
 * object, where they would hide a later change of the profile; descriptions name them instead.
 */
export function inputSchema(schema: z.ZodType, profiles: Profiles = { small: {}, production: {} }): Schema {
  const { $schema: _, ...json }: Record<string, unknown> = {
    ...z.toJSONSchema(schema, { io: 'input', reused: 'inline', unrepresentable: 'any' }),
  };
  return completeDefaults(describeDefaults(tidy(json), profiles, []));
}

/** Removes what zod writes and Kubernetes does not take: bounds of safe integers, `additionalProperties: false`, unions of types. */
function tidy(node: Schema): Schema {
  const { additionalProperties, properties, items, anyOf, propertyNames: _, ...rest } = node;
  const result: Schema = rest;
  if (result[INT_OR_STRING] !== true && anyOf) throw new Error(`a union is not structural: ${JSON.stringify(node).slice(0, 200)}`);
  if (result['maximum'] === Number.MAX_SAFE_INTEGER) delete result['maximum'];
  if (result['minimum'] === Number.MIN_SAFE_INTEGER) delete result['minimum'];
  // A maximum says more, and the definition repeats it for every component.
  if (result.type === 'integer' && result['maximum'] === undefined) result['format'] = 'int64';
  // The API server drops an empty list of properties: a definition that has one differs from what is stored, and a second applier conflicts.
  if (properties && Object.keys(properties).length > 0)
    result.properties = Object.fromEntries(Object.entries(properties).map(([key, child]) => [key, tidy(child)]));
  if (items) result.items = tidy(items);
  if (typeof additionalProperties === 'object') result.additionalProperties = tidy(additionalProperties);
  return result;
}

function describeDefaults(node: Schema, profiles: Profiles, path: string[]): Schema {
  const { [DEFAULT_TEXT]: text, ...rest } = node;
  const result: Schema = rest;
  const [small, production] = [at(profiles.small, path), at(profiles.production, path)];
  if (!node.properties && (small !== undefined || production !== undefined)) {
    result.description = withDefault(result, `${show(small ?? node.default)} (small), ${show(production ?? node.default)} (production)`);
    delete result.default;
  } else if (typeof text === 'string') {
    delete result.default;
    result.description = withDefault(result, text);
  } else if (typeof result.default !== 'object' && result.default !== undefined) {
    // kubectl explain shows descriptions alone.
    result.description = withDefault(result, show(result.default));
  }
  if (node.properties) {
    result.properties = Object.fromEntries(
      Object.entries(node.properties).map(([key, child]) => [key, describeDefaults(child, profiles, [...path, key])]),
    );
  }
  if (node.items) result.items = describeDefaults(node.items, profiles, [...path, '[]']);
  if (typeof node.additionalProperties === 'object')
    result.additionalProperties = describeDefaults(node.additionalProperties, profiles, [...path, '{}']);
  return result;
}

function withDefault({ description }: Schema, text: string): string {
  return `${description ?? ''} Default: ${text}.`.trim();
}

function show(value: unknown): string {
  return value === undefined ? 'none' : typeof value === 'string' ? value : JSON.stringify(value);
}

function at(value: unknown, path: string[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Object.entries(found).find(([name]) => name === key)?.[1];
  }
  return found;
}

/**
 * The API server runs an object's rules on its default without the defaults of its fields, so such a default contains them. Empty defaults are
 * removed: they would only fill every stored object.
 */
function completeDefaults(node: Schema): Schema {
  const result = { ...node };
  if (node.properties) {
    result.properties = Object.fromEntries(Object.entries(node.properties).map(([key, child]) => [key, completeDefaults(child)]));
    if (node['x-kubernetes-validations'] !== undefined && node.default !== undefined) result.default = defaultsOf(result);
  }
  if (node.items) result.items = completeDefaults(node.items);
  if (typeof node.additionalProperties === 'object') result.additionalProperties = completeDefaults(node.additionalProperties);
  if (isEmpty(defaultsOf(result))) delete result.default;
  return result;
}

function defaultsOf({ properties, default: own }: Schema): unknown {
  if (!properties) return own;
  const fields = Object.entries(properties).filter(([, child]) => child.default !== undefined);
  return Object.fromEntries(fields.map(([key, child]) => [key, defaultsOf(child)]));
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

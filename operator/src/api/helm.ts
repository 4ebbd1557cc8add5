/** Values schemas of the charts, from the same zod schemas as the CRD. */
import { z } from 'zod';
import { inputSchema, type Schema } from './json-schema.ts';
import { operatorValues } from './operator-values.ts';

const DRAFT = 'http://json-schema.org/draft-07/schema#';

/** Kubernetes' extensions become plain JSON Schema, and unknown keys are refused: a typing error in values.yaml must not pass. */
function plain(node: Schema): Schema {
  const kept = Object.entries(node).filter(([key]) => !key.startsWith('x-kubernetes-') && key !== 'format');
  const result: Schema = Object.fromEntries(kept);
  if (node['x-kubernetes-int-or-string'] === true) result['type'] = ['integer', 'string'];
  if (node.properties) {
    result.properties = Object.fromEntries(Object.entries(node.properties).map(([key, child]) => [key, plain(child)]));
    result.additionalProperties = false;
  } else if (typeof node.additionalProperties === 'object') {
    result.additionalProperties = plain(node.additionalProperties);
  } else if (node.type === 'object') {
    result.additionalProperties = false;
  }
  if (node.items) result.items = plain(node.items);
  return result;
}

function schemaFile(schema: Schema): Schema {
  const { properties, ...rest } = plain(schema);
  // helm itself puts `global` among the values of every chart.
  return { $schema: DRAFT, ...rest, properties: { ...properties, global: { type: 'object' } } };
}

export function operatorValuesSchema(): Schema {
  return schemaFile(inputSchema(operatorValues));
}

/** @param spec schema of the spec; its defaults that depend on the profile are not in the chart's schema */
export function platformValuesSchema(spec: z.ZodType): Schema {
  const platformValues = z.strictObject({
    name: z.string().max(40).default('').describe('Name of the BssPlatform; the name of the release when empty.'),
    spec: spec.prefault({}).describe('The spec of the BssPlatform, field by field.'),
  });
  return schemaFile(inputSchema(platformValues));
}

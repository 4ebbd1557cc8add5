/** Values schemas of the charts, from the same zod schemas as the CRD. */
import { z } from 'zod';
import { inputSchema, type Schema } from './json-schema.ts';
import { operatorValues } from './operator-values.ts';
import { specSchema } from './spec.ts';

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
  }
  if (node.items) result.items = plain(node.items);
  return result;
}

function schemaFile(schema: Schema): Schema {
  const { properties, ...rest } = plain(schema);
  // helm itself puts `global` among the values of every chart.
  return { $schema: DRAFT, ...rest, properties: { ...properties, global: { type: 'object' } } };
}

const platformValues = z.strictObject({
  name: z.string().max(40).default('').describe('Name of the BssPlatform; the name of the release when empty.'),
  spec: specSchema.prefault({}).describe('The spec of the BssPlatform, field by field.'),
});

export function operatorValuesSchema(): Schema {
  return schemaFile(inputSchema(operatorValues));
}

export function platformValuesSchema(): Schema {
  return schemaFile(inputSchema(platformValues));
}

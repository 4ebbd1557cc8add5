import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Schema } from './api/json-schema.ts';
import { operatorValues } from './api/operator-values.ts';
import { generatedFiles } from './generate.ts';
import { DEFINITIONS } from './platform/components/index.ts';
import { platformDefinition } from './platform/crd.ts';

const ROOT = new URL('../../', import.meta.url);

for (const [path, text] of Object.entries(generatedFiles())) {
  await test(`${path} follows from the schema`, async () => {
    assert.ok((await readFile(new URL(path, ROOT), 'utf8')) === text, 'run `make generate`');
  });
}

await test("the operator chart's values.yaml repeats the defaults of its schema", async () => {
  assert.deepEqual(
    operatorValues.parse(parse(await readFile(new URL('charts/bss-operator/values.yaml', ROOT), 'utf8'))),
    operatorValues.parse({}),
  );
});

function visit(path: string, node: Schema, look: (path: string, node: Schema) => void): void {
  look(path, node);
  for (const [key, child] of Object.entries(node.properties ?? {})) visit(`${path}.${key}`, child, look);
  if (node.items) visit(`${path}[]`, node.items, look);
  if (typeof node.additionalProperties === 'object') visit(`${path}{}`, node.additionalProperties, look);
}

await test('every field has a description, and every list a limit', () => {
  const schema = platformDefinition().spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'];
  assert.ok(schema);
  visit('spec', schema, (path, node) => {
    if (!path.endsWith('{}') && !path.endsWith('[]')) assert.ok(node.description, `${path} has a description`);
    if (node.type === 'array') assert.ok(node['maxItems'], `${path} has maxItems: CEL's cost depends on it`);
    if (node.type === 'string' && !node['enum']) assert.ok(node['maxLength'] ?? node['format'], `${path} has maxLength`);
    if (node.type === 'object' && node.additionalProperties) assert.ok(node['maxProperties'], `${path} has maxProperties`);
  });
});

/** Client-side apply stores the whole object in an annotation, and annotations may have 262,144 bytes. */
const ANNOTATION_LIMIT = 262_144;
/** The components that the operator is to have. */
const COMPONENTS = 35;
/** Bytes of the fields that every workload has: a change of them counts once for each component. */
const COMMON_BUDGET = 5_000;
/** Bytes for what the components that are to come have beside these. */
const RESERVE = 20_000;
/** Bytes of one component's part of the spec. */
const COMPONENT_BUDGET = 13_500;

const size = (value: unknown) => JSON.stringify(value).length;

await test('the definition stays small enough for every way to apply it when all components are there', () => {
  const definition = platformDefinition();
  const spec = definition.spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec']?.properties ?? {};
  // The templates are those of all components: their schema counts once.
  const { workloads, templates: _once, ...others } = spec;
  const parts = { ...others, ...workloads?.properties };
  for (const [name, part] of Object.entries(parts)) assert.ok(size(part) < COMPONENT_BUDGET, `${name} has ${size(part)} bytes`);
  const common = size(workloads?.properties?.['kafkaExporter']);
  assert.ok(common < COMMON_BUDGET, `a plain workload has ${common} bytes`);
  const projected = size(definition) + (COMPONENTS - DEFINITIONS.length) * common;
  assert.ok(projected + RESERVE < ANNOTATION_LIMIT, `${projected} bytes with ${COMPONENTS} components`);
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { Schema } from './api/json-schema.ts';
import { operatorValues } from './api/operator-values.ts';
import { generatedFiles } from './generate.ts';
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

/** Golden files: a spec in, every manifest out. `UPDATE_GOLDEN=1` writes them; the diff is what a review is about. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { goldenInput } from './golden.ts';
import { buildPlatform } from './index.ts';

const FOLDER = fileURLToPath(new URL('golden', import.meta.url));

for (const file of globSync(`${FOLDER}/*.spec.yaml`).toSorted()) {
  const name = basename(file, '.spec.yaml');
  await test(`manifests of ${name}`, async () => {
    const components = buildPlatform(await goldenInput(name));
    const text = components
      .flatMap(({ name: component, stage, manifests }) =>
        manifests.map((object) => `# ${stage}: ${component}\n${stringify(object, { aliasDuplicateObjects: false })}`),
      )
      .join('---\n');
    const golden = `${FOLDER}/${name}.yaml`;
    if (process.env['UPDATE_GOLDEN'] === '1') await writeFile(golden, text);
    assert.equal(text, await readFile(golden, 'utf8'), 'the manifests differ from the golden file; UPDATE_GOLDEN=1 writes it');
  });
}

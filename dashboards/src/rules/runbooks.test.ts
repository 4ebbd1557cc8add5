/** Each alert has its page in docs/runbooks, and each page its alert. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ruleGroups } from './index.ts';
import { isAlert } from './types.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const FOLDER = join(ROOT, 'docs', 'runbooks');
const ALERTS = new Map(
  ruleGroups()
    .flatMap(({ rules }) => rules)
    .filter(isAlert)
    .map((rule) => [rule.alert, rule] as const),
);

const files = (await readdir(FOLDER)).toSorted();
const texts = new Map(await Promise.all(files.map(async (file) => [file, await readFile(join(FOLDER, file), 'utf8')] as const)));
const pages = [...texts].filter(([file]) => file !== 'README.md').map(([file, text]) => ({ name: file.replace('.md', ''), text }));

await test('each alert has a page, and each page an alert', () => {
  assert.deepEqual(
    pages.map(({ name }) => name),
    [...ALERTS.keys()].toSorted(),
  );
});

await test('a page names severity and team of its alert', () => {
  for (const { name, text } of pages) {
    const alert = ALERTS.get(name);
    assert.ok(text.startsWith(`# ${name}\n\nSeverity **${alert?.severity}**, team **${alert?.team}**.\n`), name);
  }
});

await test('the index lists every page with its severity and team', () => {
  const rows = [...(texts.get('README.md') ?? '').matchAll(/^\| \[(\w+)\]\(\1\.md\) \| (\w+) \| (\w+) \|$/gm)].map((row) => row.slice(1));
  const wanted = [...ALERTS.values()].map(({ alert, severity, team }) => [alert, severity, team]);
  assert.deepEqual(
    rows,
    wanted.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  );
});

await test('a page says what the alert means, how to confirm it and what to do', () => {
  for (const { name, text } of pages) {
    assert.match(text, /\n\n[A-Z][^#]{60,}\n\n## Confirm\n\n```sh\n(.+\n)+```\n\n## Act\n\n1\. .+/, name);
  }
});

await test('links lead to pages that exist', () => {
  for (const { name, text } of pages) {
    for (const [, target = ''] of text.matchAll(/\]\((\w+\.md)\)/g)) assert.ok(texts.has(target), `${name} links to ${target}`);
  }
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Whether the resource has a field; of `<service>` and the like, whatever stands there. */
function hasField(schema: Schema, path: string[]): boolean {
  const [first, ...rest] = path;
  if (first === undefined || schema.properties === undefined) return true;
  const next = first.startsWith('<') ? Object.values(schema.properties)[0] : schema.properties[first];
  return next !== undefined && hasField(next, rest);
}

await test('fields of the spec that a page names exist', async () => {
  const crd: { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } } = parse(
    await readFile(join(ROOT, 'crds', 'bss-platform.io_bssplatforms.yaml'), 'utf8'),
  );
  const schema = crd.spec.versions[0]?.schema.openAPIV3Schema;
  assert.ok(schema);
  let named = 0;
  for (const { name, text } of pages) {
    for (const [field] of text.matchAll(/(?<![\w.{])spec(\.(\w+|<\w+>))+/g)) {
      named += 1;
      assert.ok(hasField(schema, field.split('.')), `${name} names ${field}, which the resource does not have`);
    }
  }
  assert.ok(named > 20, `only ${named} fields were found`);
});

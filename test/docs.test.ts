/** Checks the documents against the repository: links, make targets, bss commands, npm scripts and paths that they name. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const pages = globSync('**/*.md', { cwd: ROOT, exclude: (path) => /(^|\/)(node_modules|\.[^/]+)$/.test(path) }).toSorted();

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');
/** Code is no Markdown: blocks and spans may contain anything. */
const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');
/** What a document shows as code, blocks and spans. */
const codeOf = (text: string): string => (text.match(/^```[\s\S]*?^```|`[^`\n]+`/gm) ?? []).join('\n');

/** Anchors of the headings of a page, as GitHub derives them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.+)$/gm);
  return new Set([...headings].map(([, title = '']) => anchorOf(title)));
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** Relative links of a page whose file or anchor does not exist. */
function brokenLinks(page: string): string[] {
  const targets = [...withoutCode(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target) && !resolves(page, target));
}

function resolves(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
  if (!existsSync(join(ROOT, file))) return false;
  return anchor === undefined || (file.endsWith('.md') && anchorsOf(read(file)).has(anchor));
}

/** Distinct first groups of the matches in the code of all pages but the measured results, each with the pages that have it. */
function named(pattern: RegExp): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const page of pages.filter((one) => !one.startsWith('docs/results/')))
    for (const [, name = ''] of codeOf(read(page)).matchAll(pattern)) found.set(name, [...new Set([...(found.get(name) ?? []), page])]);
  return found;
}

function assertKnown(names: Map<string, string[]>, isKnown: (name: string) => boolean, what: string): void {
  assert.ok(names.size > 0, `no document names a ${what}: the pattern of this test is wrong`);
  const unknown = [...names].filter(([name]) => !isKnown(name)).map(([name, where]) => `${name} (${where.join(', ')})`);
  assert.deepEqual(unknown, [], `documents name a ${what} that does not exist`);
}

void test('links of documents resolve, anchors included', () => {
  assert.ok(pages.includes('README.md'));
  const broken = pages.flatMap((page) => brokenLinks(page).map((target) => `${page}: ${target}`));
  assert.deepEqual(broken, [], 'links without a target');
});

void test('make targets that documents name exist', () => {
  const targets = new Set([...read('Makefile').matchAll(/^([a-z0-9-]+):/gm)].map(([, target]) => target));
  const lines = named(/(?:^|`)make ((?:[a-z0-9-]+ ?)+)/gm);
  const names = new Map(
    [...lines].flatMap(([words, where]) =>
      words
        .trim()
        .split(' ')
        .map((word) => [word, where] as const),
    ),
  );
  assertKnown(names, (name) => targets.has(name), 'make target');
});

void test('bss commands that documents name exist', () => {
  const usage = execFileSync(process.execPath, ['operator/src/cli/main.ts', '--help'], { cwd: ROOT, encoding: 'utf8' });
  const commands = new Set([...usage.matchAll(/^\s*bss ([a-z-]+)/gm)].map(([, command]) => command));
  assertKnown(named(/(?:^|`|\$ |kubectl )bss ([a-z-]+)/gm), (name) => commands.has(name), 'bss command');
});

void test('npm scripts that documents name exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  assertKnown(named(/npm run ([a-z:-]+)/g), (name) => name in scripts, 'npm script');
});

void test('paths of the repository that documents name exist', () => {
  const names = named(/(?:^|[`\s])((?:operator|workloads|local|charts|test|docs|examples|crds)\/[\w./-]+\w)/gm);
  assertKnown(names, (name) => existsSync(join(ROOT, name)), 'path');
});

import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import test from 'node:test';

/** What the owners register under a name: their modules by glob, so that a new service is compared without a change here. */
async function registered<T>(name: string, patterns: string[]): Promise<[string, T][]> {
  const files = globSync(patterns, { cwd: import.meta.dirname }).toSorted();
  assert.ok(files.length > 1, `${patterns.join()} matches no files`);
  const modules = await Promise.all(files.map((file) => import(`./${file}`) as Promise<Record<string, Record<string, T>>>));
  return modules.flatMap((module) => Object.entries(module[name] ?? {}));
}

const PROBLEM_MODULES = ['shared/kernel/problems.ts', 'shared/contracts/**/!(*.test).ts', '*/problems.ts'];
const REJECTION_MODULES = ['shared/kernel/consumer/rejections.ts', '*/rejections.ts'];

/** One meaning for each code. */
function distinct<T>(entries: [string, T][]): Record<string, T> {
  const codes = entries.map(([code]) => code);
  assert.deepEqual(codes, [...new Set(codes)], 'two owners register one code');
  return Object.fromEntries(entries);
}

/** Rows "| `code` | ... | meaning |" of a page, as code to the cells after it. */
async function rows(page: string): Promise<Map<string, string[]>> {
  const text = await readFile(new URL(`../docs/${page}`, import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => /^\| `[a-z_]+` \|/.test(line));
  return new Map(
    lines.map((line) => {
      const [code = '', ...cells] = line
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, -1);
      return [code.replaceAll('`', ''), cells];
    }),
  );
}

await test('docs/http-errors.md names every problem with its status and title, and no other', async () => {
  const problems = distinct(await registered<{ status: number; title: string }>('PROBLEMS', PROBLEM_MODULES));
  const known = Object.entries(problems).map(([code, { status, title }]) => [code, [String(status), title]]);
  assert.deepEqual(Object.fromEntries(await rows('http-errors.md')), Object.fromEntries(known));
});

await test('docs/events.md names every rejection with its meaning, and no other', async () => {
  const documented = [...(await rows('events.md'))].filter(([code, cells]) => cells.length === 1 && !code.startsWith('dlq_'));
  const rejections = distinct(await registered<string>('REJECTIONS', REJECTION_MODULES));
  const known = Object.entries(rejections).map(([code, meaning]) => [code, [meaning]]);
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(known));
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { REJECTIONS as INTEREST } from './interest/rejections.ts';
import { REJECTIONS as COMMON } from './shared/kernel/consumer/rejections.ts';
import { PROBLEMS } from './shared/kernel/problems.ts';

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
  const documented = Object.fromEntries(await rows('http-errors.md'));
  const known = Object.fromEntries(Object.entries(PROBLEMS).map(([code, { status, title }]) => [code, [String(status), title]]));
  assert.deepEqual(documented, known);
});

await test('docs/events.md names every rejection with its meaning, and no other', async () => {
  const documented = await rows('events.md');
  const codes = [...documented].filter(([code, cells]) => cells.length === 1 && !code.startsWith('dlq_'));
  const known = Object.fromEntries(Object.entries({ ...COMMON, ...INTEREST }).map(([code, meaning]) => [code, [meaning]]));
  assert.deepEqual(Object.fromEntries(codes), known);
});

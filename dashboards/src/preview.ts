/**
 * Draws every dashboard as an SVG from the data of running servers, without Grafana.
 *
 *   node dashboards/src/preview.ts --prometheus URL [--loki URL] [--tempo URL] [--namespace bss] [--platform demo]
 *                                  [--minutes 30] [--end TIME] [--out docs/dashboards] [UID ...]
 *
 * Without a UID it draws all of them. It ends with 1 when a query fails; the panel shows why.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { dataOf, type Addresses, type Range } from './preview/data.ts';
import { page, type Answer } from './preview/page.ts';
import type { PreviewPanel } from './preview/panel.ts';
import { dashboardFiles, queryOf, type DashboardFile, type Selection } from './testing/expressions.ts';

/** Points of a graph: one for about four pixels. */
const POINTS = 120;
const LEAST_STEP = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string' },
    loki: { type: 'string' },
    tempo: { type: 'string' },
    namespace: { type: 'string', default: 'bss' },
    platform: { type: 'string', default: 'demo' },
    minutes: { type: 'string', default: '30' },
    end: { type: 'string' },
    out: { type: 'string', default: join('docs', 'dashboards') },
  },
});

function addresses(): Addresses {
  const { prometheus, loki, tempo } = values;
  if (prometheus === undefined) throw new Error('--prometheus is missing: give the address of a Prometheus, such as http://localhost:9090');
  return { prometheus, ...(loki === undefined ? {} : { loki }), ...(tempo === undefined ? {} : { tempo }) };
}

function range(): Range {
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes: '${values.minutes}' is not a positive number`);
  const end = values.end === undefined ? Date.now() / 1000 : Date.parse(values.end) / 1000;
  if (Number.isNaN(end)) throw new Error(`--end: '${values.end}' is not a time; write 2026-01-31T12:00:00Z`);
  return { start: end - minutes * 60, end, step: Math.max(LEAST_STEP, Math.round((minutes * 60) / POINTS)) };
}

async function answerOf(panel: PreviewPanel, known: Addresses, selection: Selection, over: Range): Promise<Answer> {
  const targets = panel.targets ?? [];
  const missing = targets.map((target) => queryOf(target).source).find((source) => known[source] === undefined);
  if (missing !== undefined) return { problem: `No address of ${missing} was given` };
  try {
    return { data: await dataOf(targets, panel.type, known, selection, over) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** @returns what failed, and how many panels have data */
async function draw(board: DashboardFile<PreviewPanel>, known: Addresses, selection: Selection, over: Range): Promise<string[]> {
  const answers: Answer[] = [];
  for (const panel of board.panels) answers.push(await answerOf(panel, known, selection, over));
  await writeFile(join(values.out, `${board.uid}.svg`), page(board, answers, selection, over));
  return answers.flatMap((answer, index) =>
    'problem' in answer && !answer.problem.startsWith('No address')
      ? [`${board.uid}: ${board.panels[index]?.title}: ${answer.problem}`]
      : [],
  );
}

async function main(): Promise<void> {
  const [known, over] = [addresses(), range()];
  const rateInterval = `${Math.max(4 * over.step, 60)}s`;
  const selection = {
    namespace: values.namespace,
    platform: values.platform,
    rateInterval,
    auto: `${over.step}s`,
    range: `${values.minutes}m`,
  };
  const boards = (await dashboardFiles<PreviewPanel>()).filter(({ uid }) => positionals.length === 0 || positionals.includes(uid));
  if (boards.length === 0) throw new Error(`no dashboard is named ${positionals.join(', ')}`);
  await mkdir(values.out, { recursive: true });
  const problems: string[] = [];
  for (const board of boards) problems.push(...(await draw(board, known, selection, over)));
  console.log(`${boards.length} dashboards in ${values.out}`);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}

await main();

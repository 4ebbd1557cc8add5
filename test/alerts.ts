/**
 * `node test/alerts.ts [rounds]`: load without faults for ten minutes, then faults in rounds, each until its alerts are resolved, with the real
 * durations of the alerts. Writes docs/results/alerts.md after each fault; rows of rounds that were not run stay as they are. Names of rounds:
 * see e2e/alerts/faults.ts; the load without faults is the round `quiet`.
 *
 * DIVISOR=20 divides the durations, for trying: the page is not written then. E2E_CLUSTER names a cluster that is kept.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { describeError } from '../local/src/failure.ts';
import { formatDuration, Progress, type Note } from '../local/src/progress.ts';
import { openBench, closeBench } from './e2e/alerts/open.ts';
import type { Bench } from './e2e/alerts/bench.ts';
import { rounds, type Round } from './e2e/alerts/faults.ts';
import type { Companion } from './e2e/alerts/notifications.ts';
import { faultRows, merged, page, quietRow, rowsOf, type Row } from './e2e/alerts/page.ts';
import { quiet } from './e2e/alerts/quiet.ts';
import { lasting, runRound } from './e2e/alerts/run.ts';
import { versionsOf } from './e2e/alerts/versions.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const PAGE = `${ROOT}docs/results/alerts.md`;
process.env['PATH'] = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;

const DIVISOR = Number(process.env['DIVISOR'] ?? 1);
const QUIET_SECONDS = 600;

/** @returns what went wrong, a line each */
async function main(names: readonly string[]): Promise<string[]> {
  const wanted = (name: string): boolean => names.length === 0 || names.includes(name);
  const chosen = rounds().filter(({ name }) => wanted(name));
  const progress = new Progress('alerts', 1 + (wanted('quiet') ? 1 : 0) + chosen.length);
  const bench = await progress.step('cluster, platform, webhook', () => openBench(DIVISOR));
  const problems: string[] = [];
  try {
    if (wanted('quiet')) problems.push(...(await progress.step('quiet', (note) => quietPhase(bench, note))));
    const earlier: Companion[] = [];
    for (const round of chosen) {
      problems.push(...(await progress.step(round.name, (note) => faultRound(bench, round, earlier, note))));
      earlier.push(...lasting(round));
    }
  } finally {
    await closeBench(bench);
  }
  return problems;
}

async function quietPhase(bench: Bench, note: Note): Promise<string[]> {
  const result = await quiet(bench, QUIET_SECONDS / DIVISOR, note);
  await keep(bench, [quietRow(result, today())]);
  note(`${result.requests} requests, ${result.events} events; fired: ${result.fired.join(', ') || 'none'}`);
  return result.fired.map((name) => `without a fault, ${name} fired`);
}

async function faultRound(bench: Bench, round: Round, earlier: readonly Companion[], note: Note): Promise<string[]> {
  const started = Date.now();
  const result = await runRound(bench, round, {
    earlier,
    note: (text) => note(`${formatDuration(Date.now() - started)}: ${text}`),
    // An interrupted run keeps what it has measured.
    onFault: (fault) => keep(bench, faultRows([fault], undefined, today())),
  });
  await keep(bench, faultRows(result.faults, result.besides, today()));
  note(`notified besides: ${result.besides.join(', ') || 'none'}`);
  return [
    ...result.faults.flatMap(({ fault, problem }) => (problem === undefined ? [] : [`${fault}: ${problem}`])),
    ...result.unrelated.map((name) => `round ${round.name}: ${name} was notified and belongs to no fault`),
  ];
}

async function keep(bench: Bench, rows: readonly Row[]): Promise<void> {
  if (DIVISOR !== 1) return;
  const versions = await versionsOf(bench);
  // Faults end at the same time: each reads and writes the page in one turn.
  const present = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '';
  writeFileSync(PAGE, page(merged(rowsOf(present), rows), versions));
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

// kafkajs computes a delay below zero, which Node takes as 1 ms and warns about.
process.removeAllListeners('warning').on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.error(warning);
});

const { positionals } = parseArgs({ allowPositionals: true });
try {
  const problems = await main(positionals);
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}

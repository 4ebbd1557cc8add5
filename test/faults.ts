/**
 * `node test/faults.ts [files]`: runs the tests that inject faults, and writes the recovery times that they report to
 * docs/results/faults.md. Without arguments: those of the operator; rows of files that were not run stay as they are.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import process from 'node:process';
import { run, type EventData } from 'node:test';
import { spec } from 'node:test/reporters';

const ROOT = new URL('..', import.meta.url).pathname;
const PAGE = `${ROOT}docs/results/faults.md`;
process.env['PATH'] = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;

const FILES = [
  'operator/src/runtime/reflector.integration.test.ts',
  'operator/src/runtime/leader.integration.test.ts',
  'operator/src/reconcile/takeover.integration.test.ts',
  'operator/src/reconcile/reconcile.integration.test.ts',
];

/** As the tests word it: a fault, a time, and perhaps a note; or, where the test's name is the fault, what was going on and a time. */
const RECOVERIES = [
  /^(?<fault>.+?): recovered in (?<time>[\d.]+ s)(?:; (?<note>.+))?$/,
  /^(?<note>fault .+; all applied) (?<time>[\d.]+ s) later$/,
];

interface Recovery {
  file: string;
  test: string;
  fault: string;
  times: string[];
  note: string;
}

type Place = Pick<EventData.TestPass, 'file' | 'line' | 'column'>;

const placeOf = ({ file = '', line, column }: Place): string => `${file}:${line}:${column}`;

/** Runs the files and gathers what they say, one entry for each fault of each test. */
async function observe(files: string[]): Promise<{ recoveries: Recovery[]; failed: number }> {
  const names = new Map<string, string>();
  const recoveries = new Map<string, Recovery>();
  let failed = 0;
  const stream = run({ files: files.map((file) => ROOT + file), concurrency: 1, cwd: ROOT });
  stream.on('test:pass', (event) => names.set(placeOf(event), event.name));
  stream.on('test:fail', () => (failed += 1));
  // The diagnostics of a test follow its result. Tests in a loop share one place in the source.
  stream.on('test:diagnostic', (event) => note(recoveries, event, names.get(placeOf(event)) ?? ''));
  for await (const chunk of stream.compose(spec)) process.stdout.write(String(chunk));
  return { recoveries: [...recoveries.values()], failed };
}

function note(recoveries: Map<string, Recovery>, { message, file = '' }: EventData.TestDiagnostic, test: string): void {
  const said = RECOVERIES.map((pattern) => pattern.exec(message)?.groups).find((groups) => groups !== undefined);
  if (said?.['time'] === undefined) return;
  const { fault = test, time, note: remark = '' } = said;
  const key = `${file} ${fault}`;
  const known = recoveries.get(key);
  if (known) known.times.push(time);
  else recoveries.set(key, { file: relative(ROOT, file), test, fault, times: [time], note: remark });
}

const row = ({ file, test, fault, times, note: remark }: Recovery): string =>
  `| ${fault} | ${times.join(', ')} | ${remark} | ${test.replace(/ \(\d+\)$/, '')} | \`${file}\` |`;

/** Rows of the page as it is, of other files than these. */
async function otherRows(files: string[]): Promise<string[]> {
  const present = await readFile(PAGE, 'utf8').catch(() => '');
  const rows = present.split('\n').filter((line) => /^\| .*\.test\.ts` \|$/.test(line));
  return rows.filter((line) => !files.some((file) => line.includes(`\`${file}\``)));
}

function page(rows: string[]): string {
  return `# Faults and recovery times

Each row is the result of the last run of a test; a test that injects a fault several times has several times. Written by \`make faults\`, which runs the tests
of the operator again (\`node test/faults.ts <file>\` for others, such as \`test/e2e/platform.e2e.test.ts\`).

| fault | recovery time | note | test | file |
|---|--:|---|---|---|
${rows.join('\n')}
`;
}

const given = process.argv.slice(2).map((file) => relative(ROOT, file));
const files = given.length > 0 ? given : FILES;
const { recoveries, failed } = await observe(files);
if (failed > 0) {
  console.error(`${failed} failed: docs/results/faults.md stays as it is`);
  process.exitCode = 1;
} else await writeFile(PAGE, page([...recoveries.map((recovery) => row(recovery)), ...(await otherRows(files))]));

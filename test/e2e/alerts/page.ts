/** The page of `make alerts`: what was measured, as text. Pure. */
import type { QuietResult } from './quiet.ts';
import type { FaultResult, RoundResult } from './run.ts';

/** One row of a table: an alert of a fault, or a phase without faults. `key` is unique; rows of earlier runs are kept by it. */
export interface Row {
  readonly key: string;
  readonly cells: readonly string[];
}

export interface Versions {
  readonly platform: string;
  readonly kubernetes: string;
  readonly prometheus: string;
  readonly alertmanager: string;
  /** Processors and load of the machine at the end of a round. */
  readonly machine: string;
}

const FAULTS = ['fault', 'alert', 'severity', 'notified after', 'resolved after the repair', 'notified besides', 'measured on'];
const QUIET = [
  'load without faults',
  'requests',
  'not answered with 200',
  'events',
  'alerts that fired',
  'conditions that were true for a while',
  'measured on',
];

const listOf = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', '));
const secondsOf = (value: number): string => `${value.toFixed(0)} s`;

/**
 * @param besides undefined while the round goes on
 * @param day of the measurement, such as 2026-11-26
 */
export function faultRows(faults: readonly FaultResult[], besides: RoundResult['besides'] | undefined, day: string): Row[] {
  return faults.flatMap(({ fault, alerts }) =>
    alerts.map(({ name: alertName, alert, notifiedAfter, resolvedAfter }) => {
      const name = `\`${alertName}\``;
      const others = besides === undefined ? 'the round did not end' : listOf(besides);
      const cells = [fault, name, alert['severity'] ?? '', secondsOf(notifiedAfter), secondsOf(resolvedAfter), others, day];
      return { key: `${fault} ${name}`, cells };
    }),
  );
}

export function quietRow({ seconds, requests, failed, events, fired, pending }: QuietResult, day: string): Row {
  const load = `${(seconds / 60).toFixed(1)} min`;
  return { key: 'quiet', cells: [load, String(requests), String(failed), String(events), listOf(fired), listOf(pending), day] };
}

/** Rows of a page that was written before. */
export function rowsOf(text: string): Row[] {
  const lines = text.split('\n').filter((line) => line.startsWith('| '));
  const rows = lines.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
  return rows
    .filter((cells) => /^\d{4}-\d\d-\d\d$/.test(cells.at(-1) ?? ''))
    .map((cells) => ({ key: cells[0]?.endsWith(' min') ? 'quiet' : `${cells[0]} ${cells[1]}`, cells }));
}

/** The later rows in place of the earlier ones with the same key; the order is that of the earlier ones, then of the new. */
export function merged(earlier: readonly Row[], later: readonly Row[]): Row[] {
  const rows = new Map([...earlier, ...later].map((row) => [row.key, row]));
  return [...rows.values()];
}

function table(titles: readonly string[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(titles), `|${titles.map(() => '---').join('|')}|`, ...rows.map(({ cells }) => line(cells))].join('\n');
}

export function page(rows: readonly Row[], versions: Versions): string {
  const quiet = rows.filter(({ key }) => key === 'quiet');
  const faults = rows.filter(({ key }) => key !== 'quiet');
  return `# From a fault to its notification

Written by \`make alerts\`, which breaks parts of a platform on a cluster of its own and waits for the notifications at a webhook. All durations of
the alerts are the real ones. \`make alerts ROUND=NAME\` measures one round again; rows of other rounds stay.

- Versions of the last run: platform ${versions.platform}, Kubernetes ${versions.kubernetes}, Prometheus ${versions.prometheus}, Alertmanager ${versions.alertmanager}.
- Machine of the last run: ${versions.machine}. A loaded machine starts and stops parts more slowly, and requests may be slow enough for alerts of their own.
- *Notified after* counts from the command that causes the fault, *resolved after the repair* from the command that ends it, each until the webhook has
  the notification. Both contain the time that parts need to stop and to start, the scrape interval (5 s), the time that the condition must hold
  (\`for\`), the window of the expression, and the waits of Alertmanager (\`group_wait\` 10 s, \`group_interval\` 60 s).
- *Notified besides*: alerts that follow from the faults of the same round, which are caused together. Any other notification fails the run.

## Faults

${table(FAULTS, faults)}

## No fault

${table(QUIET, quiet)}
`;
}

/** The summary of a run as text, page and JSON. Pure. */
import type { Target } from '../targets.ts';

/** A metric as k6 hands it to `handleSummary`. */
interface MetricData {
  readonly type: string;
  /** `time` for milliseconds, `data` for bytes. */
  readonly contains: string;
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

interface CheckData {
  readonly name: string;
  readonly passes: number;
  readonly fails: number;
}

interface GroupData {
  readonly checks: readonly CheckData[];
  readonly groups: readonly GroupData[];
}

/** The part of the argument of `handleSummary` that is read here. `setup_data` may hold anything, so it is never written. */
export interface SummaryData {
  readonly metrics: Readonly<Record<string, MetricData>>;
  readonly root_group: GroupData;
  readonly state: { readonly testRunDurationMs: number };
}

export interface Run {
  readonly scenario: string;
  readonly targets: readonly Target[];
  readonly at: Date;
  readonly command: string;
  readonly machine: string;
  readonly versions: string;
}

interface Result extends Target {
  /** With its unit. */
  readonly measured: string;
  readonly met: boolean;
}

/** Metrics of the page, in this order; those that a scenario does not use are left out. */
const SHOWN = ['throughput', 'response_time', 'error_rate', 'events_applied', 'events_per_second', 'iterations', 'vus_max'];

/** Of trends, in this order: k6 gives them in any. */
export const STATISTICS = ['avg', 'med', 'p(95)', 'p(99)', 'max'];

const CONDITION = /^(p\(\d+(?:\.\d+)?\)|[a-z]+)\s*(<=|>=|<|>|={2,3}|!=)/;

/** The targets with what was measured. A target whose metric k6 does not report is missed. */
export function resultsOf(targets: readonly Target[], { metrics }: SummaryData): Result[] {
  return targets.map((target) => {
    const metric = metrics[target.metric];
    const statistic = CONDITION.exec(target.condition)?.[1] ?? '';
    const value = metric?.values[statistic];
    const measured = metric === undefined || value === undefined ? 'nothing' : withUnit(metric, statistic, value);
    return { ...target, measured, met: metric?.thresholds?.[target.condition]?.ok === true };
  });
}

/** `every target is met`, or how many are not. */
export function verdictOf(results: readonly Result[]): string {
  const missed = results.filter(({ met }) => !met).length;
  return missed === 0 ? 'every target is met' : `${missed} of ${results.length} targets ${missed === 1 ? 'is' : 'are'} missed`;
}

/** For the terminal. */
export function summaryText(run: Run, data: SummaryData): string {
  const results = resultsOf(run.targets, data);
  const width = Math.max(...results.map(({ meaning }) => meaning.length));
  const lines = results.map(
    ({ met, meaning, measured, metric, condition }) =>
      `  ${met ? '✔' : '✖'} ${meaning.padEnd(width)}  ${measured} (${metric} ${condition})`,
  );
  const failed = checksOf(data.root_group)
    .filter(({ fails }) => fails > 0)
    .map(({ name, passes, fails }) => `  ✖ ${name}: failed ${fails} of ${passes + fails} times`);
  const checks = failed.length === 0 ? [] : ['Failed checks', ...failed];
  return [
    '',
    `Load test ${run.scenario}: ${verdictOf(results)} (${seconds(data)} s)`,
    'Targets',
    ...lines,
    ...checks,
    'Measured',
    ...metricsOf(data).map(([name, values]) => `  ${name}: ${values}`),
    '',
  ].join('\n');
}

/** Markdown. */
export function summaryPage(run: Run, data: SummaryData): string {
  const results = resultsOf(run.targets, data);
  const checks = checksOf(data.root_group);
  return `# Load test: ${run.scenario}

Written by \`${run.command}\` on ${run.at.toISOString().slice(0, 16).replace('T', ' at ')} UTC. Verdict: **${verdictOf(results)}**.

## Targets

| target | metric | threshold | measured | met |
|---|---|---|--:|---|
${results.map(({ meaning, metric, condition, measured, met }) => `| ${meaning} | \`${metric}\` | \`${condition}\` | ${measured} | ${met ? 'yes' : '**no**'} |`).join('\n')}

## Measured

| metric | values |
|---|---|
${metricsOf(data)
  .map(([name, values]) => `| \`${name}\` | ${values} |`)
  .join('\n')}

## Checks

| check | passed | failed |
|---|--:|--:|
${checks.map(({ name, passes, fails }) => `| ${name} | ${grouped(passes)} | ${grouped(fails)} |`).join('\n')}

- The run took ${seconds(data)} s.
- Machine: ${run.machine}. The platform and k6 share it.
- Versions: ${run.versions}.
`;
}

/** The figures of the page for programs. */
export function summaryJson(run: Run, data: SummaryData): string {
  const { targets, at, ...facts } = run;
  const results = resultsOf(targets, data);
  const summary = {
    ...facts,
    at: at.toISOString(),
    seconds: data.state.testRunDurationMs / 1000,
    met: results.every(({ met }) => met),
    targets: results,
    metrics: data.metrics,
    checks: checksOf(data.root_group).map(({ name, passes, fails }) => ({ name, passes, fails })),
  };
  return `${JSON.stringify(summary, undefined, 1)}\n`;
}

function checksOf({ checks, groups }: GroupData): CheckData[] {
  return [...checks, ...groups.flatMap(checksOf)];
}

/** Name and values of the metrics to show. */
function metricsOf({ metrics }: SummaryData): [string, string][] {
  return SHOWN.flatMap((name): [string, string][] => {
    const metric = metrics[name];
    return metric === undefined ? [] : [[name, valuesOf(metric)]];
  });
}

function valuesOf(metric: MetricData): string {
  const { values } = metric;
  const one = (statistic: string): string => withUnit(metric, statistic, values[statistic] ?? 0);
  if (metric.type === 'counter') return `${one('count')}, ${grouped(Math.round((values['rate'] ?? 0) * 10) / 10)} a second`;
  if (metric.type === 'rate') return one('rate');
  if (metric.type === 'gauge') return one('value');
  return STATISTICS.filter((statistic) => statistic in values)
    .map((statistic) => `${statistic} ${one(statistic)}`)
    .join(', ');
}

function withUnit(metric: MetricData, statistic: string, value: number): string {
  if (metric.type === 'rate' && statistic === 'rate') return `${rounded(value * 100)} %`;
  return metric.contains === 'time' ? `${rounded(value)} ms` : rounded(value);
}

/** Two digits after the point for small numbers, none for large ones. */
function rounded(value: number): string {
  return grouped(Math.abs(value) < 100 ? Math.round(value * 100) / 100 : Math.round(value));
}

/** 1234567 as "1,234,567": k6 has no locales. */
function grouped(value: number): string {
  const [whole = '', fraction] = String(value).split('.');
  const separated = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',');
  return fraction === undefined ? separated : `${separated}.${fraction}`;
}

function seconds({ state }: SummaryData): string {
  return (state.testRunDurationMs / 1000).toFixed(1);
}

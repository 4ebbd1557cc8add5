/** The rules under promtool, which evaluates them with Prometheus' own engine. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { Promtool } from '../testing/promtool.ts';
import { ALERT_CASES, INTERVAL, RECORD_CASES, type AlertCase, type RecordCase } from './cases/index.ts';
import { DEFAULTS, fileOf, ruleFile, ruleGroups } from './index.ts';
import { isAlert, type Alert, type Group, type Recording } from './types.ts';

const RUNBOOKS = join(import.meta.dirname, '..', '..', '..', 'docs', 'runbooks');
const GROUPS = ruleGroups();
const RULES = GROUPS.flatMap(({ rules }) => rules);
const ALERTS = RULES.filter(isAlert);
const RECORDS = RULES.flatMap((rule) => (isAlert(rule) ? [] : [rule.record]));

let promtool: Promtool;

before(async () => {
  promtool = await Promtool.open();
});

after(() => promtool.close());

/** The alert that a case is about: those with windows are told apart by them. */
function alertOf({ alert, labels }: AlertCase): Alert {
  const found = ALERTS.find((rule) => rule.alert === alert && rule.labels?.['window'] === labels['window']);
  assert.ok(found, `no alert ${alert}`);
  return found;
}

/** The text of a template that uses labels alone. */
function withLabels(template: string, labels: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');
}

function expectation(testCase: AlertCase): unknown {
  const { alert, severity, team, summary } = alertOf(testCase);
  return {
    exp_labels: { severity, team, ...testCase.labels },
    exp_annotations: {
      summary: withLabels(summary, testCase.labels),
      description: testCase.description,
      runbook_url: `docs/runbooks/${alert}.md`,
    },
  };
}

function nameOf(rule: Alert | Recording): string {
  return isAlert(rule) ? rule.alert : rule.record;
}

/** The rules of a name, with those that record what they read, in the order of the file: to evaluate all of them would take ten times as long. */
function rulesOf(name: string): Group[] {
  const wanted = new Set([name]);
  for (const rule of RULES.toReversed()) {
    if (wanted.has(nameOf(rule))) for (const record of RECORDS) if (rule.expr.includes(record)) wanted.add(record);
  }
  return GROUPS.map((group) => ({ name: group.name, rules: group.rules.filter((rule) => wanted.has(nameOf(rule))) })).filter(
    ({ rules }) => rules.length > 0,
  );
}

function testFile(
  groups: readonly Group[],
  file: string,
  interval: number,
  series: Readonly<Record<string, string>>,
  rest: object,
): string {
  return stringify({
    rule_files: [file],
    evaluation_interval: `${interval}s`,
    group_eval_order: groups.map(({ name }) => name),
    tests: [
      {
        interval: `${interval}s`,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        ...rest,
      },
    ],
  });
}

/**
 * promtool compares every alert of a name, and alerts of several windows share one. So it is asked whether the alert is among those that fire:
 * ALERTS is a series of every alert, pending or firing.
 */
function firing({ alert, labels }: AlertCase, minute: number, count: number): unknown {
  const matchers = Object.entries({ alertname: alert, alertstate: 'firing', ...labels }).map(([label, text]) => `${label}="${text}"`);
  return {
    expr: `count(ALERTS{${matchers.join(',')}})`,
    eval_time: `${Math.round(minute * 60)}s`,
    exp_samples: count === 0 ? [] : [{ labels: '{}', value: count }],
  };
}

/** A case as promtool reads it. */
interface Script {
  readonly interval: number;
  readonly series: Readonly<Record<string, string>>;
  readonly expectations: object;
}

function alertScript(testCase: AlertCase): Script {
  const { interval = INTERVAL, fires, resolved, series } = testCase;
  const earlier = fires - interval / 60;
  const quiet = [...(earlier < 0 ? [] : [earlier]), ...(resolved === undefined ? [] : [resolved])];
  const expectations = {
    promql_expr_test: [firing(testCase, fires, 1), ...quiet.map((minute) => firing(testCase, minute, 0))],
    alert_rule_test: [{ eval_time: `${Math.round(fires * 60)}s`, alertname: testCase.alert, exp_alerts: [expectation(testCase)] }],
  };
  return { interval, series, expectations };
}

function recordScript({ record, series, at, values, interval = INTERVAL }: RecordCase): Script {
  const samples = Object.entries(values).map(([labels, value]) => ({ labels, value }));
  // promtool compares every digit of a floating-point number.
  const query = { expr: `round(${record}, 0.000001)`, eval_time: `${at}m`, exp_samples: samples };
  return { interval, series, expectations: { promql_expr_test: [query] } };
}

/** @param id tells the files of cases apart */
async function passes(rule: string, id: string, { interval, series, expectations }: Script): Promise<void> {
  const groups = rulesOf(rule);
  await promtool.write(`rules-${id}.yml`, fileOf(groups, DEFAULTS.runbooks));
  await promtool.write(`test-${id}.yml`, testFile(groups, `rules-${id}.yml`, interval, series, expectations));
  await promtool.run('test', 'rules', `test-${id}.yml`);
}

test('Prometheus accepts every rule', async () => {
  await promtool.write('rules.yml', ruleFile());
  await promtool.run('check', 'rules', '--lint=all', '--lint-fatal', 'rules.yml');
});

/** The PromQL that a page of the runbooks asks, with its shell variables filled in. */
function queriesOf(page: string): string[] {
  return [...page.matchAll(/^query (.+)$/gm)].map(([, argument = '']) => argument.replaceAll(/'\$\w+'/g, 'demo').slice(1, -1));
}

test('Prometheus parses every query of the runbooks', async () => {
  const files = (await readdir(RUNBOOKS)).filter((file) => file !== 'README.md');
  const pages = await Promise.all(files.map(async (file) => ({ file, text: await readFile(join(RUNBOOKS, file), 'utf8') })));
  const queries = pages.flatMap(({ file, text }) => queriesOf(text).map((expr) => ({ file, expr })));
  assert.ok(queries.length > 80, `only ${queries.length} queries were found`);
  const rules = queries.map(({ file, expr }, index) => ({ record: `query_${index}`, labels: { file }, expr }));
  await promtool.write('queries.yml', stringify({ groups: [{ name: 'runbooks', rules }] }, { lineWidth: 0 }));
  await promtool.run('check', 'rules', 'queries.yml');
});

test('every alert and every recording rule has a case', () => {
  const cased = new Set([...ALERT_CASES.map(({ alert }) => alert), ...RECORD_CASES.map(({ record }) => record)]);
  assert.deepEqual([...cased].toSorted(), [...new Set(RULES.map(nameOf))].toSorted());
});

test('every window of a burn rate has a case', () => {
  const windows = (list: readonly { alert: string; labels?: Readonly<Record<string, string>> }[]) =>
    list.flatMap(({ alert, labels }) => (labels?.['window'] === undefined ? [] : [`${alert} ${labels['window']}`])).toSorted();
  assert.deepEqual(windows(ALERT_CASES), windows(ALERTS));
});

describe('an alert fires after its time, not before, and resolves', { concurrency: 2 }, () => {
  for (const [index, testCase] of ALERT_CASES.entries()) {
    const window = testCase.labels['window'] === undefined ? '' : ` (${testCase.labels['window']})`;
    test(testCase.alert + window, () => passes(testCase.alert, `alert-${index}`, alertScript(testCase)));
  }
});

describe('a recording rule records', { concurrency: 2 }, () => {
  for (const [index, testCase] of RECORD_CASES.entries()) {
    test(testCase.record, () => passes(testCase.record, `record-${index}`, recordScript(testCase)));
  }
});

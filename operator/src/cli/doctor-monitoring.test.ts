import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BssPlatformStatus } from '../api/index.ts';
import { parseSpec, type BssPlatformSpec } from '../platform/index.ts';
import { FAULTS } from '../reconcile/alerts/alert-status.ts';
import { judge, type MonitoringAnswers } from './doctor-monitoring.ts';
import type { Finding } from './finding.ts';

const PLACE = { namespace: 'n', name: 'a' };

function specOf(raw: object): BssPlatformSpec {
  const parsed = parseSpec(raw);
  assert.ok(parsed.ok);
  return parsed.spec;
}

const rule = (name: string, state: string, health = 'ok', lastError?: string) => ({
  name,
  state,
  health,
  ...(lastError === undefined ? {} : { lastError }),
});
const rules = (...list: object[]) => ({ data: { groups: [{ name: 'g', rules: list }] } });
const target = (job: string, health: string, lastError = '') => ({ labels: { job, pod: `a-${job}-0` }, health, lastError });
const targets = (...activeTargets: object[]) => ({ data: { activeTargets } });
const age = (...values: string[]) => ({
  data: { resultType: 'vector', result: values.map((value) => ({ metric: {}, value: [1, value] })) },
});

const WELL: MonitoringAnswers = {
  targets: targets(target('ledger', 'up'), target('gateway', 'up')),
  rules: rules(rule('Watchdog', 'firing'), rule('RedisDown', 'inactive')),
  age: age('3.2'),
  alertmanager: { cluster: {} },
};
const UNASKED: MonitoringAnswers = { targets: undefined, rules: undefined, age: undefined, alertmanager: undefined };

type Alerts = NonNullable<BssPlatformStatus['alerts']>;
const NONE: Alerts = { summary: 'none', critical: 0, warning: 0, muted: 0, firing: [] };

function statusOf(alerts: Alerts = NONE): BssPlatformStatus {
  const up = (name: string) => ({ name, kind: 'StatefulSet', ready: 1, desired: 1 });
  return { components: [up('prometheus'), up('alertmanager')], alerts };
}

const WEBHOOK = specOf({ alertmanager: { receivers: { secretName: 's', webhook: {} } } });
const judged = (answers: MonitoringAnswers, { spec = WEBHOOK, status = statusOf() } = {}) => judge(PLACE, spec, status, answers);
const marked = (findings: Finding[]) => findings.map(({ ok, note, what }) => `${note ? '!' : ok ? '✓' : '✗'} ${what}`);

const ROWS: { name: string; answers: MonitoringAnswers; changes?: Parameters<typeof judged>[1]; expected: string[] }[] = [
  {
    name: 'a stack without fault',
    answers: WELL,
    expected: [
      '✓ Prometheus answers and ingests: its newest sample is 3 s old',
      '✓ Prometheus has loaded 2 alerts and evaluates them',
      '✓ Watchdog fires',
      '✓ 2 targets up',
      '✓ Alertmanager answers and notifies webhook',
    ],
  },
  { name: 'old samples', answers: { ...WELL, age: age('500') }, expected: ['✗ Prometheus answers, and its newest sample is 500 s old'] },
  { name: 'no samples', answers: { ...WELL, age: age() }, expected: ['✗ Prometheus answers, and has stored no sample for minutes'] },
  { name: 'no rules', answers: { ...WELL, rules: rules() }, expected: ['✗ Prometheus has loaded no rule: no alert can fire'] },
  {
    name: 'failing rules, and no Watchdog',
    answers: { ...WELL, rules: rules(rule('A', 'inactive', 'err', 'many-to-many'), rule('Watchdog', 'inactive')) },
    expected: ['✗ Prometheus cannot evaluate A (many-to-many)', '✗ Watchdog does not fire: Prometheus evaluates no rules'],
  },
  {
    name: 'targets down',
    answers: { ...WELL, targets: targets(target('ledger', 'down', 'refused'), target('gateway', 'up')) },
    expected: ['✗ 1 of 2 targets down: ledger a-ledger-0 (refused)'],
  },
  { name: 'no targets', answers: { ...WELL, targets: targets() }, expected: ['✗ Prometheus has found no target'] },
  {
    name: 'no receiver but that of Watchdog',
    answers: WELL,
    changes: { spec: specOf({ alertmanager: { receivers: { secretName: 's', watchdog: {} } } }) },
    expected: ['! Alertmanager answers, and no receiver is set: nobody is notified of an alert'],
  },
  {
    name: 'an API server that reaches neither, while the operator does',
    answers: UNASKED,
    expected: [
      '! the API server does not pass requests on to Prometheus: targets and rules are not checked; the operator reads its alerts: none',
      '✓ Alertmanager is ready and notifies webhook',
    ],
  },
  {
    name: 'an operator that does not reach Prometheus either',
    answers: UNASKED,
    changes: { status: statusOf({ ...NONE, message: FAULTS.prometheus }) },
    expected: [`✗ ${FAULTS.prometheus}`],
  },
  {
    name: 'an operator that does not reach Alertmanager',
    answers: UNASKED,
    changes: { status: statusOf({ ...NONE, message: FAULTS.alertmanager }) },
    expected: [`✗ ${FAULTS.alertmanager}`],
  },
  {
    name: 'firing alerts',
    answers: WELL,
    changes: {
      status: statusOf({
        ...NONE,
        firing: ['critical', 'warning'].map((severity) => ({ name: 'X', severity, since: 'S', summary: 'Y', runbook: 'X.md' })),
      }),
    },
    expected: ['✗ X (critical) fires since S: Y', '! X (warning) fires since S: Y'],
  },
];

for (const { name, answers, changes, expected } of ROWS) {
  void test(`doctor on ${name}`, () => {
    const findings = judged(answers, changes);
    for (const line of expected) assert.ok(marked(findings).includes(line), `${line}\n\n${marked(findings).join('\n')}`);
    assert.equal(new Set(marked(findings)).size, findings.length, 'each finding once');
    for (const { ok, note, what, remedy } of findings) assert.equal((remedy ?? '') !== '', !ok || note === true, `${what}: ${remedy}`);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetsOf, thresholdsOf, type Target } from '../targets.ts';
import { resultsOf, summaryJson, summaryPage, summaryText, verdictOf, type Run, type SummaryData } from './summary.ts';

const TARGETS: Target[] = [
  { metric: 'events_applied', condition: 'count==10000', meaning: 'every event is applied' },
  { metric: 'response_time', condition: 'p(95)<500', meaning: '95 % within 500 ms' },
  { metric: 'error_rate', condition: 'rate<0.01', meaning: 'errors below 1 %' },
];

const RUN: Run = {
  scenario: 'seed',
  targets: TARGETS,
  at: new Date('2026-03-04T05:06:07Z'),
  command: 'make load SCENARIO=seed',
  machine: '2 processors, 24 GiB',
  versions: 'k6 v1.8.1',
};

/** As k6 hands it over; `slow` misses the target of the response time. */
function summaryData(slow = false): SummaryData {
  const data = {
    metrics: {
      events_applied: {
        type: 'counter',
        contains: 'default',
        values: { count: 10_000, rate: 1234.56 },
        thresholds: { 'count==10000': { ok: true } },
      },
      response_time: {
        type: 'trend',
        contains: 'time',
        values: { avg: 12.345, 'p(95)': slow ? 1500.4 : 45.678 },
        thresholds: { 'p(95)<500': { ok: !slow } },
      },
      error_rate: {
        type: 'rate',
        contains: 'default',
        values: { rate: 0.0025, passes: 1, fails: 399 },
        thresholds: { 'rate<0.01': { ok: true } },
      },
    },
    root_group: {
      checks: [{ name: 'GET /a: status is 200', passes: 1999, fails: slow ? 1 : 0 }],
      groups: [{ checks: [{ name: 'of a group', passes: 1, fails: 0 }], groups: [] }],
    },
    state: { testRunDurationMs: 8123 },
    setup_data: { key: 'secret of the setup' },
  };
  return data;
}

test('measured values have the unit and the statistic of their threshold', () => {
  assert.deepEqual(
    resultsOf(TARGETS, summaryData()).map(({ measured, met }) => [measured, met]),
    [
      ['10,000', true],
      ['45.68 ms', true],
      ['0.25 %', true],
    ],
  );
  assert.equal(resultsOf(TARGETS, summaryData(true))[1]?.measured, '1,500 ms');
});

test('a target that k6 did not evaluate is missed', () => {
  const absent: Target = { metric: 'absent', condition: 'count>0', meaning: 'something happened' };
  const otherCondition: Target = { metric: 'events_applied', condition: 'count>0', meaning: 'something happened' };
  const results = resultsOf([absent, otherCondition], summaryData());
  assert.deepEqual(
    results.map(({ measured, met }) => [measured, met]),
    [
      ['nothing', false],
      ['10,000', false],
    ],
  );
  assert.equal(verdictOf(results), '2 of 2 targets are missed');
});

test('the page has command, date, verdict, targets, values, checks, machine and versions', () => {
  const page = summaryPage(RUN, summaryData());
  for (const line of [
    'Written by `make load SCENARIO=seed` on 2026-03-04 at 05:06 UTC. Verdict: **every target is met**.',
    '| every event is applied | `events_applied` | `count==10000` | 10,000 | yes |',
    '| `response_time` | avg 12.35 ms, p(95) 45.68 ms |',
    '| `events_applied` | 10,000, 1,234.6 a second |',
    '| `error_rate` | 0.25 % |',
    '| GET /a: status is 200 | 1,999 | 0 |',
    '| of a group | 1 | 0 |',
    '- The run took 8.1 s.',
    '- Machine: 2 processors, 24 GiB. The platform and k6 share it.',
    '- Versions: k6 v1.8.1.',
  ])
    assert.ok(page.split('\n').includes(line), `${line}\nis not in\n${page}`);
});

test('a missed target is in the verdict of page, text and JSON', () => {
  const data = summaryData(true);
  assert.match(summaryPage(RUN, data), /Verdict: \*\*1 of 3 targets is missed\*\*/);
  assert.match(summaryPage(RUN, data), /\| 95 % within 500 ms .* 1,500 ms \| \*\*no\*\* \|/);
  const text = summaryText(RUN, data);
  assert.match(text, /1 of 3 targets is missed/);
  assert.match(text, /✖ 95 % within 500 ms +1,500 ms \(response_time p\(95\)<500\)/);
  assert.match(text, /✖ GET \/a: status is 200: failed 1 of 2000 times/);
  const json = JSON.parse(summaryJson(RUN, data)) as { met: boolean; targets: { met: boolean }[] };
  assert.equal(json.met, false);
  assert.deepEqual(
    json.targets.map(({ met }) => met),
    [true, false, true],
  );
});

test('what the setup returned is written nowhere', () => {
  for (const write of [summaryPage, summaryText, summaryJson]) assert.doesNotMatch(write(RUN, summaryData()), /secret/);
});

test('the thresholds of one metric are one list', () => {
  assert.deepEqual(thresholdsOf(targetsOf('reads', 1))['response_time'], ['p(95)<500', 'p(99)<1000']);
  assert.deepEqual(thresholdsOf(targetsOf('seed', 2000))['events_applied'], ['count==2000']);
});

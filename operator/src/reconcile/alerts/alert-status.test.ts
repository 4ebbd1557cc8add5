import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  alertmanagerAlerts,
  learn,
  LISTED,
  nextAlerts,
  NOTHING_KNOWN,
  prometheusAlerts,
  TOLERATED,
  type AlertStatus,
  type Answers,
  type Knowledge,
  type Labels,
  type PrometheusAlert,
} from './alert-status.ts';

const AT = '2026-01-01T12:00:00Z';

function alert(alertname: string, severity: string, extra: Partial<PrometheusAlert> = {}): PrometheusAlert {
  const annotations = { summary: `${alertname} summary`, description: 'long', runbook_url: `docs/runbooks/${alertname}.md` };
  return { labels: { alertname, severity }, annotations, state: 'firing', activeAt: '2026-01-01T11:00:00.123456Z', ...extra };
}

const WATCHDOG = alert('Watchdog', 'none');

/** After reads with these answers, one second apart. */
function after(...reads: Answers[]): Knowledge {
  return reads.reduce<Knowledge>((known, read, index) => learn(known, read, AT.replace('00Z', `0${index}Z`)), NOTHING_KNOWN);
}

const read = (alerts: PrometheusAlert[], muted: Labels[] = []): Answers => ({ alerts: [WATCHDOG, ...alerts], muted });
const SILENT: Answers = { alerts: undefined, muted: [] };
const repeated = (count: number, answers: Answers): Answers[] => Array.from({ length: count }, () => answers);

interface Row {
  name: string;
  reason: string;
  reads: Answers[];
  expected: { [K in keyof AlertStatus]?: AlertStatus[K] | undefined } | undefined;
}

const PAIR = [alert('LagHigh', 'warning'), alert('RedisDown', 'critical')];
const SENT = { alertname: 'LagHigh', severity: 'warning', platform: 'demo' };

const ROWS: Row[] = [
  {
    name: 'nothing fires',
    reason: 'Watchdog is not shown',
    reads: [read([])],
    expected: { summary: 'none', critical: 0, warning: 0, muted: 0, firing: [], message: undefined, lastRead: AT },
  },
  {
    name: 'alerts of both severities',
    reason: 'the critical one is first; times have whole seconds',
    reads: [read(PAIR)],
    expected: {
      summary: '1 critical, 1 warning',
      critical: 1,
      warning: 1,
      firing: ['RedisDown', 'LagHigh'].map((name, index) => ({
        name,
        severity: ['critical', 'warning'][index] ?? '',
        since: '2026-01-01T11:00:00Z',
        summary: `${name} summary`,
        runbook: `docs/runbooks/${name}.md`,
      })),
    },
  },
  {
    name: 'a pending alert',
    reason: 'it may pass before its time is over',
    reads: [read([alert('RedisDown', 'critical', { state: 'pending' })])],
    expected: { summary: 'none', critical: 0, firing: [] },
  },
  {
    name: 'an inhibited alert',
    reason: 'Alertmanager knows it with the external labels of Prometheus too; nobody is notified of it',
    reads: [read(PAIR, [SENT])],
    expected: { summary: '1 critical', critical: 1, warning: 0, muted: 1 },
  },
  {
    name: 'an inhibited alert with other labels',
    reason: 'another instance of the alert is still notified',
    reads: [read([alert('LagHigh', 'warning', { labels: { alertname: 'LagHigh', severity: 'warning', group: 'b' } })], [SENT])],
    expected: { summary: '1 warning', warning: 1, muted: 0 },
  },
  {
    name: 'one failed read',
    reason: 'the alerts of the last answer stay',
    reads: [read(PAIR), SILENT],
    expected: { summary: '1 critical, 1 warning', message: undefined, lastRead: AT },
  },
  {
    name: 'failed reads from the start',
    reason: 'nothing is claimed before Prometheus had its time',
    reads: repeated(TOLERATED - 1, SILENT),
    expected: undefined,
  },
  {
    name: 'Prometheus does not answer',
    reason: 'old alerts are not shown as present ones; the last answer is dated',
    reads: [read(PAIR), ...repeated(TOLERATED, SILENT)],
    expected: {
      summary: 'unknown',
      critical: 0,
      firing: [],
      message: 'Prometheus does not answer the operator: which alerts fire is unknown',
      lastRead: AT,
    },
  },
  {
    name: 'Prometheus answers again',
    reason: 'one answer is enough',
    reads: [...repeated(TOLERATED, SILENT), read([])],
    expected: { summary: 'none', message: undefined },
  },
  {
    name: 'one read without Watchdog',
    reason: 'a restarted Prometheus has not evaluated its rules yet',
    reads: [read([]), { alerts: [], muted: [] }],
    expected: { summary: 'none', message: undefined },
  },
  {
    name: 'Watchdog is missing',
    reason: 'no alert is no good news when no rule is evaluated',
    reads: repeated(TOLERATED, { alerts: [], muted: [] }),
    expected: { summary: 'unknown', message: 'Watchdog does not fire: Prometheus evaluates no rules' },
  },
  {
    name: 'one failed read of Alertmanager',
    reason: 'a silence lasts',
    reads: [read(PAIR, [SENT]), { ...read(PAIR), muted: undefined }],
    expected: { summary: '1 critical', muted: 1, message: undefined },
  },
  {
    name: 'Alertmanager does not answer',
    reason: 'every alert is shown, and that nobody is notified',
    reads: [read(PAIR, [SENT]), ...repeated(TOLERATED, { ...read(PAIR), muted: undefined })],
    expected: {
      summary: '1 critical, 1 warning',
      muted: 0,
      message: 'Alertmanager does not answer the operator: nobody is notified, and which alerts are silenced is unknown',
    },
  },
];

describe('the alerts in status', () => {
  for (const { name, reason, reads, expected } of ROWS) {
    void test(`${name}: ${reason}`, () => {
      const { status } = after(...reads);
      if (expected === undefined || status === undefined) return assert.equal(status, expected);
      const shown = Object.fromEntries(Object.keys(expected).map((key) => [key, status[key as keyof AlertStatus]]));
      assert.deepEqual(shown, expected);
    });
  }

  void test('lists ten of many, the oldest critical ones first, in the same order for any order of the answer', () => {
    const many = Array.from({ length: 25 }, (_, index) =>
      alert(`A${String(index).padStart(2, '0')}`, index % 2 === 0 ? 'critical' : 'warning', {
        activeAt: `2026-01-01T11:00:${59 - index}Z`,
      }),
    );
    const status = after(read(many)).status;
    assert.deepEqual([status?.summary, status?.firing.length], ['13 critical, 12 warning', LISTED]);
    assert.deepEqual(
      status?.firing.slice(0, 3).map(({ name }) => name),
      ['A24', 'A22', 'A20'],
    );
    assert.deepEqual(after(read(many.toReversed())).status, status);
  });

  void test('bounds the texts, whatever a rule writes', () => {
    const long = 'x'.repeat(10_000);
    const status = after(read([alert(long, 'critical', { annotations: { summary: long, runbook_url: long } })])).status;
    assert.ok(JSON.stringify(status).length < 1200);
  });
});

void test('keeps the former status, its time included, while the same alerts fire', () => {
  const [first, second, third] = [[read(PAIR)], [read(PAIR), read(PAIR)], [read(PAIR), read([])]].map((reads) => after(...reads).status);
  assert.notEqual(first?.lastRead, second?.lastRead);
  assert.equal(nextAlerts(first, second), first);
  assert.equal(nextAlerts(first, undefined), first, 'not read yet, after a restart of the operator');
  assert.deepEqual(nextAlerts(first, third), third);
  const unread = after(...repeated(TOLERATED, SILENT)).status;
  assert.equal(nextAlerts(first, unread)?.lastRead, AT, 'a new leader has not read it itself');
});

void test('reads the answers, and rejects what is none', () => {
  const answer = { status: 'success', data: { alerts: [{ ...WATCHDOG, value: '1e+00', keepFiringSince: null }] } };
  assert.deepEqual(prometheusAlerts.parse(answer), [WATCHDOG]);
  assert.deepEqual(alertmanagerAlerts.parse([{ labels: SENT, status: { state: 'suppressed' }, fingerprint: 'a' }]), [SENT]);
  for (const wrong of [{}, { data: {} }, { data: { alerts: [{ labels: {} }] } }, 'x']) {
    assert.equal(prometheusAlerts.safeParse(wrong).success, false);
    assert.equal(alertmanagerAlerts.safeParse(wrong).success, false);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertLines } from './incident-text.ts';

test('an alert is shown with its severity, since when it is active, and its runbook', () => {
  const lines = alertLines({
    state: 'firing',
    labels: { alertname: 'PostgresDown', severity: 'critical', team: 'database' },
    annotations: {
      summary: 'Postgres of platform demo is down',
      description: 'The exporter cannot log in to Postgres.',
      runbook_url: 'docs/runbooks/PostgresDown.md',
    },
    activeAt: '2026-11-26T17:00:05.123456789Z',
  });
  assert.deepEqual(lines, [
    'severity  critical, team database',
    'since     2026-11-26T17:00:05Z',
    'summary   Postgres of platform demo is down',
    '          The exporter cannot log in to Postgres.',
    'runbook   docs/runbooks/PostgresDown.md',
  ]);
});

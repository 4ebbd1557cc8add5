import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ruleGroups } from './index.ts';
import { CONSEQUENCES } from './inhibition.ts';
import { isAlert } from './types.ts';

const ALERTS = ruleGroups()
  .flatMap(({ rules }) => rules)
  .filter(isAlert);

await test('causes and consequences are alerts, and no alert mutes itself', () => {
  const names = new Set(ALERTS.map(({ alert }) => alert));
  for (const [cause, consequences] of Object.entries(CONSEQUENCES)) {
    for (const name of [cause, ...consequences]) assert.ok(names.has(name), name);
    assert.ok(!consequences.includes(cause), cause);
  }
});

await test('a family has a critical alert, which mutes, and a warning', () => {
  const families = Map.groupBy(
    ALERTS.filter(({ labels }) => labels?.['family'] !== undefined),
    ({ labels }) => labels?.['family'] ?? '',
  );
  for (const [family, alerts] of families) {
    const severities = new Set(alerts.map(({ severity }) => severity));
    assert.deepEqual(
      [...severities].toSorted((a, b) => (a < b ? -1 : 1)),
      ['critical', 'warning'],
      family,
    );
  }
});

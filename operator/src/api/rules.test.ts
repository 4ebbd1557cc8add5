import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationMs, quantityValue } from './rules.ts';

const durations: Record<string, number> = { '500ms': 500, '30s': 30_000, '5m': 300_000, '1h': 3_600_000, '15d': 1_296_000_000, '0s': 0 };
for (const [text, ms] of Object.entries(durations)) await test(`duration ${text}`, () => assert.equal(durationMs(text), ms));
for (const text of ['', '30', 's', '1.5h', '-1s', '1h30m', '30 s']) {
  await test(`no duration: '${text}'`, () => assert.throws(() => durationMs(text), RangeError));
}

const quantities: Record<string, number> = {
  '250m': 0.25,
  '2': 2,
  '1.5': 1.5,
  '512Mi': 536_870_912,
  '10Gi': 10_737_418_240,
  '50G': 50e9,
  '1k': 1000,
  '+1': 1,
  '1e3': 1000,
  '12E2': 1200,
  '1E': 1e18,
  '5n': 5e-9,
};
for (const [text, value] of Object.entries(quantities)) await test(`quantity ${text}`, () => assert.equal(quantityValue(text), value));
for (const text of ['', '10GB', '-1', 'ten', '1 Gi', '1e', '1e3Mi', 'Mi']) {
  await test(`no quantity: '${text}'`, () => assert.throws(() => quantityValue(text), RangeError));
}

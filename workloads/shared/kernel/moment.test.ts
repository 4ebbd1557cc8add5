import assert from 'node:assert/strict';
import test from 'node:test';
import { postgresTime } from './moment.ts';

const ROWS: readonly [reason: string, text: string, time: string][] = [
  ['UTC, with every digit', '2026-11-26T10:00:00.123456Z', '2026-11-26T10:00:00.123456Z'],
  ['an offset that Postgres accepts', '2026-11-26T10:00:00+15:59', '2026-11-26T10:00:00+15:59'],
  ['a larger offset', '2026-11-26T10:00:00+16:00', '2026-11-25T18:00:00.000Z'],
  ['a larger offset to the west', '0153-02-24T03:54:24-20:54', '0153-02-25T00:48:24.000Z'],
  ['the year 0', '0000-06-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['the year 0 in UTC', '0001-01-01T00:00:00+01:00', '0001-01-01T00:00:00.000Z'],
  ['the year 10000 in UTC', '9999-12-31T23:30:00-01:00', '9999-12-31T23:59:59.999Z'],
];

for (const [reason, text, time] of ROWS)
  await test(`${reason}: ${text}`, () => {
    assert.equal(postgresTime(text), time);
  });

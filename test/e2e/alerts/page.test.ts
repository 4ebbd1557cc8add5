import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultRows, merged, page, quietRow, rowsOf } from './page.ts';
import type { RoundResult } from './run.ts';

const ROUND: RoundResult = {
  round: 'stores',
  faults: [
    {
      fault: 'Redis is down',
      alerts: [
        {
          name: 'RedisDown',
          alert: { alertname: 'RedisDown', severity: 'critical' },
          annotations: {},
          notifiedAfter: 81.4,
          resolvedAfter: 70.6,
        },
      ],
    },
    {
      fault: 'no consumer is left',
      alerts: [
        {
          name: 'TargetMissing job=interest',
          alert: { alertname: 'TargetMissing', job: 'interest', severity: 'critical' },
          annotations: {},
          notifiedAfter: 90,
          resolvedAfter: 65,
        },
      ],
    },
  ],
  besides: ['ThroughputLow'],
  unrelated: [],
  seconds: 200,
};
const QUIET = { seconds: 601.2, requests: 6000, failed: 0, events: 30_000, fired: [], pending: ['KafkaConsumerStalled'] };
const VERSIONS = {
  platform: '0.1.0',
  kubernetes: 'v1.36.3',
  prometheus: '3.16.0',
  alertmanager: '0.28.1',
  machine: '2 processors, load 1.5',
};

test('each alert of a fault has a row with its times', () => {
  assert.deepEqual(
    faultRows(ROUND.faults, ROUND.besides, '2026-11-26').map(({ cells }) => cells.join(' | ')),
    [
      'Redis is down | `RedisDown` | critical | 81 s | 71 s | `ThroughputLow` | 2026-11-26',
      'no consumer is left | `TargetMissing job=interest` | critical | 90 s | 65 s | `ThroughputLow` | 2026-11-26',
    ],
  );
});

test('a row of a round that did not end says so', () => {
  const [row] = faultRows(ROUND.faults, undefined, '2026-11-26');
  assert.equal(row?.cells.at(-2), 'the round did not end');
});

test('a page keeps the rows of rounds that were not measured again', () => {
  const first = [quietRow(QUIET, '2026-11-25'), ...faultRows(ROUND.faults, ROUND.besides, '2026-11-25')];
  const [redis] = faultRows(ROUND.faults, ROUND.besides, '2026-11-26');
  assert.ok(redis);
  const rows = merged(rowsOf(page(first, VERSIONS)), [redis]);
  assert.deepEqual(
    rows.map(({ key, cells }) => [key, cells.at(-1)]),
    [
      ['Redis is down `RedisDown`', '2026-11-26'],
      ['no consumer is left `TargetMissing job=interest`', '2026-11-25'],
      ['quiet', '2026-11-25'],
    ],
  );
});

test('a page that is written from its own rows is the same', () => {
  const text = page([...faultRows(ROUND.faults, ROUND.besides, '2026-11-26'), quietRow(QUIET, '2026-11-26')], VERSIONS);
  assert.match(text, /\| 10\.0 min \| 6000 \| 0 \| 30000 \| none \| `KafkaConsumerStalled` \| 2026-11-26 \|/);
  assert.equal(page(rowsOf(text), VERSIONS), text);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Notification } from '../catcher.ts';
import { BUSY_MACHINE } from './faults.ts';
import { firstAfter, inForce, muted, nameOf, notifiedBesides, unrelated } from './notifications.ts';

function alert(receivedAt: number, labels: Record<string, string>, status: Notification['status'] = 'firing'): Notification {
  return { status, labels, annotations: {}, receivedAt };
}

const MISSING = { alertname: 'TargetMissing', job: 'interest', severity: 'critical' };
const SLOW = { alertname: 'DbSlowQueries' };

test('the first notification of an alert is the earliest after the fault, with all labels', () => {
  const all = [
    alert(9, MISSING),
    alert(30, MISSING),
    alert(20, MISSING),
    alert(15, MISSING, 'resolved'),
    alert(12, { ...MISSING, job: 'ledger' }),
  ];
  assert.equal(firstAfter(all, 'firing', { alertname: 'TargetMissing', job: 'interest' }, 10)?.receivedAt, 20);
  assert.equal(firstAfter(all, 'resolved', MISSING, 10)?.receivedAt, 15);
  assert.equal(firstAfter(all, 'resolved', MISSING, 15), undefined);
});

const TABLE: { reason: string; all: Notification[]; want: string[] }[] = [
  { reason: 'an expected alert is related', all: [alert(20, MISSING)], want: [] },
  {
    reason: 'the same alert about another target is not',
    all: [alert(20, { ...MISSING, job: 'ledger' })],
    want: ['TargetMissing job=ledger'],
  },
  { reason: 'a companion is related', all: [alert(20, SLOW)], want: [] },
  { reason: 'what fired before the round does not count', all: [alert(10, { alertname: 'RedisDown' })], want: [] },
  { reason: 'what is resolved does not count', all: [alert(20, { alertname: 'RedisDown' }, 'resolved')], want: [] },
  {
    reason: 'each is named once',
    all: [alert(20, { alertname: 'RedisDown' }), alert(21, { alertname: 'RedisDown' })],
    want: ['RedisDown'],
  },
];
for (const { reason, all, want } of TABLE) {
  test(`unrelated alerts: ${reason}`, () => {
    const companions = [{ alert: SLOW, reason: 'requests wait' }];
    assert.deepEqual(unrelated(all, 15, [{ alertname: 'TargetMissing', job: 'interest' }], companions), want);
  });
}

test('companions that were notified are reported, expected alerts are not', () => {
  const companions = [{ alert: SLOW, reason: 'requests wait' }];
  assert.deepEqual(notifiedBesides([alert(20, MISSING), alert(21, SLOW)], 15, [MISSING], companions), ['DbSlowQueries']);
});

test('what an alert mutes by the inhibition rules may be notified before it fires', () => {
  const names = muted([{ alertname: 'KafkaDown' }, { alertname: 'RedisDown' }]).map(({ alert: { alertname } }) => alertname);
  assert.ok(names.includes('KafkaConsumerStalled') && names.includes('ThroughputLow'), names.join());
  assert.ok(!names.includes('PostgresDown'));
});

test('the name of an alert has the labels that tell it apart', () => {
  assert.equal(nameOf(MISSING), 'TargetMissing job=interest');
  assert.equal(nameOf(SLOW), 'DbSlowQueries');
});

test('alerts of a busy machine are allowed with divided durations alone', () => {
  assert.deepEqual(inForce(BUSY_MACHINE, 1), []);
  assert.deepEqual(inForce(BUSY_MACHINE, 20), BUSY_MACHINE);
  const always = { alert: { alertname: 'RedisDown' }, reason: 'a test' };
  assert.deepEqual(inForce([always], 1), [always]);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import type { ConsumedRecord } from '../shared/kernel/kafka/batch.ts';
import { consumed } from '../shared/testing/record.ts';
import { identityOf, isSelected, restored, type ReplayFilter } from './letters.ts';

function letter(headers: Record<string, string> = {}): ConsumedRecord {
  const origin = { dlq_topic: 'orders', dlq_partition: '3', dlq_offset: '17', dlq_reason: 'no_active_rate' };
  return consumed({ key: Buffer.from('k'), value: Buffer.from('v'), headers: { ...origin, ...headers }, timestamp: '1000' });
}

const rows: { letter?: ConsumedRecord; filter: Partial<ReplayFilter>; want: boolean; reason: string }[] = [
  { filter: {}, want: true, reason: 'without conditions, every letter of the topic' },
  { filter: { topic: 'payments' }, want: false, reason: 'a letter of another topic' },
  { filter: { reasons: ['not_json', 'no_active_rate'] }, want: true, reason: 'one of the reasons' },
  { filter: { reasons: ['not_json'] }, want: false, reason: 'another reason' },
  { filter: { eventIds: ['a'] }, letter: letter({ ce_id: 'a' }), want: true, reason: 'the event' },
  { filter: { eventIds: ['a'] }, letter: letter({ ce_id: 'b' }), want: false, reason: 'another event' },
  { filter: { eventIds: ['a'] }, want: false, reason: 'a letter without an event id' },
  { filter: { from: 1000, to: 1001 }, want: true, reason: 'from is inclusive' },
  { filter: { from: 1001 }, want: false, reason: 'before from' },
  { filter: { to: 1000 }, want: false, reason: 'to is exclusive' },
  { filter: {}, letter: letter({ dlq_value_omitted: '2000000' }), want: false, reason: 'a letter without its value cannot be replayed' },
];
for (const { letter: given = letter(), filter, want, reason } of rows) {
  await test(`selected ${want}: ${reason}`, () => assert.equal(isSelected(given, { topic: 'orders', ...filter }), want, reason));
}

await test('copies of a letter have one identity, by event id or by place', () => {
  assert.equal(identityOf(letter()), 'orders/3/17');
  assert.equal(identityOf(letter({ ce_id: 'a' })), 'a');
  assert.equal(identityOf(letter({ ce_id: 'a', dlq_offset: '99' })), 'a');
});

await test('a replayed record is as it was before: no header of the dead letter is left', () => {
  const { key, value, headers } = restored(letter({ traceparent: 'x', ce_id: 'a' }));
  assert.deepEqual([key?.toString(), value?.toString(), headers], ['k', 'v', { traceparent: 'x', ce_id: 'a' }]);
});

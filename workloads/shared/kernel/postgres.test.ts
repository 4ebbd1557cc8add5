import assert from 'node:assert/strict';
import test from 'node:test';
import { DatabaseError } from 'pg';
import { isDataError, isTransient } from './postgres.ts';

function state(code: string): DatabaseError {
  return Object.assign(new DatabaseError(code, 0, 'error'), { code });
}

const rows: { error: unknown; transient: boolean; data: boolean; reason: string }[] = [
  { error: state('40001'), transient: true, data: false, reason: 'serialization failure' },
  { error: state('40P01'), transient: true, data: false, reason: 'deadlock' },
  { error: state('57P01'), transient: true, data: false, reason: 'the server stops' },
  { error: state('57P03'), transient: true, data: false, reason: 'the server starts' },
  { error: state('08P01'), transient: true, data: false, reason: 'PgBouncer has no server connection' },
  { error: state('53300'), transient: true, data: false, reason: 'too many connections' },
  { error: state('25P03'), transient: true, data: false, reason: 'cut off while idle in a transaction' },
  { error: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), transient: true, data: false, reason: 'nobody listens' },
  {
    error: new AggregateError([Object.assign(new Error('a'), { code: 'ECONNREFUSED' })]),
    transient: true,
    data: false,
    reason: 'on no address',
  },
  { error: new Error('Connection terminated unexpectedly'), transient: true, data: false, reason: 'the connection broke' },
  { error: new Error('Query read timeout'), transient: true, data: false, reason: 'the server froze' },
  { error: state('22003'), transient: false, data: true, reason: 'out of range' },
  { error: state('22021'), transient: false, data: true, reason: 'a character that text cannot hold' },
  { error: state('23505'), transient: false, data: true, reason: 'unique violation' },
  { error: state('LB002'), transient: false, data: true, reason: 'an invariant of the ledger' },
  {
    error: state('42P01'),
    transient: false,
    data: false,
    reason: 'a missing table is a defect: it must not send events to the dead-letter topic',
  },
  { error: state('42501'), transient: false, data: false, reason: 'so is a missing right' },
  { error: new TypeError('x is not a function'), transient: false, data: false, reason: 'and a bug' },
];
for (const { error, transient, data, reason } of rows) {
  await test(`${reason}: transient ${transient}, data ${data}`, () => {
    assert.equal(isTransient(error), transient, reason);
    assert.equal(isDataError(error), data, reason);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLog, linesOfLoki, linesOfTrace } from './log-lines.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

function record(seconds: number, message: string, further: object = {}): string {
  const time = new Date(Date.UTC(2026, 10, 26, 17, 0, seconds)).toISOString();
  return JSON.stringify({ level: 'error', time, service: 'ledger', platform: 'demo', trace_id: TRACE, message, ...further });
}

test('lines of one trace are found in the logs of several pods, in order of time', () => {
  const text = [
    record(7, 'second', { service: 'gateway', code: 'ledger_unavailable', error: { message: 'the ledger answered 503' } }),
    record(3, 'other trace', { trace_id: 'f'.repeat(32) }),
    record(3, 'no trace', { trace_id: undefined }),
    'Starting the process',
    record(8, 'cut off').slice(0, -5),
    record(5, 'first', { code: 'database_unavailable' }),
  ].join('\n');
  assert.deepEqual(formatLog(linesOfTrace(text, TRACE)), [
    '17:00:05.000  ledger   error first; database_unavailable',
    '17:00:07.000  gateway  error second; ledger_unavailable; the ledger answered 503',
  ]);
});

test('lines of Loki are records, or messages with their labels', () => {
  const at = (seconds: number): string => `${Date.UTC(2026, 10, 26, 17, 0, seconds)}000000`;
  const body = {
    data: {
      resultType: 'streams',
      result: [
        { stream: { service_name: 'gateway', level: 'error' }, values: [[at(9), 'the ledger fails', { trace_id: TRACE }]] },
        { stream: { service_name: 'ledger' }, values: [[at(1), record(2, 'a record')]] },
      ],
    },
  };
  assert.deepEqual(formatLog(linesOfLoki(body)), [
    '17:00:02.000  ledger   error a record',
    '17:00:09.000  gateway  error the ledger fails',
  ]);
});

test('what is no result of streams is an error', () => {
  assert.throws(() => linesOfLoki({ data: { resultType: 'matrix', result: [{ metric: {}, values: [] }] } }), /stream/);
});

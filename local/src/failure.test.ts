import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeError, Failure, tellingLines } from './failure.ts';

await test('the lines that speak of an error are shown, the last ones first of all', () => {
  const log = ['start', 'Error: one', 'working', 'F1120 fatal two', 'bye'].join('\n');
  assert.deepEqual(tellingLines(log), ['Error: one', 'F1120 fatal two']);
  assert.deepEqual(tellingLines(log, 1), ['F1120 fatal two']);
  assert.deepEqual(tellingLines('a\nb\nc\n', 2), ['b', 'c'], 'without any, the end of the log');
});

await test('a failure shows its log and what to try', () => {
  const text = describeError(new Failure('It broke.', { log: ['why'], logFile: '/log', tryNext: ['do this'] }));
  assert.equal(text, 'It broke.\n\n  | why\n\nThe whole log: /log\n\nNext steps:\n  do this');
  assert.equal(describeError(new Error('plain')), 'plain');
});

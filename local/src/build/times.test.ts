import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRow, parseTimes } from './times.ts';

test('reads the last line of the output of time, and refuses output without it', () => {
  assert.deepEqual(parseTimes('github.com/one\ngithub.com/two\n12.500 20.250 3.250\n'), { wallSeconds: 12.5, cpuSeconds: 23.5 });
  assert.throws(() => parseTimes('github.com/one\n'), /no times in/);
  assert.throws(() => parseTimes(''), /no times in/);
});

test('a row has whole seconds and MiB', () => {
  const row = formatRow({ module: 'loki', programs: ['logcli', 'loki'], bytes: 2.6 * 1024 ** 2, wallSeconds: 12.4, cpuSeconds: 23.5 });
  assert.equal(row, '| loki | logcli, loki | 3 | 12 | 24 |');
});

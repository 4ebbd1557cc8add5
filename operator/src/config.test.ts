import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.ts';

void test('an empty environment gives the defaults', () => {
  assert.deepEqual(readConfig({}), {
    config: { podName: 'bss-operator-local', namespace: 'bss-system', logLevel: 'info', metricsPort: 8081 },
  });
});

void test('empty variables count as absent', () => {
  assert.deepEqual(readConfig({ LOG_LEVEL: '', POD_NAME: '' }), readConfig({}));
});

void test('each wrong variable is named', () => {
  const read = readConfig({ LOG_LEVEL: 'loud', METRICS_PORT: '70000' });
  assert.ok('problems' in read);
  assert.deepEqual(
    read.problems.map((problem) => problem.split(':')[0]),
    ['LOG_LEVEL', 'METRICS_PORT'],
  );
});

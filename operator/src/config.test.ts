import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from './config.ts';

void test('an empty environment gives the defaults', () => {
  assert.deepEqual(readConfig({}), {
    config: {
      podName: 'bss-operator-local',
      namespace: 'bss-system',
      watchNamespaces: [],
      platforms: true,
      logLevel: 'info',
      metricsPort: 8081,
    },
  });
});

void test('empty variables count as absent', () => {
  assert.deepEqual(readConfig({ LOG_LEVEL: '', POD_NAME: '' }), readConfig({}));
});

void test('namespaces are a list, each of them once', () => {
  const read = readConfig({ WATCH_NAMESPACES: 'bss, bss-test,bss,' });
  assert.deepEqual('config' in read && read.config.watchNamespaces, ['bss', 'bss-test']);
  const wrong = readConfig({ WATCH_NAMESPACES: 'bss bss-test' });
  assert.match('problems' in wrong ? wrong.problems.join() : '', /^WATCH_NAMESPACES: write names of namespaces/);
});

void test('runs no platforms only where the environment says so', () => {
  const read = readConfig({ PLATFORMS: 'false' });
  assert.equal('config' in read && read.config.platforms, false);
  assert.ok('problems' in readConfig({ PLATFORMS: 'no' }));
});

void test('each wrong variable is named', () => {
  const read = readConfig({ LOG_LEVEL: 'loud', METRICS_PORT: '70000' });
  assert.ok('problems' in read);
  assert.deepEqual(
    read.problems.map((problem) => problem.split(':')[0]),
    ['LOG_LEVEL', 'METRICS_PORT'],
  );
});

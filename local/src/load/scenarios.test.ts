import assert from 'node:assert/strict';
import { test } from 'node:test';
import { targetsOf, type ScenarioName } from '../../../k6/targets.ts';
import { loadCommand, loadEnvironment, requireScenario, scenarioNames } from './scenarios.ts';

const TEST = { scenario: 'seed', url: 'http://127.0.0.1:1', apiKey: 'the key', results: 'results', versions: [] };

test('every scenario has targets', () => {
  const names = scenarioNames();
  assert.deepEqual(names, ['flows', 'reads', 'seed', 'smoke', 'spike']);
  for (const name of names) assert.ok(targetsOf(name as ScenarioName, 1).length > 0, name);
});

test('an unknown scenario is rejected with the names of the known ones', () => {
  assert.throws(() => requireScenario('soak'), { message: 'There is no load test "soak".' });
  assert.throws(() => requireScenario('../lib/report'), /There is no load test/);
});

test('settings of k6 in the environment of the user change nothing', () => {
  const environment = loadEnvironment(TEST, '', { HOME: 'home', K6_OUT: 'cloud', K6_VUS: '1000', K6_NO_USAGE_REPORT: 'false' });
  const ofK6 = Object.entries(environment).filter(([name]) => name.startsWith('K6_'));
  assert.deepEqual(ofK6, [
    ['K6_NO_USAGE_REPORT', 'true'],
    ['K6_AUTO_EXTENSION_RESOLUTION', 'false'],
  ]);
  assert.equal(environment['HOME'], 'home');
  assert.equal(environment['API_KEY'], 'the key');
});

test('the command of the page has the settings of the run', () => {
  assert.equal(loadCommand('seed', { EVENTS: '500', WAIT_SECONDS: '', NAME: 'bss' }), 'make load SCENARIO=seed EVENTS=500');
});

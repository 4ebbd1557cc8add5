import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import { imageOf, thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { parseSpec } from '../../../operator/src/platform/index.ts';
import { PROMETHEUS_VERSION } from './programs.ts';
import { isBuildInput, npmSettings, stackEntries, THIRD_PARTY } from './images.ts';
import { whyMissing } from './stack.ts';
import { PROJECT_DIR } from '../paths.ts';

test('every third-party image whose program is here is built locally, under the name that containerd gives it', () => {
  const refs = [...THIRD_PARTY, ...stackEntries()].flatMap((entry) => entry.refs);
  const parsed = parseSpec({});
  assert.ok(parsed.ok);
  for (const image of thirdPartyImages(DEFINITIONS).filter((each) => whyMissing(each) === undefined)) {
    assert.ok(
      refs.some((ref) => ref.endsWith(`/${imageOf(parsed.spec, image)}`)),
      image.name,
    );
  }
  assert.ok(refs.includes('docker.io/library/postgres:17.12') && refs.includes('docker.io/apache/kafka:4.3.1'));
  assert.equal(new Set(refs).size, refs.length);
  const postgres = THIRD_PARTY.find((entry) => entry.refs.some((ref) => ref.includes('/postgres:')));
  assert.equal(postgres?.settings.StopSignal, 'SIGINT');
});

test('the image of Prometheus is named after the version that is built', () => {
  const refs = THIRD_PARTY.flatMap((entry) => entry.refs);
  assert.ok(refs.includes(`docker.io/prom/prometheus:${PROMETHEUS_VERSION}`), refs.join(', '));
});

test('tests and installed packages do not make an image stale, sources do', () => {
  const inputs = [
    'operator/src/main.ts',
    'operator/package.json',
    'workloads/shared/databases/ledger/001_journal.sql',
    'operator/Dockerfile',
    'dashboards/src/rules/kafka.ts',
  ];
  const others = [
    'dashboards/generated/rules/bss-alerts.yml',
    'dashboards/src/rules/cases/stores.ts',
    'operator/src/api/spec.test.ts',
    'workloads/node_modules/pg/index.js',
    'operator/src/platform/golden/demo.yaml',
    'workloads/shared/testing/wait.ts',
    'workloads/benchmarks/interest.ts',
  ];
  assert.deepEqual([...inputs, ...others].filter(isBuildInput), inputs);
});

test('.dockerignore leaves out what does not make an image stale', async () => {
  const patterns = (await readFile(join(PROJECT_DIR, '.dockerignore'), 'utf8')).split('\n');
  for (const pattern of [
    'dashboards/generated/rules',
    'dashboards/src/boards',
    'dashboards/src/rules/cases',
    '**/node_modules',
    '**/*.test.ts',
    '**/golden',
    '**/testdata',
    '**/testing',
    '**/benchmarks',
  ])
    assert.ok(patterns.includes(pattern), pattern);
});

test('npm in a build gets the registry in effect and no path of this machine', () => {
  const user = 'fund=false\ncafile=/etc/ssl/ca.crt\n//registry.example.com/:_authToken=secret\n';
  const expected = 'fund=false\n//registry.example.com/:_authToken=secret\nregistry=https://registry.example.com/\n';
  assert.equal(npmSettings(user, 'https://registry.example.com/'), expected);
});

for (const image of ['operator', 'workloads']) {
  test(`${image}: the public base image has the Node version line that runs here`, async () => {
    const dockerfile = await readFile(join(PROJECT_DIR, image, 'Dockerfile'), 'utf8');
    const line = /BASE_IMAGE=docker\.io\/library\/node:(\d+)-trixie-slim/.exec(dockerfile)?.[1];
    assert.equal(line, process.versions.node.split('.')[0]);
  });
}

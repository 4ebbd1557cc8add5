import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findProblems, notInstalled, type MachineFacts } from './preflight.ts';

const GIB = 1024 ** 3;
const GOOD: MachineFacts = {
  platform: 'linux',
  userId: 0,
  hasApt: true,
  missingTools: [],
  missingFeatures: [],
  memoryAvailable: 20 * GIB,
  cacheDisk: { path: '/cache', free: 50 * GIB, filled: false },
  stateDisk: { path: '/state', free: 50 * GIB },
};

const CASES: readonly { name: string; facts: Partial<MachineFacts>; problem: RegExp; remedy: RegExp }[] = [
  { name: 'another system', facts: { platform: 'darwin', userId: 501 }, problem: /needs Linux/, remedy: /CLUSTER=kind/ },
  { name: 'not root', facts: { userId: 1000 }, problem: /needs root/, remedy: /sudo .*CLUSTER=kind/ },
  { name: 'no apt', facts: { hasApt: false }, problem: /apt-get/, remedy: /Debian 12/ },
  { name: 'no Go', facts: { missingTools: ['go'] }, problem: /go is not on PATH/, remedy: /go\.dev/ },
  { name: 'no Maven', facts: { missingTools: ['mvn'] }, problem: /mvn is not on PATH/, remedy: /apt-get install maven/ },
  { name: 'no overlayfs', facts: { missingFeatures: ['overlayfs'] }, problem: /does not provide overlayfs/, remedy: /modprobe overlay/ },
  { name: 'little memory', facts: { memoryAvailable: GIB }, problem: /Only 1\.0 GiB of memory/, remedy: /larger machine/ },
  {
    name: 'too little disk for the first build',
    facts: { cacheDisk: { path: '/cache', free: 10 * GIB, filled: false } },
    problem: /10\.0 GiB of disk is free at \/cache; 17\.0 GiB are needed/,
    remedy: /XDG_CACHE_HOME/,
  },
];

await test('a suitable machine has no problems', () => assert.deepEqual(findProblems(GOOD), []));

await test('a cache that an earlier build has filled needs little more', () => {
  const withFree = (free: number) => findProblems({ ...GOOD, cacheDisk: { path: '/cache', free, filled: true } });
  assert.deepEqual([withFree(3 * GIB).length, withFree(GIB).length], [0, 1]);
});

for (const { name, facts, problem, remedy } of CASES) {
  await test(`${name}: the problem is named with its remedy`, () => {
    const [first, ...others] = findProblems({ ...GOOD, ...facts });
    assert.match(first?.problem ?? '', problem);
    assert.match(first?.remedy ?? '', remedy);
    assert.deepEqual(others, []);
  });
}

await test('reports all problems at once', () => {
  assert.equal(findProblems({ ...GOOD, missingTools: ['go', 'java'], memoryAvailable: 0 }).length, 3);
});

await test('a package that was removed but left its configuration is not installed', () => {
  assert.deepEqual(notInstalled(['gcc', 'kmod', 'openssl'], 'gcc installed\nkmod config-files\n'), ['kmod', 'openssl']);
});

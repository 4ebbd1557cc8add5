import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { delegate, parseHierarchies } from './cgroups.ts';

const CASES = [
  {
    name: 'version 1 beside version 2',
    reason: 'the controllers are those options that are no mount options',
    mounts: [
      'tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0',
      'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0',
      'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0',
      'cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0',
      'cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0',
    ],
    expected: [
      { mountPoint: '/sys/fs/cgroup/memory', version: 1, controllers: ['memory'] },
      { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', version: 1, controllers: ['cpu', 'cpuacct'] },
      { mountPoint: '/sys/fs/cgroup/systemd', version: 1, controllers: ['name=systemd'] },
      { mountPoint: '/sys/fs/cgroup/unified', version: 2, controllers: [] },
    ],
  },
  {
    name: 'version 2 alone',
    reason: 'the options of version 2 are no controllers',
    mounts: [
      'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot 0 0',
      'proc /proc proc rw 0 0',
    ],
    expected: [{ mountPoint: '/sys/fs/cgroup', version: 2, controllers: [] }],
  },
  { name: 'none', reason: 'a container may have no cgroup mounts', mounts: ['proc /proc proc rw 0 0', ''], expected: [] },
];

for (const { name, reason, mounts, expected } of CASES) {
  await test(`cgroup hierarchies: ${name}`, () => assert.deepEqual(parseHierarchies(mounts.join('\n')), expected, reason));
}

for (const [controller, expected] of [
  ['memory', /The cgroup controller "memory" cannot be enabled: writing \+memory to .*cgroup\.subtree_control failed/],
  ['rdma', undefined],
] as const) {
  await test(`a controller that the kernel refuses: ${controller} ${expected === undefined ? 'is not needed' : 'stops the start'}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'bss-cgroup-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'cgroup.controllers'), `${controller}\n`);
    // Writing to it fails, as in a group that has processes of its own.
    await mkdir(join(folder, 'cgroup.subtree_control'));
    const delegated = delegate(folder, []);
    await (expected === undefined ? delegated : assert.rejects(delegated, { message: expected }));
  });
}

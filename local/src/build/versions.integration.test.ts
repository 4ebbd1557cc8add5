/** The local images carry names and tags of public images: each program must be of the version that its tag says. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { run } from '../exec.ts';
import { insideCommand } from '../services/process.ts';
import { THIRD_PARTY } from './images.ts';
import { ensureRootfs, NONROOT_UID } from './rootfs.ts';

/** Name of the image -> the command that prints the version of its program. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'library/postgres': ['postgres', '--version'],
  'apache/kafka': ['java', '-cp', '/opt/kafka/libs/*', 'kafka.Kafka', '--version'],
  'library/redis': ['redis-server', '--version'],
  'edoburu/pgbouncer': ['pgbouncer', '--version'],
  'prom/prometheus': ['prometheus', '--version'],
  'prometheuscommunity/postgres-exporter': ['postgres_exporter', '--version'],
  'prometheuscommunity/pgbouncer-exporter': ['pgbouncer_exporter', '--version'],
  'oliver006/redis_exporter': ['redis_exporter', '--version'],
};

for (const ref of THIRD_PARTY.flatMap(({ refs }) => refs)) {
  const [, image = '', tag = ''] = /^docker\.io\/(.+):v?([\d.]+)(?:-p\d+)?$/.exec(ref) ?? [];
  test(`${image} is version ${tag}`, async () => {
    const command = COMMANDS[image];
    assert.ok(command, `no command is known that prints the version of ${ref}`);
    const [program = '', ...args] = insideCommand({ root: await ensureRootfs(), data: tmpdir(), uid: NONROOT_UID }, command);
    const { stdout, stderr } = await run(program, args);
    const printed = `${stdout}\n${stderr}`;
    const version = /\b(\d+(?:\.\d+)+)/.exec(printed)?.[1] ?? '';
    // A tag of the major version alone stands for all of its releases.
    assert.ok(`${version}.`.startsWith(`${tag}.`), `the tag says ${tag}, the program: ${printed.trim().split('\n')[0]}`);
  });
}

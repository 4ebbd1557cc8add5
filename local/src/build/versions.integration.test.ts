/** The local images carry names and tags of public images: each program must be of the version that its tag says. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import { testedImage, thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { run } from '../exec.ts';
import { insideCommand } from '../services/process.ts';
import { ensureRootfs, NONROOT_UID } from './rootfs.ts';

for (const image of thirdPartyImages(DEFINITIONS)) {
  const { debian } = image;
  if (debian === undefined) continue;
  const [, name = '', tag = ''] = /^(.+):v?([\d.]+)(?:-p\d+)?$/.exec(testedImage(image)) ?? [];
  test(`${name} is version ${tag}`, async () => {
    const [program = '', ...args] = insideCommand({ root: await ensureRootfs(), data: tmpdir(), uid: NONROOT_UID }, debian.version);
    const { stdout, stderr } = await run(program, args);
    const printed = `${stdout}\n${stderr}`;
    const version = /\b(\d+(?:\.\d+)+)/.exec(printed)?.[1] ?? '';
    assert.equal(version, tag, `the tag says ${tag}, the program: ${printed.trim().split('\n')[0]}`);
  });
}

/** The local images carry names and tags of public images: each program must be of the version that its tag says. */
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import type { DebianSource } from '../../../operator/src/platform/definition.ts';
import { testedImage, thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { run } from '../exec.ts';
import { insideCommand } from '../services/process.ts';
import { isExtra } from './extra.ts';
import { ensureRootfs, NONROOT_UID, ROOTFS_PATH } from './rootfs.ts';
import { ensureStackRootfs, whyMissing } from './stack.ts';

/** What the program prints about itself. */
async function askVersion({ version, stack }: DebianSource): Promise<string> {
  const [program = '', ...args] = stack ? await inStack(version) : await inRootfs(version);
  const { stdout, stderr } = await run(program, args, { env: { PATH: ROOTFS_PATH } });
  return `${stdout}\n${stderr}`.trim();
}

/** The first version of the output: the rest can have the time of the call. */
function versionIn(printed: string): string {
  return /\bv?(\d+(?:\.\d+)+)/.exec(printed)?.[1] ?? '';
}

async function inRootfs(command: readonly string[]): Promise<string[]> {
  return insideCommand({ root: await ensureRootfs(), data: tmpdir(), uid: NONROOT_UID }, command);
}

/** That file system has no shell. */
async function inStack(command: readonly string[]): Promise<string[]> {
  return ['chroot', `--userspec=${NONROOT_UID}:${NONROOT_UID}`, await ensureStackRootfs(), ...command];
}

for (const image of thirdPartyImages(DEFINITIONS)) {
  const { debian } = image;
  if (debian === undefined) continue;
  const [, name = '', tag = ''] = /^(.+):v?([\d.]+)(?:-p\d+)?$/.exec(testedImage(image)) ?? [];
  const skip = whyMissing(image) ?? false;
  const extra = debian.built?.find(isExtra);
  if (extra === undefined) {
    test(`${name} is version ${tag}`, { skip }, async () => {
      const printed = await askVersion(debian);
      assert.equal(versionIn(printed), tag, `the tag says ${tag}, the program: ${printed.split('\n')[0]}`);
    });
  } else {
    // A build of another version than the image's does: it must run.
    test(`${extra} runs`, { skip }, async () => {
      assert.match(await askVersion(debian), new RegExp(`^${extra}, version`));
    });
  }
  for (const path of Object.keys(debian.programs ?? {}).filter((key) => key.startsWith('/'))) {
    test(`${name} has its program at ${path}`, { skip }, async () => {
      const [, ...args] = debian.version;
      const version = versionIn(await askVersion(debian));
      assert.notEqual(version, '');
      assert.equal(versionIn(await askVersion({ ...debian, version: [path, ...args] })), version);
    });
  }
}

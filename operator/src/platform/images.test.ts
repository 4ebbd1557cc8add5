import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviseSpec } from './advise.ts';
import { DEFINITIONS } from './components/index.ts';
import { specOf } from './golden.ts';
import { compareVersions, imageOf, testedImage, thirdPartyImages } from './images.ts';

/** A repository with a tag that names one release, or with a digest. A tag such as `17` moves with each release. */
const EXACT = /(:v?\d+\.\d+(\.\d+)?(-p\d+)?|@sha256:[0-9a-f]{64})$/;

await test('every tested image has an exact tag or a digest, for every version from the first on', () => {
  const images = thirdPartyImages(DEFINITIONS);
  assert.ok(images.length > 5);
  for (const { name, refs } of images) {
    assert.ok('0.1.0' in refs, `${name} has an image for the first version`);
    for (const ref of Object.values(refs)) assert.match(ref, EXACT, name);
  }
});

const refs = { '0.10.0': 'c:3.0', '0.1.0': 'c:1.0', '0.2.0': 'c:2.0' };
const ROWS: Record<string, { image: string; reason: string }> = {
  '0.1.0': { image: 'c:1.0', reason: 'its own entry' },
  '0.1.7': { image: 'c:1.0', reason: 'a release that changes no image has no entry' },
  '0.2.0-rc.1': { image: 'c:1.0', reason: 'a pre-release is before its release' },
  '0.9.0': { image: 'c:2.0', reason: 'the newest entry that is not after it' },
  '0.10.0': { image: 'c:3.0', reason: 'numbers and not text: 10 is after 9' },
  '1.0.0': { image: 'c:3.0', reason: 'the newest that is known' },
  '0.0.1': { image: 'c:1.0', reason: 'before the first entry' },
};
for (const [version, { image, reason }] of Object.entries(ROWS)) {
  await test(`version ${version} has the image ${image}`, () => assert.equal(testedImage({ name: 'c', refs }, version), image, reason));
}

await test('orders versions as semver does', () => {
  const sorted = ['0.1.0', '0.1.1-rc.2', '0.1.1-rc.10', '0.1.1', '0.2.0', '0.10.0'];
  assert.deepEqual(sorted.toReversed().toSorted(compareVersions), sorted);
});

await test('an image of the user is used as it is, whatever the version', () => {
  const [image] = thirdPartyImages(DEFINITIONS);
  assert.ok(image);
  const mine = `mine@sha256:${'0'.repeat(64)}`;
  for (const version of ['0.1.0', '9.0.0']) assert.equal(imageOf(specOf({ version, images: { [image.name]: mine } }), image), mine);
});

await test('warns of a version that is newer than the operator', () => {
  const about = (version: string) => adviseSpec(specOf({ version })).filter(({ path }) => path === 'spec.version');
  assert.deepEqual([about('0.1.0'), about('0.0.9')], [[], []]);
  assert.match(about('9.0.0')[0]?.message ?? '', /^9\.0\.0 is newer than this operator, which knows versions up to/);
});

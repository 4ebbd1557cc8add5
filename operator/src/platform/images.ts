/** Images of the programs: the user's, or those that are tested with the version of the platform. */
import { PLATFORM_VERSION } from '../api/index.ts';
import type { ComponentDefinition, Image } from './definition.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { Advice } from './types.ts';

/** The image of a third party's program, or of the workloads. */
export function imageOf(spec: BssPlatformSpec, image: Image | 'workloads'): string {
  const name = image === 'workloads' ? image : image.name;
  // The schema has a field for each image of the definitions; the type cannot name them.
  const given = (spec.images as Record<string, unknown>)[name];
  if (typeof given === 'string') return given;
  return image === 'workloads' ? `bss-platform/workloads:${spec.version}` : testedImage(image, spec.version);
}

/**
 * The reference that is tested with a version: the entry of the newest version in the table that is not after it. A version before the first entry
 * gets the first.
 */
export function testedImage({ name, refs }: Pick<Image, 'name' | 'refs'>, version: string = PLATFORM_VERSION): string {
  const known = Object.keys(refs).toSorted(compareVersions);
  const entry = known.findLast((candidate) => compareVersions(candidate, version) <= 0) ?? known[0];
  const ref = entry === undefined ? undefined : refs[entry];
  if (ref === undefined) throw new Error(`image ${name} has no reference for any version`);
  return ref;
}

/** Order of semantic versions: negative when `a` is before `b`. A pre-release is before its release (https://semver.org/#spec-item-11). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  const difference = left.numbers.map((number, index) => number - (right.numbers[index] ?? 0)).find((step) => step !== 0);
  if (difference !== undefined) return difference;
  if (left.preRelease === right.preRelease) return 0;
  if (left.preRelease === '' || right.preRelease === '') return left.preRelease === '' ? 1 : -1;
  return left.preRelease.localeCompare(right.preRelease, 'en', { numeric: true });
}

function parts(version: string): { numbers: number[]; preRelease: string } {
  const [core = '', ...rest] = version.split('-');
  return { numbers: core.split('.').map(Number), preRelease: rest.join('-') };
}

/** An operator that knows the version may have other images for it. */
export function unknownVersion({ version }: BssPlatformSpec): Advice | undefined {
  if (compareVersions(version, PLATFORM_VERSION) <= 0) return undefined;
  return {
    path: 'spec.version',
    message: `${version} is newer than this operator, which knows versions up to ${PLATFORM_VERSION}: upgrade the operator first; until then the images of other programs are those of ${PLATFORM_VERSION}`,
  };
}

/** The programs of third parties that the definitions use, by name. */
export function thirdPartyImages(definitions: readonly ComponentDefinition[]): Image[] {
  return definitions.flatMap(({ images = [] }) => images).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Images of the programs: the user's, or those that this version of the operator is tested with. */
import type { ComponentDefinition, Image } from './definition.ts';
import type { BssPlatformSpec } from './spec.ts';

/** The image of a third party's program, or of the workloads. */
export function imageOf(spec: BssPlatformSpec, image: Image | 'workloads'): string {
  const name = image === 'workloads' ? image : image.name;
  // The schema has a field for each image of the definitions; the type cannot name them.
  const given = (spec.images as Record<string, unknown>)[name];
  if (typeof given === 'string') return given;
  return image === 'workloads' ? `bss-platform/workloads:${spec.version}` : image.ref;
}

/** The programs of third parties that the definitions use, by name. */
export function thirdPartyImages(definitions: readonly ComponentDefinition[]): Image[] {
  return definitions.flatMap(({ images = [] }) => images).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The programs of the monitoring stack, and the components that this machine has no program for. The stack is built apart from the other images,
 * because compiling it takes minutes and a platform can run without it.
 */
import { existsSync } from 'node:fs';
import { link, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import type { ComponentDefinition, DebianSource, Image } from '../../../operator/src/platform/definition.ts';
import { thirdPartyImages } from '../../../operator/src/platform/images.ts';
import type { Note } from '../progress.ts';
import { ensureExtra, findExtra, isExtra } from './extra.ts';
import { ensurePrograms, isProgram, programPaths } from './programs.ts';
import { BUILT_FOLDER, ensureFolder, linkCommands, runIsolated } from './rootfs.ts';

interface StackImage extends Image {
  readonly debian: DebianSource;
}

/** Why this machine has no program for an image; undefined when it has. */
export function whyMissing({ what, debian }: Pick<Image, 'what' | 'debian'>, env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (debian === undefined) return `neither Debian nor a Go module has ${what}`;
  for (const name of debian.built ?? []) {
    const found = isExtra(name) ? findExtra(name, env) : undefined;
    if (found !== undefined && 'missing' in found) return found.missing;
  }
  return undefined;
}

export interface Unavailable {
  readonly component: string;
  /** Its field below `spec`. */
  readonly field: string;
  readonly reason: string;
}

/** Components that cannot run on the local cluster, in the order of the definitions. */
export function unavailableComponents(
  definitions: readonly ComponentDefinition[] = DEFINITIONS,
  env: NodeJS.ProcessEnv = process.env,
): Unavailable[] {
  return definitions.flatMap(({ name, images = [] }) => {
    const reason = images.map((image) => whyMissing(image, env)).find((why) => why !== undefined);
    return reason === undefined ? [] : [{ component: name, field: fieldOf(name), reason }];
  });
}

/** The components whose programs are compiled for the stack, as a platform has to do without them until that is done. */
export function uncompiledComponents(definitions: readonly ComponentDefinition[] = DEFINITIONS): Unavailable[] {
  return definitions
    .filter(({ images = [] }) => images.some(({ debian }) => debian?.stack))
    .map(({ name }) => ({ component: name, field: fieldOf(name), reason: 'its program is not compiled yet' }));
}

/** `log-agent` is `spec.logAgent`. */
function fieldOf(component: string): string {
  return component.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Images of the stack whose programs this machine has. */
export function stackImages(): StackImage[] {
  return thirdPartyImages(DEFINITIONS).filter(
    (image): image is StackImage => image.debian?.stack === true && whyMissing(image) === undefined,
  );
}

const builtPrograms = (): string[] => stackImages().flatMap(({ debian }) => debian.built ?? []);

/** Whether everything is compiled: `ensureStackRootfs` takes seconds then. */
export async function isStackBuilt(): Promise<boolean> {
  return Object.values(await programPaths(builtPrograms().filter(isProgram))).every((path) => existsSync(path));
}

/**
 * A root file system with the stack's programs and nothing else: they are static.
 * @returns its path; the content must not be changed
 * @throws Failure when a program cannot be built
 */
export async function ensureStackRootfs(note: Note = () => undefined): Promise<string> {
  const programs = { ...(await ensurePrograms(builtPrograms().filter(isProgram), note)), ...(await ensureExtras()) };
  const links = stackImages().flatMap(({ debian }) => linkCommands(debian));
  return ensureFolder('stack', [...Object.values(programs), ...links], async (draft) => {
    for (const folder of ['tmp', 'etc', BUILT_FOLDER]) await mkdir(join(draft, folder), { recursive: true });
    // The cache is one file system: a hard link takes no space.
    for (const [name, path] of Object.entries(programs)) await link(path, join(draft, BUILT_FOLDER, name));
    await runIsolated(links.join('\n'), [draft]);
  });
}

/** The programs that come from the folder of extra binaries. */
async function ensureExtras(): Promise<Record<string, string>> {
  const paths: Record<string, string> = {};
  for (const name of builtPrograms().filter(isExtra)) {
    const found = findExtra(name);
    if ('archive' in found) paths[name] = await ensureExtra(found.archive);
  }
  return paths;
}

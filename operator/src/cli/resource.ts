/** Reads resources from files. */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { API_VERSION, AUTOSCALER_KIND, KIND } from '../api/index.ts';
import { UsageError } from './usage.ts';

/** A BssPlatform or a ConsumerAutoscaler from a file. */
export interface ResourceFile {
  name: string;
  /** Namespace of the file, else the default. */
  namespace: string;
  spec: unknown;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/**
 * Reads every BssPlatform of a file (`-`: standard input) and ignores other objects.
 * @throws UsageError when there is none, or the file is not valid YAML
 */
export async function readPlatforms(path: string, defaultNamespace: string): Promise<ResourceFile[]> {
  const { platforms } = await filesOf(path, defaultNamespace);
  return platforms.length > 0 ? platforms : fail(`${path} contains no ${KIND} of ${API_VERSION}`);
}

interface Resources {
  platforms: ResourceFile[];
  autoscalers: ResourceFile[];
}

/** The same for both kinds. @throws UsageError when there is neither */
export async function readResources(path: string, defaultNamespace: string): Promise<Resources> {
  const found = await filesOf(path, defaultNamespace);
  const { length } = [...found.platforms, ...found.autoscalers];
  return length > 0 ? found : fail(`${path} contains no ${KIND} and no ${AUTOSCALER_KIND} of ${API_VERSION}`);
}

async function filesOf(path: string, defaultNamespace: string): Promise<Resources> {
  const objects = await readObjects(path);
  const ofKind = (kind: string) =>
    objects.filter((object) => isResource(object, kind)).map((object) => resourceFile(object as RawResource, defaultNamespace));
  return { platforms: ofKind(KIND), autoscalers: ofKind(AUTOSCALER_KIND) };
}

/** Every document of a YAML file (`-`: standard input). @throws UsageError when the file is not valid YAML */
export async function readObjects(path: string): Promise<unknown[]> {
  const content =
    path === '-'
      ? await text(process.stdin)
      : await readFile(path, 'utf8').catch((error: Error) => fail(`cannot read ${path}: ${error.message}`));
  const documents = parseAllDocuments(content);
  const objects: unknown[] = [];
  for (const document of documents) {
    const error = document.errors[0];
    if (error) fail(`${path} is not valid YAML: ${error.message}`);
    objects.push(document.toJS());
  }
  return objects;
}

interface RawResource {
  metadata?: { name?: unknown; namespace?: unknown; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: unknown;
}

function isResource(object: unknown, kind: string): boolean {
  return (
    typeof object === 'object' &&
    object !== null &&
    'kind' in object &&
    object.kind === kind &&
    'apiVersion' in object &&
    object.apiVersion === API_VERSION
  );
}

function resourceFile({ metadata = {}, spec }: RawResource, defaultNamespace: string): ResourceFile {
  const { name, namespace, labels, annotations } = metadata;
  if (typeof name !== 'string' || name === '') fail('the resource has no metadata.name');
  return {
    name,
    namespace: typeof namespace === 'string' ? namespace : defaultNamespace,
    spec: spec ?? {},
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
  };
}

function fail(message: string): never {
  throw new UsageError(message);
}

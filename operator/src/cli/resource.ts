/** Reads BssPlatform resources from files. */
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { parseAllDocuments } from 'yaml';
import { API_VERSION, KIND } from '../api/index.ts';
import { UsageError } from './usage.ts';

/** A BssPlatform from a file. */
export interface PlatformFile {
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
export async function readPlatforms(path: string, defaultNamespace: string): Promise<PlatformFile[]> {
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
  const platforms = objects.filter((object) => isPlatform(object)).map((object) => platformFile(object, defaultNamespace));
  return platforms.length > 0 ? platforms : fail(`${path} contains no ${KIND} of ${API_VERSION}`);
}

interface RawPlatform {
  metadata?: { name?: unknown; namespace?: unknown; labels?: Record<string, string>; annotations?: Record<string, string> };
  spec?: unknown;
}

function isPlatform(object: unknown): object is RawPlatform {
  return (
    typeof object === 'object' &&
    object !== null &&
    'kind' in object &&
    object.kind === KIND &&
    'apiVersion' in object &&
    object.apiVersion === API_VERSION
  );
}

function platformFile({ metadata = {}, spec }: RawPlatform, defaultNamespace: string): PlatformFile {
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

/** The kinds that the API server serves, with their plural and scope. */
import type { Clock } from './clock.ts';
import { isNotFound, KubeError } from './errors.ts';
import type { Kind } from '../objects/object.ts';
import type { Json } from './transport.ts';

export interface ResourceInfo extends Kind {
  plural: string;
  namespaced: boolean;
  verbs: string[];
}

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean; verbs: string[] }[];
}

interface Entry {
  resources: Promise<ResourceInfo[]>;
  at: number;
}

/** A missing kind may have been installed since. Discovery is repeated for it at most this often. */
const REDISCOVER_MS = 5_000;

/** Discovery of one API version at a time, cached for the life of the process. */
export class Discovery {
  readonly #fetch: (path: string) => Promise<Json>;
  readonly #clock: Clock;
  readonly #versions = new Map<string, Entry>();

  /** @param fetch GETs a path; throws KubeError when the server rejects it */
  constructor(fetch: (path: string) => Promise<Json>, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /** @throws KubeError with reason NotFound when the cluster does not serve the kind */
  async resolve({ apiVersion, kind }: Kind): Promise<ResourceInfo> {
    const find = async (): Promise<ResourceInfo | undefined> =>
      (await this.#version(apiVersion)).find((resource) => resource.kind === kind);
    const known = await find();
    if (known) return known;
    const entry = this.#versions.get(apiVersion);
    if (entry && this.#clock.monotonic() - entry.at >= REDISCOVER_MS) this.#versions.delete(apiVersion);
    const found = await find();
    if (found) return found;
    throw new KubeError(`the cluster has no kind ${kind} in ${apiVersion}`, { reason: 'NotFound', status: 404 });
  }

  #version(apiVersion: string): Promise<ResourceInfo[]> {
    const cached = this.#versions.get(apiVersion);
    if (cached) return cached.resources;
    const resources = this.#load(apiVersion);
    this.#versions.set(apiVersion, { resources, at: this.#clock.monotonic() });
    resources.catch(() => this.#versions.delete(apiVersion));
    return resources;
  }

  async #load(apiVersion: string): Promise<ResourceInfo[]> {
    try {
      const list: ApiResourceList = await this.#fetch(groupPath(apiVersion));
      // Names with a slash are subresources.
      const resources = (list.resources ?? []).filter(({ name }) => !name.includes('/'));
      return resources.map(({ name, kind, namespaced, verbs }) => ({ apiVersion, kind, plural: name, namespaced, verbs }));
    } catch (error) {
      if (isNotFound(error)) return [];
      throw error;
    }
  }
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** Path of a collection, or of one object when `name` is given. */
export function resourcePath(
  { apiVersion, plural, namespaced }: ResourceInfo,
  { namespace, name, subresource }: { namespace?: string | undefined; name?: string; subresource?: string | undefined },
): string {
  const parts = [groupPath(apiVersion)];
  if (namespaced && namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
  parts.push(plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join('/');
}

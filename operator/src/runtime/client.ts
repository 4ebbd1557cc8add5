/** Typed access to objects of any kind, with one error class and metrics for all requests. */
import { text } from 'node:stream/consumers';
import type { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { Discovery, resourcePath } from './discovery.ts';
import type { ResourceInfo } from './discovery.ts';
import { isExpired, isNotFound, KubeError, refusal, unanswered } from './errors.ts';
import type { Counter, Histogram, Metrics } from './metrics.ts';
import { referenceOf } from '../objects/object.ts';
import type { Kind, KubernetesObject, ObjectReference } from '../objects/object.ts';
import { parse, Transport } from './transport.ts';
import type { Answer, Call, Fence, Json, Method } from './transport.ts';
import { watchEvents } from './watch.ts';
import type { WatchEvent } from './watch.ts';

export interface CallOptions {
  signal?: AbortSignal;
  /** Limit for the whole request; default 30 s. */
  timeoutMs?: number;
}

export interface WriteOptions extends CallOptions {
  /** Server-side dry run: validation, defaults and admission, but no write. */
  dryRun?: boolean;
  fieldManager?: string;
}

export interface SubresourceOptions {
  /** `status`, `scale`, ... */
  subresource?: string;
}

export interface Selection {
  /** Unset: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Request only the metadata (PartialObjectMetadata): the server does not send the rest. */
  metadataOnly?: boolean | undefined;
}

export interface ListOptions extends CallOptions, Selection {
  /** Objects per request; 0 asks for all at once. Default 500. */
  pageSize?: number;
}

export interface WatchOptions extends Selection {
  resourceVersion: string;
  /** After this many seconds the server ends the watch normally. */
  timeoutSeconds: number;
  signal: AbortSignal;
}

export interface DeleteOptions extends WriteOptions {
  propagation?: 'Background' | 'Foreground' | 'Orphan';
  gracePeriodSeconds?: number;
  preconditions?: { uid?: string; resourceVersion?: string };
}

export interface ObjectList<T> {
  resourceVersion: string;
  items: T[];
}

export interface KubeClientOptions {
  config: KubeConfig;
  metrics: Metrics;
  clock?: Clock;
  /** Default limit for one request, in milliseconds. */
  timeoutMs?: number;
  userAgent?: string;
}

/** What a client and its fenced sibling share. */
interface Shared {
  transport: Transport;
  discovery: Discovery;
  clock: Clock;
  timeoutMs: number;
  requests: Counter<'verb' | 'kind' | 'code'>;
  durations: Histogram<'verb'>;
}

type Verb = 'get' | 'list' | 'watch' | 'create' | 'replace' | 'patch' | 'apply' | 'delete' | 'discover' | 'raw';

interface Request extends Pick<Call, 'method' | 'path' | 'query' | 'accept' | 'body'>, CallOptions {
  verb: Verb;
  kind: string;
  attempt: string;
  dryRun?: boolean | undefined;
}

const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

const JSON_TYPE = 'application/json';
const APPLY_TYPE = 'application/apply-patch+yaml';

/** A client of one API server. Methods throw KubeError; messages say what was attempted on what. */
export class KubeClient {
  readonly #shared: Shared;
  readonly #fence: Fence | undefined;
  /** Of the current context, or of the pod. */
  readonly namespace: string | undefined;

  constructor(options: KubeClientOptions | { sibling: KubeClient; fence: Fence }) {
    this.#shared = 'sibling' in options ? options.sibling.#shared : share(options, (path) => this.#discover(path));
    this.#fence = 'sibling' in options ? options.fence : undefined;
    this.namespace = 'sibling' in options ? options.sibling.namespace : namespaceOf(options.config);
  }

  /** The same client with a fence in front of its writes; reads and dry runs are not fenced. */
  fenced(fence: Fence): KubeClient {
    return new KubeClient({ sibling: this, fence });
  }

  /** How the cluster serves a kind. @throws KubeError with reason NotFound when it does not */
  discover(kind: Kind): Promise<ResourceInfo> {
    return this.#shared.discovery.resolve(kind);
  }

  /** False when the cluster does not serve the kind. */
  async serves(kind: Kind): Promise<boolean> {
    return (await absentAsUndefined(this.discover(kind))) !== undefined;
  }

  async get<T extends KubernetesObject = KubernetesObject>(reference: ObjectReference, options: CallOptions = {}): Promise<T> {
    return this.#object<T>({ ...options, verb: 'get', method: 'GET', ...(await this.#target('get', { ...reference, ...options })) });
  }

  /** Undefined when there is no such object; a kind that the cluster does not serve has no objects. */
  find<T extends KubernetesObject = KubernetesObject>(reference: ObjectReference, options: CallOptions = {}): Promise<T | undefined> {
    return absentAsUndefined(this.get<T>(reference, options));
  }

  /**
   * Reads all objects of a kind page by page from one snapshot.
   * @param keep strips each object; applied per page, so that memory never holds all complete objects
   */
  async list<T extends KubernetesObject = KubernetesObject>(
    kind: Kind,
    { pageSize = 500, ...options }: ListOptions = {},
    keep: (object: T) => T = (object) => object,
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    let token: string | undefined;
    let resourceVersion: string;
    do {
      let page: ListPage<T>;
      try {
        page = await this.#page<T>(kind, options, pageSize, token);
      } catch (error) {
        // The snapshot was compacted between two pages: read everything in one request.
        if (token !== undefined && isExpired(error)) return this.list(kind, { ...options, pageSize: 0 }, keep);
        throw error;
      }
      for (const item of page.items) items.push(keep({ ...item, ...kind }));
      token = page.metadata.continue || undefined;
      resourceVersion = page.metadata.resourceVersion;
    } while (token !== undefined);
    return { resourceVersion, items };
  }

  /**
   * Changes after `resourceVersion`, bookmarks included, until the server ends the watch.
   * @throws KubeError: Expired when the server no longer has the version, ConnectionFailed when the stream broke, Aborted
   */
  async *watch<T extends KubernetesObject = KubernetesObject>(kind: Kind, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const { signal, resourceVersion, timeoutSeconds } = options;
    const attempt = `watch ${kind.kind}`;
    const path = resourcePath(await this.#located(kind, options.signal), options);
    const query = { ...selectors(options), watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds };
    const { timeoutMs, transport } = this.#shared;
    const accept = acceptOf(options, 'PartialObjectMetadata');
    const started = transport.stream({ method: 'GET', path, query, accept, attempt, timeoutMs, signal });
    const answer = await this.#counted('watch', kind.kind, started);
    if (answer.status !== 200) throw refused(attempt, { ...answer, body: parse(await text(answer.body)) });
    yield* watchEvents<T>(answer.body, attempt, signal);
  }

  async create<T extends KubernetesObject>(object: T, options: WriteOptions = {}): Promise<T> {
    const { name, ...place } = referenceOf(object);
    const target = await this.#target('create', { ...place, ...options }, name);
    return this.#object<T>({ ...options, verb: 'create', method: 'POST', ...target, query: writeQuery(options), body: json(object) });
  }

  /** Replaces the object. @throws KubeError Conflict when `metadata.resourceVersion` is set and is not the newest */
  async replace<T extends KubernetesObject>(object: T, options: WriteOptions & SubresourceOptions = {}): Promise<T> {
    const target = await this.#target('replace', { ...referenceOf(object), ...options });
    return this.#object<T>({ ...options, verb: 'replace', method: 'PUT', ...target, query: writeQuery(options), body: json(object) });
  }

  async patch<T extends KubernetesObject = KubernetesObject>(
    reference: ObjectReference,
    patch: unknown,
    { type = 'merge', ...options }: WriteOptions & SubresourceOptions & { type?: keyof typeof PATCH_TYPES } = {},
  ): Promise<T> {
    const target = await this.#target('patch', { ...reference, ...options });
    const body = { body: patch, contentType: PATCH_TYPES[type] };
    return this.#object<T>({ ...options, verb: 'patch', method: 'PATCH', ...target, query: writeQuery(options), body });
  }

  /**
   * Server-side apply. A field that the schema does not know is an error; the server does not drop it silently.
   * @throws KubeError with reason Conflict, its causes naming fields and managers, when others own fields and `force` is not set
   */
  async apply<T extends KubernetesObject = KubernetesObject>(
    object: KubernetesObject,
    { force = false, ...options }: WriteOptions & SubresourceOptions & { fieldManager: string; force?: boolean },
  ): Promise<T> {
    const target = await this.#target('apply', { ...referenceOf(object), ...options });
    const query = { ...writeQuery(options), force, fieldValidation: 'Strict' };
    const body = { body: object, contentType: APPLY_TYPE };
    return this.#object<T>({ ...options, verb: 'apply', method: 'PATCH', ...target, query, body });
  }

  /** False when the object did not exist. True means accepted: finalizers may delay the deletion. */
  async delete(reference: ObjectReference, options: DeleteOptions = {}): Promise<boolean> {
    const { propagation = 'Background', gracePeriodSeconds, preconditions } = options;
    // With a body the server ignores options in the query: a dry run requested only there would delete.
    const dryRun = options.dryRun === true ? ['All'] : undefined;
    const wishes = { propagationPolicy: propagation, gracePeriodSeconds, preconditions, dryRun };
    const body = json({ kind: 'DeleteOptions', apiVersion: 'v1', ...wishes });
    const deleted = async (): Promise<KubernetesObject> => {
      const target = await this.#target('delete', { ...reference, ...options });
      return this.#object({ ...options, verb: 'delete', method: 'DELETE', ...target, body });
    };
    return (await absentAsUndefined(deleted())) !== undefined;
  }

  /** Sets the number of replicas through the scale subresource. */
  async scale(reference: ObjectReference, replicas: number, options: WriteOptions = {}): Promise<void> {
    await this.patch(reference, { spec: { replicas } }, { ...options, subresource: 'scale' });
  }

  /**
   * Requests any path of the API server. Resolves for every HTTP status; rejects only when no response arrives or the fence refuses.
   * A bound function, for callers that do not depend on this class.
   */
  readonly raw = async (
    method: Method,
    path: string,
    body?: Call['body'],
    options: CallOptions = {},
  ): Promise<{ status: number; body: unknown }> => {
    const attempt = `${method} ${path}`;
    const answer = await this.#answer({ ...options, verb: 'raw', kind: '', attempt, method, path, body });
    return { status: answer.status, body: answer.body };
  };

  /** Closes idle connections. */
  close(): Promise<void> {
    return this.#shared.transport.close();
  }

  /** All waiters share one discovery request: it continues when one of them aborts. */
  #located(kind: Kind, signal: AbortSignal | undefined): Promise<ResourceInfo> {
    return signal ? abortable(this.discover(kind), signal, `discover ${kind.kind}`) : this.discover(kind);
  }

  async #discover(path: string): Promise<Json> {
    return this.#body({ verb: 'discover', kind: '', attempt: `discover ${path}`, method: 'GET', path });
  }

  async #page<T>(kind: Kind, options: ListOptions, limit: number, token: string | undefined): Promise<ListPage<T>> {
    const path = resourcePath(await this.#located(kind, options.signal), options);
    const query = { ...selectors(options), limit, continue: token };
    const accept = acceptOf(options, 'PartialObjectMetadataList');
    return this.#body({ ...options, verb: 'list', kind: kind.kind, attempt: `list ${kind.kind}`, method: 'GET', path, query, accept });
  }

  /** Path of an object (or, without name, of its collection), and how messages call it. */
  async #target(
    verb: Verb,
    place: Omit<ObjectReference, 'name'> & { name?: string } & SubresourceOptions & CallOptions,
    named = place.name,
  ): Promise<{ path: string; kind: string; attempt: string }> {
    const where = place.namespace === undefined ? '' : `${place.namespace}/`;
    const attempt = `${verb} ${place.kind} ${where}${named ?? ''}`;
    return { path: resourcePath(await this.#located(place, place.signal), place), kind: place.kind, attempt };
  }

  async #object<T extends KubernetesObject>(request: Request): Promise<T> {
    return this.#body(request);
  }

  async #body(request: Request): Promise<Json> {
    const answer = await this.#answer(request);
    if (answer.status < 200 || answer.status > 299) throw refused(request.attempt, answer);
    return answer.body;
  }

  async #answer({ verb, kind, dryRun, timeoutMs = this.#shared.timeoutMs, ...call }: Request): Promise<Answer> {
    const writes = call.method !== 'GET' && dryRun !== true;
    const sent = this.#shared.transport.call({ ...call, timeoutMs, fence: writes ? this.#fence : undefined });
    return this.#counted(dryRun === true ? `dry-run-${verb}` : verb, kind, sent);
  }

  async #counted<A extends { status: number }>(verb: string, kind: string, sent: Promise<A>): Promise<A> {
    const { requests, durations, clock } = this.#shared;
    const start = clock.monotonic();
    try {
      const answer = await sent;
      requests.inc({ verb, kind, code: String(answer.status) });
      return answer;
    } catch (error) {
      requests.inc({ verb, kind, code: error instanceof KubeError ? error.reason : 'Refused' });
      throw error;
    } finally {
      durations.observe({ verb }, (clock.monotonic() - start) / 1000);
    }
  }
}

interface ListPage<T> {
  metadata: { resourceVersion: string; continue?: string };
  items: T[];
}

function share(options: KubeClientOptions, discover: (path: string) => Promise<Json>): Shared {
  const { config, metrics, clock = systemClock, timeoutMs = 30_000, userAgent = 'bss-operator' } = options;
  return {
    transport: new Transport(config, clock, userAgent),
    discovery: new Discovery(discover, clock),
    clock,
    timeoutMs,
    requests: metrics.counter('bss_operator_api_requests_total', 'Requests to the API server.', ['verb', 'kind', 'code']),
    durations: metrics.histogram('bss_operator_api_request_duration_seconds', 'Time until the API server responded.', ['verb']),
  };
}

function namespaceOf(config: KubeConfig): string | undefined {
  return config.getContextObject(config.getCurrentContext())?.namespace;
}

function selectors({ labelSelector, fieldSelector }: Selection): Record<string, string | undefined> {
  return { labelSelector, fieldSelector };
}

/** How metadata alone is asked for: as another representation of the same objects. */
function acceptOf({ metadataOnly }: Selection, kind: string): string | undefined {
  return metadataOnly === true ? `application/json;as=${kind};g=meta.k8s.io;v=v1` : undefined;
}

function writeQuery({ dryRun, fieldManager }: WriteOptions): Record<string, string | undefined> {
  return { fieldManager, dryRun: dryRun === true ? 'All' : undefined };
}

function json(body: unknown): { body: unknown; contentType: string } {
  return { body, contentType: JSON_TYPE };
}

function refused(attempt: string, { status, headers, body }: Answer): KubeError {
  return refusal(attempt, status, body, headers['retry-after']?.toString());
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal, attempt: string): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(unanswered(attempt, 'Aborted', signal.reason));
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener('abort', abort));
}

async function absentAsUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Handlers for routes of the contract: what they get, what they answer, and the standard ones of a family. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { etagOf, versionOf } from '../shared/contracts/crm/common.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import type { ResourceContract, resourceRoutes } from '../shared/contracts/crm/resource.ts';
import type { Input, Route } from '../shared/contracts/crm/route.ts';
import { clientName, CLIENT_HEADER, REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { nameIds, single } from '../shared/kernel/http-telemetry.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { sampledTraceparent, traceHeaders } from '../shared/kernel/telemetry.ts';
import type { Entity, Family, Fields, Value } from './family.ts';
import type { ListQuery, Reads } from './reads.ts';
import type { Keyed, Origin, Outcome, Records, Writing } from './records.ts';

export interface Answer {
  /** Default: 200. */
  status?: number;
  body?: unknown;
  /** Sent as ETag. */
  version?: number;
  headers?: Readonly<Record<string, string>>;
}

/** A route with its handler. */
export interface Bound {
  route: Route;
  handle: (input: Parsed, origin: Origin) => Promise<Answer>;
}

/** The parts of a request, parsed by the schemas of its route. */
interface Parsed {
  params: unknown;
  query: unknown;
  headers: unknown;
  body: unknown;
}

/** Binds a handler to a route; the route's schemas give the type of its input. */
export function bind<R extends Route>(route: R, handle: (input: Input<R>, origin: Origin) => Promise<Answer>): Bound {
  // The server has parsed the input with the schemas of this very route.
  return { route, handle: (input, origin) => handle(input as Input<R>, origin) };
}

/** Told of each answer. @param api the first part of the path after /api/v1/ */
type Answered = (api: string, method: string, status: number, seconds: number) => void;

/** Registers routes. @throws Error when two have the same method and address */
export function registerRoutes(app: HttpApp, bound: readonly Bound[], answered: Answered = () => undefined): void {
  app.addHook('onResponse', async (request, reply) => {
    const api = /^\/api\/v1\/(\w+)/.exec(request.routeOptions.url ?? '')?.[1];
    if (api !== undefined) answered(api, request.method, reply.statusCode, reply.elapsedTime / 1000);
  });
  for (const { route, handle } of bound) {
    const { name, method, url, scopes, ids = {}, creates, summary, schema } = route;
    app.route({
      method,
      url,
      config: { scopes, ids },
      schema: { ...schema, summary, operationId: name },
      handler: async (request, reply) => {
        const { params, query, headers, body } = request;
        const answer = await handle({ params, query, headers, body }, originOf(request));
        if (answer.status === 201 && creates !== undefined) nameIds(request, { [creates]: (answer.body as Entity).id });
        return send(request, reply, answer);
      },
    });
  }
}

const CLIENT = /^[ -~]{1,200}$/;

/** The client of the gateway, or the caller itself. */
function originOf(request: FastifyRequest): Origin {
  const named = single(request.raw.headers[CLIENT_HEADER]);
  const client = named !== undefined && CLIENT.test(named) ? named : clientName(clientOf(request));
  return { client, traceparent: sampledTraceparent(), traceId: traceHeaders()['traceparent']?.split('-')[1] };
}

function send(request: FastifyRequest, reply: FastifyReply, { status = 200, body, version, headers = {} }: Answer): FastifyReply {
  void reply.headers(headers);
  if (version !== undefined) {
    void reply.header('etag', etagOf(version));
    const known = single(request.headers['if-none-match']);
    if (request.method === 'GET' && known !== undefined && matches(known, etagOf(version))) return reply.status(304).send();
  }
  return reply.status(status).send(body);
}

/** Weak comparison (RFC 9110, section 13.1.2). */
function matches(ifNoneMatch: string, etag: string): boolean {
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etag);
}

/** @throws Problem `precondition_required` */
export function requiredVersion(headers: { 'if-match'?: string | undefined }): number {
  const tag = headers['if-match'];
  if (tag === undefined)
    throw new Problem(PROBLEMS.precondition_required, 'Send If-Match with the ETag of the version that you have read.');
  return versionOf(tag);
}

/** Locks a resource for a change that is based on a version. @throws Problem `resource_not_found`, `precondition_failed` */
export async function lockVersion(writing: Writing, family: Family, id: string, version: number): Promise<Entity> {
  const current = await writing.lock(family, id);
  if (current.version === version) return current;
  const headers = { etag: etagOf(current.version) };
  throw new Problem(PROBLEMS.precondition_failed, `The ${family.noun} has version ${current.version}. Read it again.`, { headers });
}

/** The answer with a resource. */
export function answerWith(entity: Entity, status = 200): Answer {
  return { status, body: entity, version: entity.version };
}

/** The answer to a create. @param url address of the collection */
export function created({ entity, replayed }: Outcome, url: string): Answer {
  const headers = { location: `${url}/${entity.id}`, ...(replayed ? { [REPLAYED_HEADER]: 'true' } : {}) };
  return { ...answerWith(entity, 201), headers };
}

/** The key of a request and what a repeated one must have in common with it. */
export function keyed(
  { name }: Route,
  { params, headers, body }: { params?: unknown; headers: { 'idempotency-key': string }; body?: unknown },
): Keyed {
  return { key: headers['idempotency-key'], content: { name, params: params ?? null, body: body ?? null } };
}

/** The personal fields that a request has, as the resource has them. */
export function personalOf({ personal = [] }: Family, body: Fields): Readonly<Record<string, Value>> {
  return Object.fromEntries(personal.map((field) => [field, body[field] ?? null]));
}

/** A resource with the selected fields; all by default. */
export function select(entity: Entity, fields: string | undefined): Fields {
  if (fields === undefined) return entity;
  const wanted = new Set(['id', ...fields.split(',')]);
  return Object.fromEntries(Object.entries(entity).filter(([name]) => wanted.has(name)));
}

/** @throws Problem `resource_not_found` */
export async function existing(reads: Reads, { name, noun }: Family, id: string): Promise<Entity> {
  const found = await reads.get(name, id);
  if (!found) throw new Problem(PROBLEMS.resource_not_found, `There is no ${noun} ${id}.`);
  return found;
}

export interface Parts {
  reads: Reads;
  records: Records;
  /** For reads that are no resources of the API. */
  database: Pick<Postgres, 'query' | 'transaction'>;
}

/** A list's query as the route has checked it: whatever is no part of a page is a filter. */
function listQueryOf(query: Record<string, unknown>): { page: ListQuery; fields: string | undefined } {
  const { limit, after, sort, fields, ...rest } = query as { limit: number; after?: string; sort: string; fields?: string };
  const filters = Object.entries(rest).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { page: { limit, after, sort, filters: Object.fromEntries(filters) }, fields };
}

/** The handlers of the routes that every family has. */
export function resourceHandlers(
  family: Family,
  routes: ReturnType<typeof resourceRoutes>,
  { family: name }: Pick<ResourceContract, 'family'>,
  { reads, records }: Parts,
): Bound[] {
  return [
    bind(routes.list, async ({ query }) => {
      const { page, fields } = listQueryOf(query);
      const { items, next } = await reads.list(name, page);
      return { body: { items: items.map((item) => select(item, fields)), next } };
    }),
    bind(routes.get, async ({ params: { id }, query }) => {
      const entity = await existing(reads, family, id);
      return { body: select(entity, query['fields']), version: entity.version };
    }),
    bind(routes.create, async (input, origin) => {
      const body = input.body as Fields;
      const outcome = await records.once(origin, keyed(routes.create, input), family, personalOf(family, body), (writing) =>
        writing.insert(family, body),
      );
      return created(outcome, routes.create.url);
    }),
    bind(routes.change, async ({ params: { id }, headers, body }, origin) => {
      const version = requiredVersion(headers);
      const entity = await records.write(origin, async (writing) => {
        const current = await lockVersion(writing, family, id, version);
        return writing.update(family, current, body as Fields);
      });
      return answerWith(entity);
    }),
    bind(routes.remove, async ({ params: { id }, headers }, origin) => {
      const version = requiredVersion(headers);
      await records.write(origin, async (writing) => writing.remove(family, await lockVersion(writing, family, id, version)));
      return { status: 204 };
    }),
  ];
}

/** A route of the CRM APIs, from which the service registers its handler and the gateway its forwarding. */
import type { z } from 'zod';
import type { Scope } from '../../kernel/auth/client.ts';

export interface RouteSchema {
  params?: z.ZodType;
  querystring?: z.ZodType;
  headers?: z.ZodType;
  body?: z.ZodType;
  /** By status, as `answers` of the kernel makes it. */
  response: object;
}

export interface Route {
  /** Unique: the operationId of OpenAPI. */
  name: string;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** As fastify writes it: `/api/v1/customers/:id`. */
  url: string;
  /** A client needs all of them. */
  scopes: readonly Scope[];
  /** Path parameters with their names in logs and on spans. */
  ids?: Readonly<Record<string, string>>;
  /** The name in logs and on spans of the id that the route creates. */
  creates?: string;
  summary: string;
  schema: RouteSchema;
  /** A repeated request has no second effect: a read, a write with Idempotency-Key or If-Match, or one that the state machine refuses the second time. */
  idempotent: boolean;
  /** Content type of the success, where it is not JSON. */
  contentType?: string;
}

/** Keeps the exact types of the schemas, from which a handler's input follows. */
export function route<const R extends Route>(definition: R): R {
  return definition;
}

type Output<S, K extends string> = S extends { [P in K]: infer T extends z.ZodType } ? z.output<T> : undefined;

/** What a handler of a route gets: the parsed parts of the request. */
export interface Input<R extends Route> {
  params: Output<R['schema'], 'params'>;
  query: Output<R['schema'], 'querystring'>;
  headers: Output<R['schema'], 'headers'>;
  body: Output<R['schema'], 'body'>;
}

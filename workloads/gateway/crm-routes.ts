import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Route } from '../shared/contracts/crm/route.ts';
import { ROUTES } from '../shared/contracts/crm/routes.ts';
import { clientName, CLIENT_HEADER, REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { routeOf } from '../shared/kernel/http-telemetry.ts';
import { problemsOf, withProblems, type HttpApp } from '../shared/kernel/http.ts';
import { PROBLEMS as KERNEL } from '../shared/kernel/problems.ts';
import type { ForwardedAnswer, ServiceClient } from '../shared/kernel/service-client.ts';

/** A payment waits for the orchestrator with retries, within the deadline of the request. */
const ATTEMPT_MS = 4_500;

/** Headers of a request that crm reads. */
const SENT = ['if-match', 'if-none-match', 'idempotency-key'] as const;
/** Headers of an answer that clients get. */
const RETURNED = [
  'etag',
  'location',
  REPLAYED_HEADER,
  'cache-control',
  'vary',
  'content-type',
  'content-disposition',
  'content-language',
  'content-security-policy',
  'x-content-type-options',
] as const;

const ofKernel = new Set(Object.keys(KERNEL));

/** How the gateway calls crm, apart from address and key. What crm says about payments and the services behind them is not its failure. */
export const CRM_CLIENT = {
  name: 'crm',
  unavailable: UNAVAILABLE.crm_unavailable,
  passed: ROUTES.flatMap(({ schema }) => problemsOf(schema.response)).filter(({ status, code }) => status >= 500 && !ofKernel.has(code)),
  keptHeaders: ['etag', REPLAYED_HEADER],
};

/** Adds the routes of customers, catalogue, orders, invoices and payments, which the gateway forwards to crm. */
export function crmRoutes(app: HttpApp, crm: ServiceClient): void {
  for (const route of ROUTES) {
    const { name, method, url, scopes, ids = {}, summary, schema } = route;
    app.route({
      method,
      url,
      config: { scopes, ids },
      schema: { ...schema, response: withProblems(schema.response, UNAVAILABLE.crm_unavailable), summary, operationId: name },
      handler: async (request, reply) => answer(reply, await forward(crm, route, request)),
    });
  }
}

function forward(crm: ServiceClient, { method, idempotent }: Route, request: FastifyRequest): Promise<ForwardedAnswer> {
  const given = SENT.flatMap((name) => {
    const text = request.raw.headers[name];
    return typeof text === 'string' ? [[name, text]] : [];
  });
  return crm.forward({
    method,
    target: { path: request.url, template: routeOf(request) },
    headers: { ...Object.fromEntries(given), [CLIENT_HEADER]: clientName(clientOf(request)) },
    ...(request.body === undefined || request.body === null ? {} : { body: request.body }),
    idempotent,
    attemptMs: ATTEMPT_MS,
  });
}

/** crm has checked its answer: it is neither parsed nor checked again. */
function answer(reply: FastifyReply, { status, headers, body }: ForwardedAnswer): FastifyReply {
  for (const name of RETURNED) {
    const text = headers.get(name);
    if (text !== null) void reply.header(name, text);
  }
  void reply.status(status);
  return status === 204 || status === 304 ? reply.send() : reply.send(body);
}

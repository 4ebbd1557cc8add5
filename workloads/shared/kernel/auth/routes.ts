import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Metrics } from '../metrics.ts';
import { Problem, PROBLEMS } from '../problems.ts';
import type { Authentication } from './authentication.ts';
import { CredentialError, IssuerUnavailableError, missingScopes, type Client, type Scope } from './client.ts';
import { HOW_TO_AUTHENTICATE } from './presented.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** All of them are required of the client. */
    scopes?: readonly Scope[];
    /** Why the route needs no credential. */
    public?: string;
  }
}

/** Security schemes of the OpenAPI document. */
export const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'An API key, or a JWT of an accepted issuer' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key' },
} as const;

const RETRY_AFTER_SECONDS = 5;

const clients = new WeakMap<FastifyRequest, Client>();

/** The verified client of a request; undefined on public routes and for requests without a credential. */
export function clientOf(request: FastifyRequest): Client | undefined {
  return clients.get(request);
}

/** A route as an operator of the service would list it. */
export interface DeclaredRoute {
  method: string;
  url: string;
  /** Required scopes, or why there are none. */
  access: readonly Scope[] | string;
}

/**
 * What a route declares.
 * @throws Error when it declares neither scopes nor why it is public: such a route is not registered, and the service does not start
 */
export function declaredAccess({ method, url, config }: Pick<RouteOptions, 'method' | 'url' | 'config'>): DeclaredRoute {
  const { scopes = [], public: reason } = config ?? {};
  const name = String(method);
  const isPublic = reason !== undefined;
  if (isPublic === scopes.length > 0) {
    throw new Error(`${name} ${url}: declare either config.scopes, or in config.public why it needs no credential`);
  }
  return { method: name, url, access: reason ?? scopes };
}

/** The security requirement of a route in OpenAPI. */
export function securityOf(scopes: readonly Scope[]): Record<string, string[]>[] {
  return Object.keys(SECURITY_SCHEMES).map((scheme) => ({ [scheme]: [...scopes] }));
}

/** Counts a failed authentication; resolves to true when the client's address has had too many. */
type CountFailure = (request: FastifyRequest) => Promise<boolean>;

const RESULTS = ['accepted', 'anonymous', 'missing', 'rejected', 'limited', 'forbidden', 'unavailable'] as const;
type Result = (typeof RESULTS)[number];

/**
 * A hook that lets a request through when its client has the scopes of the route. Only failures are limited by address: clients behind one
 * proxy or NAT share an address, and one of them with a wrong key must not stop the others.
 */
export function authenticateRequests(authentication: Authentication, metrics: Metrics, countFailure: CountFailure) {
  const total = metrics.counter(
    'http_authentications_total',
    'Requests of routes with scopes, by result of the authentication',
    ['result'],
    RESULTS.map((result) => ({ result })),
  );
  const refuse = (result: Result, problem: Problem): never => {
    total.inc({ result });
    throw problem;
  };
  return async (request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    const { scopes } = request.routeOptions.config;
    if (!scopes) return;
    const client = await identify(request);
    const granted = client ? client.scopes : authentication.anonymousScopes;
    const missing = missingScopes(granted, scopes);
    if (missing.length > 0) return client ? refuse('forbidden', forbidden(missing)) : fail(request, 'missing', HOW_TO_AUTHENTICATE);
    if (client) clients.set(request, client);
    total.inc({ result: client ? 'accepted' : 'anonymous' });
  };

  async function identify(request: FastifyRequest): Promise<Client | undefined> {
    try {
      return await authentication.identify(request.headers);
    } catch (error) {
      if (error instanceof CredentialError) return fail(request, 'rejected', error.message);
      if (error instanceof IssuerUnavailableError) return refuse('unavailable', unavailable(error));
      throw error;
    }
  }

  async function fail(request: FastifyRequest, result: 'missing' | 'rejected', detail: string): Promise<never> {
    if (await countFailure(request)) return refuse('limited', new Problem(PROBLEMS.rate_limited, TOO_MANY, { retryAfterSeconds: 60 }));
    return refuse(result, unauthorized(result, detail));
  }
}

const TOO_MANY = 'Too many requests of this address had no valid credential.';
const REALM = 'Bearer realm="bss-platform"';

/** RFC 6750: a request without a credential gets no error code. */
function unauthorized(result: 'missing' | 'rejected', detail: string): Problem {
  return new Problem(PROBLEMS.unauthorized, detail, { challenge: result === 'missing' ? REALM : `${REALM}, error="invalid_token"` });
}

function forbidden(missing: readonly Scope[]): Problem {
  const list = missing.join(' ');
  return new Problem(PROBLEMS.forbidden, `The credential lacks the scope ${list}.`, {
    challenge: `${REALM}, error="insufficient_scope", scope="${list}"`,
  });
}

function unavailable(cause: Error): Problem {
  return new Problem(PROBLEMS.issuer_unavailable, 'Retry in a moment, or use an API key.', {
    cause,
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

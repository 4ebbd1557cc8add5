import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import underPressure from '@fastify/under-pressure';
import { fastify, LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, RawServerDefault, RouteOptions } from 'fastify';
import { hasZodFastifySchemaValidationErrors, jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { Authentication } from './auth/authentication.ts';
import { authenticateRequests, clientOf, declaredAccess, SECURITY_SCHEMES, securityOf, type DeclaredRoute } from './auth/routes.ts';
import { withDeadline } from './deadline.ts';
import { RequestTelemetry, single } from './http-telemetry.ts';
import type { Logger } from './log.ts';
import { refuseUnknown } from './methods.ts';
import type { Metrics } from './metrics.ts';
import { isTransient } from './postgres.ts';
import { Problem, PROBLEMS, problemSchema } from './problems.ts';
import type { ProblemDefinition } from './problems.ts';

/** During the drain, clients with kept connections have this long to receive an answer that closes the connection. */
const CLOSE_NOTICE_MS = 1_000;
/** Deadline of a request unless its route sets another one (`handlerTimeout`). */
const DEADLINE_MS = 5_000;
const BODY_LIMIT_BYTES = 65_536;
/** Beyond it no request can be answered within its deadline. */
const MAX_EVENT_LOOP_DELAY_MS = DEADLINE_MS;
const RETRY_AFTER_SECONDS = 1;
const MINUTE_MS = 60_000;
const DOCS = '/docs';

/** Milliseconds that the caller still waits for the answer. It can shorten a request's deadline, not extend it. */
export const TIMEOUT_HEADER = 'x-request-timeout-ms';

/** A fastify instance whose schemas are zod types. */
export type HttpApp = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface HttpOptions {
  /** Most requests in progress; further ones are answered with 503. */
  maxInFlight: number;
  /** Most requests of one client in a second; unlimited by default. A client without a credential is its address. */
  requestsPerSecond?: number;
  /** Accepted credentials; none by default. Routes declare the scopes that they require, or why they are public. */
  authentication?: Authentication;
  /** Most failed authentications of one address in a minute. */
  authFailuresPerMinute?: number;
  /** Networks in CIDR notation whose `X-Forwarded-For` names the client; none by default. */
  trustedProxies?: readonly string[];
}

const contexts = new WeakMap<FastifyRequest, (work: () => void) => void>();

/**
 * The HTTP server of a service: fastify with zod schemas, OpenAPI at `/openapi.json` and as a page at `/docs`, authentication, tracing,
 * metrics, problem+json errors, deadlines, and limits on requests in progress and on clients.
 */
export class HttpServer {
  /** Routes are registered here. */
  readonly app: HttpApp;
  /** Every route, with what it requires of clients. */
  readonly routes: DeclaredRoute[] = [];
  #closing = false;

  private constructor(app: HttpApp) {
    this.app = app;
  }

  static async create(title: string, service: { log: Logger; metrics: Metrics }, options: HttpOptions): Promise<HttpServer> {
    const loggerInstance: FastifyBaseLogger = service.log;
    const telemetry = new RequestTelemetry(service.metrics);
    const send = (problem: Problem, cause: unknown, request: FastifyRequest, reply: FastifyReply): void => {
      telemetry.failed(request, problem.code, cause ?? problem);
      sendProblem(problem, reply);
    };
    const app: HttpApp = fastify({
      loggerInstance,
      logController: new LogController({ disableRequestLogging: true }),
      bodyLimit: BODY_LIMIT_BYTES,
      handlerTimeout: DEADLINE_MS,
      // A request that has arrived is served.
      return503OnClosing: false,
      routerOptions: { ignoreTrailingSlash: true },
      trustProxy: options.trustedProxies && options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
      frameworkErrors: (error, request, reply) => send(toProblem(error, request), error, request, reply),
    }).withTypeProvider<ZodTypeProvider>();
    const server = new HttpServer(app);
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    app.addHook('onRequest', (_request, reply, done) => {
      if (server.#closing) void reply.header('connection', 'close');
      done();
    });
    app.addHook('onRequest', telemetry.onRequest);
    app.addHook('onResponse', telemetry.onResponse);
    app.setErrorHandler((error, request, reply) => send(toProblem(error, request), error, request, reply));
    app.setNotFoundHandler((request, reply) => send(new Problem(PROBLEMS.not_found), undefined, request, reply));
    await limitRequests(app, options);
    app.addHook('onRoute', (route) => void server.routes.push(declareRoute(route)));
    const authentication = options.authentication ?? new Authentication({});
    app.addHook('onRequest', authenticateRequests(authentication, service.metrics, failureLimit(app, options)));
    app.addHook('onRequest', refuseUnknown(server.routes));
    app.addHook('onRequest', startDeadline);
    app.addHook('onRequest', refuseNul);
    app.addHook('preValidation', restoreContext);
    await documentRoutes(app, title);
    return server;
  }

  /** Listens on all addresses; port 0 takes a free one. Resolves to the address. */
  listen(port: number): Promise<string> {
    return this.app.listen({ port, host: '0.0.0.0' });
  }

  /** Closes kept connections with their next answer, then accepts no more, waits for open requests, and closes idle connections. */
  async close(): Promise<void> {
    this.#closing = true;
    await delay(CLOSE_NOTICE_MS);
    await this.app.close();
  }
}

/** Problems that every route may answer with. */
const COMMON_PROBLEMS = [
  PROBLEMS.validation_failed,
  PROBLEMS.unauthorized,
  PROBLEMS.forbidden,
  PROBLEMS.rate_limited,
  PROBLEMS.internal,
  PROBLEMS.issuer_unavailable,
  PROBLEMS.deadline_exceeded,
  PROBLEMS.overloaded,
];

/** Problems that every route with a body may answer with as well. */
const BODY_PROBLEMS = [PROBLEMS.payload_too_large, PROBLEMS.unsupported_media_type];

/**
 * The answers of a route: one success, and the problems by status. The problems that every route may answer with are included.
 * Several problems of one status become one response whose `code` lists them.
 */
export function answers<S extends number, T extends z.ZodType>(status: S, schema: T, ...problems: ProblemDefinition[]) {
  return { ...problemAnswers([...COMMON_PROBLEMS, ...problems]), [status]: schema } as { [K in S]: T };
}

/** The problems of each answer of a route. */
const documented = new WeakMap<object, readonly ProblemDefinition[]>();

/** The problems that the answers of a route have. @param response made by {@link answers} */
export function problemsOf(response: object): ProblemDefinition[] {
  return Object.values(response).flatMap((answer: object) => documented.get(answer) ?? []);
}

/** The answers of a route, and further problems. @param response made by {@link answers} */
export function withProblems<T extends object>(response: T, ...problems: ProblemDefinition[]): T {
  return { ...response, ...problemAnswers([...problemsOf(response), ...problems]) };
}

function problemAnswers(problems: readonly ProblemDefinition[]): object {
  const byStatus = Object.entries(Object.groupBy(problems, (problem) => problem.status));
  return Object.fromEntries(byStatus.map(([status, group = []]) => [status, problemAnswer(group)]));
}

function problemAnswer(problems: readonly ProblemDefinition[]): object {
  const each = [...new Map(problems.map((problem) => [problem.code, problem])).values()];
  const answer = {
    description: each.map(({ code, title }) => `\`${code}\`: ${title}`).join('; '),
    content: { 'application/problem+json': { schema: problemSchema(each) } },
  };
  documented.set(answer, each);
  return answer;
}

/** The documentation's own routes are public; every other route says what it requires, and OpenAPI shows it. */
function declareRoute(route: RouteOptions): DeclaredRoute {
  if (route.url === DOCS || route.url.startsWith(`${DOCS}/`))
    route.config = { ...route.config, public: 'the page of the OpenAPI document' };
  const declared = declaredAccess(route);
  if (typeof declared.access !== 'string') route.schema = { ...route.schema, security: securityOf(declared.access) };
  if (route.schema?.body !== undefined)
    route.schema = { ...route.schema, response: { ...problemAnswers(BODY_PROBLEMS), ...(route.schema.response as object | undefined) } };
  return declared;
}

/** Load shedding: requests in progress, delay of the event loop, and requests of one client. */
async function limitRequests(app: HttpApp, { maxInFlight, requestsPerSecond }: HttpOptions): Promise<void> {
  const overloaded = (detail: string) => new Problem(PROBLEMS.overloaded, detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  let inFlight = 0;
  app.addHook('onRequest', (_request, reply, done) => {
    if (inFlight >= maxInFlight) return done(overloaded(`More than ${maxInFlight} requests are in progress; retry in a moment.`));
    inFlight += 1;
    reply.raw.once('close', () => (inFlight -= 1));
    done();
  });
  await app.register(underPressure, {
    maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
    // An interval in which the event loop did not turn counts as an infinite delay: a shorter one would refuse requests before the limit.
    sampleInterval: MAX_EVENT_LOOP_DELAY_MS,
    pressureHandler: () => {
      throw overloaded('The event loop is delayed; retry in a moment.');
    },
  });
  await app.register(rateLimit, {
    global: requestsPerSecond !== undefined,
    max: requestsPerSecond ?? 0,
    timeWindow: 1_000,
    // Without a credential the client is the address, and in IPv6 its network.
    keyGenerator: (request) => clientOf(request)?.id ?? normalizeIP(request.ip),
    errorResponseBuilder: () => new Problem(PROBLEMS.rate_limited, `A client may send ${requestsPerSecond} requests a second.`),
  });
}

/** Counts failed authentications by address; resolves to true above the limit. */
function failureLimit(app: HttpApp, { authFailuresPerMinute = 60 }: HttpOptions): (request: FastifyRequest) => Promise<boolean> {
  const count = app.createRateLimit({
    max: authFailuresPerMinute,
    timeWindow: MINUTE_MS,
    keyGenerator: (request: FastifyRequest) => normalizeIP(request.ip),
  });
  return async (request) => {
    const result = await count(request);
    return !result.isAllowed && result.isExceeded;
  };
}

/** Runs the request under the earlier of the route's deadline and the caller's; a request that exceeds it is answered with 503. */
function startDeadline(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const own = request.routeOptions.handlerTimeout ?? DEADLINE_MS;
  const header = single(request.headers[TIMEOUT_HEADER]);
  const callers = /^\d{1,9}$/.test(header ?? '') ? Number(header) : Infinity;
  if (callers < own) {
    // fastify's own timer covers the route's deadline.
    const timer = setTimeout(() => {
      if (!reply.sent) void reply.send(deadlineExceeded(callers));
    }, callers);
    reply.raw.once('close', () => clearTimeout(timer));
  }
  withDeadline(Math.min(own, callers), () => {
    contexts.set(request, AsyncLocalStorage.snapshot());
    done();
  });
}

/** Reading a body leaves the asynchronous context, and with it span and deadline: the handler gets it back. */
function restoreContext(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  const run = contexts.get(request);
  if (run) run(done);
  else done();
}

function deadlineExceeded(ms: number): Problem {
  return new Problem(PROBLEMS.deadline_exceeded, `There was no answer within ${ms} ms; retry in a moment.`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** No text of ours holds a NUL character, and Postgres cannot store one. */
function refuseNul(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  if (/%00/.test(request.url)) done(new Problem(PROBLEMS.validation_failed, 'The address contains a NUL character (%00).'));
  else done();
}

async function documentRoutes(app: HttpApp, title: string): Promise<void> {
  const openapi = { openapi: '3.1.0', info: { title, version: '0.1.0' }, components: { securitySchemes: SECURITY_SCHEMES } };
  await app.register(swagger, { openapi, transform: jsonSchemaTransform });
  await app.register(swaggerUi, { routePrefix: DOCS });
  app.get('/openapi.json', { config: { public: 'the OpenAPI document' }, schema: { hide: true } }, () => app.swagger());
}

const PLACES: Record<string, string> = { params: 'path', querystring: 'query', body: 'body', headers: 'header' };

function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return invalid(error);
  const { statusCode, code, message } = httpError(error);
  if (code === 'FST_ERR_HANDLER_TIMEOUT') return deadlineExceeded(request.routeOptions.handlerTimeout ?? DEADLINE_MS);
  const bodyLimit = request.routeOptions.bodyLimit ?? BODY_LIMIT_BYTES;
  if (statusCode === 413) return new Problem(PROBLEMS.payload_too_large, `A request body has at most ${bodyLimit} bytes.`);
  if (statusCode === 415) return new Problem(PROBLEMS.unsupported_media_type, 'Send application/json.');
  if (statusCode !== undefined && statusCode < 500) return new Problem(PROBLEMS.validation_failed, message);
  return isTransient(error) ? new Problem(PROBLEMS.database_unavailable, 'Retry in a moment.') : new Problem(PROBLEMS.internal);
}

function invalid(error: { validation: { instancePath: string; message?: string }[]; validationContext?: string }): Problem {
  const place = PLACES[error.validationContext ?? ''] ?? error.validationContext ?? 'request';
  const errors = error.validation.map(({ instancePath, message = 'is not valid' }) => ({
    path: [place, ...instancePath.split('/').filter((part) => part !== '')].join('.'),
    message,
  }));
  return new Problem(PROBLEMS.validation_failed, errors.map(({ path, message }) => `${path}: ${message}`).join('; '), { errors });
}

function httpError(error: unknown): { statusCode: number | undefined; code: string | undefined; message: string } {
  if (!(error instanceof Error)) return { statusCode: undefined, code: undefined, message: String(error) };
  return {
    statusCode: 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined,
    code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
    message: error.message,
  };
}

function sendProblem(problem: Problem, reply: FastifyReply): void {
  if (problem.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
  void reply.headers(problem.headers);
  if (problem.challenge !== undefined) void reply.header('www-authenticate', problem.challenge);
  void reply.status(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem.body());
}

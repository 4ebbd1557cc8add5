import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import bearerAuth from '@fastify/bearer-auth';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import underPressure from '@fastify/under-pressure';
import { SpanKind, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { fastify, LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler, RawServerDefault } from 'fastify';
import { hasZodFastifySchemaValidationErrors, jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { withDeadline } from './deadline.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { isTransient } from './postgres.ts';
import { Problem, PROBLEMS, problemSchema } from './problems.ts';
import type { ProblemDefinition } from './problems.ts';
import { contextFrom, failSpan, startSpan, withSpan } from './telemetry.ts';

/** Seconds; fine around the targets of 200 ms (p95) and 1 s (p99). */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2.5, 5, 10];

/** During the drain, clients with kept connections have this long to receive an answer that closes the connection. */
const CLOSE_NOTICE_MS = 1_000;
/** Deadline of a request unless its route sets another one (`handlerTimeout`). */
const DEADLINE_MS = 5_000;
const BODY_LIMIT_BYTES = 65_536;
/** Beyond it no request can be answered within its deadline. */
const MAX_EVENT_LOOP_DELAY_MS = DEADLINE_MS;
const RETRY_AFTER_SECONDS = 1;

/** Milliseconds that the caller still waits for the answer. It can shorten a request's deadline, not extend it. */
export const TIMEOUT_HEADER = 'x-request-timeout-ms';

/** A fastify instance whose schemas are zod types. */
export type HttpApp = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

export interface HttpOptions {
  /** Most requests in progress; further ones are answered with 503. */
  maxInFlight: number;
  /** Most requests of one client address in a second; unlimited by default. */
  requestsPerSecond?: number;
}

const spans = new WeakMap<FastifyRequest, Span>();
const contexts = new WeakMap<FastifyRequest, (work: () => void) => void>();

/**
 * The HTTP server of a service: fastify with zod schemas, OpenAPI at `/openapi.json` and as a page at `/docs`, tracing, metrics,
 * problem+json errors, deadlines, and limits on requests in progress and on clients.
 */
export class HttpServer {
  /** Routes are registered here. */
  readonly app: HttpApp;
  #closing = false;

  private constructor(app: HttpApp) {
    this.app = app;
  }

  static async create(title: string, service: { log: Logger; metrics: Metrics }, options: HttpOptions): Promise<HttpServer> {
    const loggerInstance: FastifyBaseLogger = service.log;
    const app: HttpApp = fastify({
      loggerInstance,
      logController: new LogController({ disableRequestLogging: true }),
      bodyLimit: BODY_LIMIT_BYTES,
      handlerTimeout: DEADLINE_MS,
      // A request that has arrived is served.
      return503OnClosing: false,
      routerOptions: { ignoreTrailingSlash: true },
      frameworkErrors: (error, request, reply) => sendProblem(toProblem(error, request), error, request, reply),
    }).withTypeProvider<ZodTypeProvider>();
    const server = new HttpServer(app);
    app.setValidatorCompiler(validatorCompiler);
    app.setSerializerCompiler(serializerCompiler);
    app.addHook('onRequest', (_request, reply, done) => {
      if (server.#closing) void reply.header('connection', 'close');
      done();
    });
    traceRequests(app);
    measureRequests(app, service.metrics);
    app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error, request), error, request, reply));
    app.setNotFoundHandler((request, reply) => sendProblem(new Problem(PROBLEMS.not_found), undefined, request, reply));
    await limitRequests(app, options);
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

/**
 * The answers of a route: one success, and the problems by status. The problems that every route may answer with are included.
 * Several problems of one status become one response whose `code` lists them.
 */
export function answers<S extends number, T extends z.ZodType>(status: S, schema: T, ...problems: ProblemDefinition[]) {
  const common = [PROBLEMS.validation_failed, PROBLEMS.rate_limited, PROBLEMS.internal, PROBLEMS.deadline_exceeded, PROBLEMS.overloaded];
  const byStatus = Object.entries(Object.groupBy([...common, ...problems], (problem) => problem.status));
  const errors = byStatus.map(([code, group = []]) => [
    code,
    {
      description: group.map((problem) => `\`${problem.code}\`: ${problem.title}`).join('; '),
      content: { 'application/problem+json': { schema: problemSchema(group) } },
    },
  ]);
  return { ...(Object.fromEntries(errors) as object), [status]: schema } as { [K in S]: T };
}

/** A hook that lets only requests with one of the tokens through, as `Authorization: Bearer <token>`. */
export async function bearerToken(app: HttpApp, tokens: readonly string[], detail: string): Promise<onRequestHookHandler> {
  await app.register(bearerAuth, { addHook: false, keys: [...tokens], verifyErrorLogLevel: 'debug' });
  const verify = app.verifyBearerAuth;
  if (!verify) throw new Error('@fastify/bearer-auth has no verifyBearerAuth');
  return (request, reply, done) =>
    verify(request, reply, (error) => done(error && new Problem(PROBLEMS.unauthorized, detail, { cause: error })));
}

function traceRequests(app: HttpApp): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const parent = contextFrom({
      traceparent: single(request.headers['traceparent']),
      tracestate: single(request.headers['tracestate']),
    });
    const attributes = {
      'http.request.method': request.method,
      'url.path': request.url.split('?')[0] ?? '',
      'http.route': routeOf(request),
    };
    const span = startSpan(`${request.method} ${routeOf(request)}`, { kind: SpanKind.SERVER, attributes, parent });
    spans.set(request, span);
    withSpan(parent, span, done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request);
    span?.setAttribute('http.response.status_code', reply.statusCode);
    span?.end();
    done();
  });
}

function measureRequests(app: HttpApp, metrics: Metrics): void {
  const labels = ['method', 'route', 'status'] as const;
  const total = metrics.counter('http_requests_total', 'HTTP requests answered', labels);
  const duration = metrics.histogram('http_request_duration_seconds', 'Time to answer an HTTP request', DURATION_BUCKETS, labels);
  app.addHook('onResponse', (request, reply, done) => {
    const series = { method: request.method, route: routeOf(request), status: String(reply.statusCode) };
    total.inc(series);
    duration.observe(series, reply.elapsedTime / 1000);
    done();
  });
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
    pressureHandler: () => {
      throw overloaded('The event loop is delayed; retry in a moment.');
    },
  });
  if (requestsPerSecond === undefined) return;
  await app.register(rateLimit, {
    max: requestsPerSecond,
    timeWindow: 1_000,
    errorResponseBuilder: () => new Problem(PROBLEMS.rate_limited, `A client may send ${requestsPerSecond} requests a second.`),
  });
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
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title, version: '0.1.0' } }, transform: jsonSchemaTransform });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}

function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}') ?? 'unknown';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

const PLACES: Record<string, string> = { params: 'path', querystring: 'query', body: 'body', headers: 'header' };

function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return invalid(error);
  const { statusCode, code, message } = httpError(error);
  if (code === 'FST_ERR_HANDLER_TIMEOUT') return deadlineExceeded(request.routeOptions.handlerTimeout ?? DEADLINE_MS);
  if (statusCode === 413) return new Problem(PROBLEMS.payload_too_large, `A request body has at most ${BODY_LIMIT_BYTES} bytes.`);
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

function sendProblem(problem: Problem, cause: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (problem.status >= 500) {
    const span = spans.get(request) ?? trace.getActiveSpan();
    if (span) failSpan(span, cause ?? problem);
    request.log.error({ error: cause, code: problem.code, route: routeOf(request) }, problem.message);
  }
  if (problem.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
  void reply.status(problem.status).type('application/problem+json').serializer(JSON.stringify).send(problem.body());
}

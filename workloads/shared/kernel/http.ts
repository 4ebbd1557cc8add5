import { setTimeout as pause } from 'node:timers/promises';
import { SpanKind, trace } from '@opentelemetry/api';
import type { Span } from '@opentelemetry/api';
import { fastify, LogController } from 'fastify';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { isTransient } from './postgres.ts';
import { Problem } from './problems.ts';
import type { ProblemCode } from './problems.ts';
import { contextFrom, failSpan, startSpan, withSpan } from './telemetry.ts';

/** Seconds; fine around the targets of 200 ms (p95) and 1 s (p99). */
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2.5, 5, 10];

/** Clients that keep their connections get this long to be told, with an answer, to open the next one elsewhere. */
const FAREWELL_MS = 1_000;

/** One operation of an HTTP API; it is validated, documented and measured from this description alone. */
export interface Route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  method: 'GET' | 'POST';
  /** Path with `{name}` for parameters, as in OpenAPI. */
  path: string;
  summary: string;
  params?: P;
  query?: Q;
  body?: B;
  status?: number;
  response: z.ZodType;
  problems?: ProblemCode[];
  /** Runs before the request is validated, and throws to refuse it. */
  before?(request: FastifyRequest): void;
  handle(input: { params: z.output<P>; query: z.output<Q>; body: z.output<B>; request: FastifyRequest }): Promise<unknown>;
}

const spans = new WeakMap<FastifyRequest, Span>();

/** An HTTP API: fastify with tracing, metrics, zod validation, problem+json errors and `/openapi.json`. */
export class HttpApi {
  readonly app: FastifyInstance;
  readonly #paths: Record<string, Record<string, unknown>> = {};
  #closing = false;

  constructor(title: string, service: { log: Logger; metrics: Metrics }) {
    const loggerInstance: FastifyBaseLogger = service.log;
    this.app = fastify({
      loggerInstance,
      logController: new LogController({ disableRequestLogging: true }),
      bodyLimit: 65_536,
      // A request that is here already is served.
      return503OnClosing: false,
      routerOptions: { ignoreTrailingSlash: true },
    });
    this.app.addHook('onRequest', (_request, reply, done) => {
      if (this.#closing) void reply.header('connection', 'close');
      done();
    });
    this.#trace();
    this.#measure(service.metrics);
    this.app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error), error, request, reply));
    this.app.setNotFoundHandler((request, reply) => sendProblem(new Problem('not_found'), undefined, request, reply));
    this.app.get('/openapi.json', () => ({ openapi: '3.1.0', info: { title, version: '0.1.0' }, paths: this.#paths }));
  }

  /** Adds an operation. */
  route<P extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined, B extends z.ZodType = z.ZodUndefined>(
    route: Route<P, Q, B>,
  ): void {
    (this.#paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
    this.app.route({
      method: route.method,
      url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async (request, reply) => {
        route.before?.(request);
        const input = {
          params: check(route.params, request.params, 'path'),
          query: check(route.query, request.query, 'query'),
          body: check(route.body, request.body, 'body'),
          request,
        };
        const result = await route.handle(input);
        return reply.status(route.status ?? 200).send(result);
      },
    });
  }

  /** Listens on all addresses; port 0 takes a free one. Resolves to the address. */
  listen(port: number): Promise<string> {
    return this.app.listen({ port, host: '0.0.0.0' });
  }

  /** Sends clients elsewhere with its answers, then stops accepting, waits for open requests, closes idle connections. */
  async close(): Promise<void> {
    this.#closing = true;
    await pause(FAREWELL_MS);
    await this.app.close();
  }

  #trace(): void {
    this.app.addHook('onRequest', (request, _reply, done) => {
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
    this.app.addHook('onResponse', (request, reply, done) => {
      const span = spans.get(request);
      span?.setAttribute('http.response.status_code', reply.statusCode);
      span?.end();
      done();
    });
  }

  #measure(metrics: Metrics): void {
    const labels = ['method', 'route', 'status'] as const;
    const total = metrics.counter('http_requests_total', 'HTTP requests answered', labels);
    const duration = metrics.histogram('http_request_duration_seconds', 'Time to answer an HTTP request', DURATION_BUCKETS, labels);
    this.app.addHook('onResponse', (request, reply, done) => {
      const series = { method: request.method, route: routeOf(request), status: String(reply.statusCode) };
      total.inc(series);
      duration.observe(series, reply.elapsedTime / 1000);
      done();
    });
  }
}

function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}') ?? 'unknown';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function check<T extends z.ZodType>(schema: T | undefined, value: unknown, place: string): z.output<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a route without a schema has T = ZodUndefined
  if (!schema) return undefined as z.output<T>;
  const result = schema.safeParse(value ?? {});
  if (result.success) return result.data;
  const errors = result.error.issues.map((issue) => ({ path: [place, ...issue.path].join('.'), message: issue.message }));
  throw new Problem('validation_failed', errors.map(({ path, message }) => `${path}: ${message}`).join('; '), errors);
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { statusCode, message } = httpError(error);
  if (statusCode === 413) return new Problem('payload_too_large');
  if (statusCode === 415) return new Problem('unsupported_media_type');
  if (statusCode !== undefined && statusCode < 500) return new Problem('validation_failed', message);
  return isTransient(error) ? new Problem('database_unavailable', 'Try again in a moment.') : new Problem('internal');
}

function httpError(error: unknown): { statusCode: number | undefined; message: string } {
  if (!(error instanceof Error)) return { statusCode: undefined, message: String(error) };
  return {
    statusCode: 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined,
    message: error.message,
  };
}

function sendProblem(problem: Problem, cause: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (problem.status >= 500) {
    const span = spans.get(request) ?? trace.getActiveSpan();
    if (span) failSpan(span, cause ?? problem);
    request.log.error({ error: cause, code: problem.code, route: routeOf(request) }, problem.message);
  }
  void reply.status(problem.status).type('application/problem+json').send(problem.body());
}

const json = (schema: z.ZodType, io: 'input' | 'output') => ({ 'application/json': { schema: z.toJSONSchema(schema, { io }) } });

function operation(route: Route<z.ZodType, z.ZodType, z.ZodType>): unknown {
  const problems = (route.problems ?? []).map((code) => [String(new Problem(code).status), { description: code }] as const);
  return {
    summary: route.summary,
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')],
    ...(route.body ? { requestBody: { required: true, content: json(route.body, 'input') } } : {}),
    responses: {
      [String(route.status ?? 200)]: { description: route.summary, content: json(route.response, 'output') },
      ...Object.fromEntries(problems),
    },
  };
}

function parameters(schema: z.ZodType | undefined, place: 'path' | 'query'): unknown[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(properties).map(([name, value]) => ({ name, in: place, required: required.includes(name), schema: value }));
}

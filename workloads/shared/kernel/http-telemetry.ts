/** One span, one log record and one measurement for each request of an HTTP server, by the semantic conventions of OpenTelemetry. */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Attributes, Span } from '@opentelemetry/api';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
} from '@opentelemetry/semantic-conventions';
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import type { Counter, Histogram, Metrics } from './metrics.ts';
import { LATENCY_BUCKETS } from './metrics.ts';
import { contextFrom, failSpan, startSpan, withSpan } from './telemetry.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Path parameters that identify an object, with their names in logs and, after `bss.`, on spans: `{ id: 'account_id' }`. */
    ids?: Readonly<Record<string, string>>;
  }
}

/** Methods by name in metrics and spans; any other one is `_OTHER`, so that a client cannot make up series. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);
const OTHER_METHOD = '_OTHER';
/** Route of requests that no route serves. */
const NO_ROUTE = 'unknown';
/** Status in metrics and logs of a request whose client left before the answer; no client ever sees it. */
export const CLIENT_CLOSED = 499;
/** An id that is longer, or has other characters, is none of the platform's. */
const ID = /^[\w.:-]{1,64}$/;

const named = new WeakMap<FastifyRequest, Record<string, string>>();

/** Adds ids that the request's path does not have to its log record and, after `bss.`, to its span: `{ transfer_id: '…' }`. */
export function nameIds(request: FastifyRequest, ids: Readonly<Record<string, string>>): void {
  named.set(request, { ...named.get(request), ...ids });
}

interface Failure {
  code: string;
  cause: unknown;
}

type SeriesLabel = 'method' | 'route' | 'status';

interface Observed {
  span: Span;
  startedAt: number;
  failure?: Failure;
}

/** The hooks of one server. */
export class RequestTelemetry {
  readonly #total: Counter<SeriesLabel>;
  readonly #duration: Histogram<SeriesLabel>;
  readonly #observed = new WeakMap<FastifyRequest, Observed>();

  constructor(metrics: Metrics) {
    const labels = ['method', 'route', 'status'] as const;
    this.#total = metrics.counter('http_requests_total', 'HTTP requests answered; status 499: the client left before the answer', labels);
    this.#duration = metrics.histogram('http_request_duration_seconds', 'Time to answer an HTTP request', LATENCY_BUCKETS, labels);
  }

  /** The hook `onRequest`: everything after it runs inside the span of the request. */
  readonly onRequest = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    const parent = contextFrom({
      traceparent: single(request.headers['traceparent']),
      tracestate: single(request.headers['tracestate']),
    });
    const span = startSpan(spanName(request), { kind: SpanKind.SERVER, attributes: attributesOf(request), parent });
    this.#observed.set(request, { span, startedAt: performance.now() });
    reply.raw.once('close', () => this.#finish(request, CLIENT_CLOSED));
    withSpan(parent, span, done);
  };

  /** The hook `onResponse`. */
  readonly onResponse = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void => {
    this.#finish(request, reply.statusCode);
    done();
  };

  /** Notes the problem that a request is answered with. @param cause the error behind it, for the log */
  failed(request: FastifyRequest, code: string, cause: unknown): void {
    const observed = this.#observed.get(request);
    if (observed) observed.failure = { code, cause };
  }

  /** Once for each request: with its response, or when its connection closes without one. */
  #finish(request: FastifyRequest, status: number): void {
    const observed = this.#observed.get(request);
    if (!observed) return;
    this.#observed.delete(request);
    const { span, startedAt, failure } = observed;
    const seconds = (performance.now() - startedAt) / 1000;
    const series = { method: methodOf(request), route: routeOf(request), status: String(status) };
    this.#total.inc(series);
    this.#duration.observe(series, seconds, span);
    const ids = idsOf(request);
    withSpan(ROOT_CONTEXT, span, () => log(request, { ...series, status, duration_ms: Math.round(seconds * 1e4) / 10, ...ids }, failure));
    span.setAttributes(Object.fromEntries(Object.entries(ids).map(([name, id]) => [`bss.${name}`, id])));
    endSpan(span, status, failure);
  }
}

/** What a client can repair is a warning; what the service failed to do is an error. */
function log(
  request: FastifyRequest,
  { status, ...fields }: Record<string, unknown> & { status: number },
  failure: Failure | undefined,
): void {
  const record = { ...fields, status, ...(failure ? { code: failure.code } : {}) };
  if (status >= 500) request.log.error({ ...record, error: failure?.cause }, 'request failed');
  else if (status === CLIENT_CLOSED) request.log.warn(record, 'the client closed the connection before the answer');
  else if (status >= 400) request.log.warn(record, 'request refused');
  else request.log.info(record, 'request answered');
}

/** The status of a server's span is an error only when the server failed: 4xx is the client's. */
function endSpan(span: Span, status: number, failure: Failure | undefined): void {
  if (status === CLIENT_CLOSED) span.setAttribute(ATTR_ERROR_TYPE, 'client_closed_request');
  else span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  if (status >= 500) {
    if (failure?.cause !== undefined) failSpan(span, failure.cause);
    else span.setStatus({ code: SpanStatusCode.ERROR });
    span.setAttribute(ATTR_ERROR_TYPE, failure?.code ?? String(status));
  }
  span.end();
}

function attributesOf(request: FastifyRequest): Attributes {
  const method = methodOf(request);
  const { localPort } = request.socket;
  return {
    [ATTR_HTTP_REQUEST_METHOD]: method,
    ...(method === OTHER_METHOD ? { [ATTR_HTTP_REQUEST_METHOD_ORIGINAL]: request.method } : {}),
    ...(routeOf(request) === NO_ROUTE ? {} : { [ATTR_HTTP_ROUTE]: routeOf(request) }),
    // Without the query: it may hold what a client must not have put there, such as a key.
    [ATTR_URL_PATH]: request.url.split('?')[0] ?? '',
    [ATTR_URL_SCHEME]: request.protocol,
    [ATTR_SERVER_ADDRESS]: request.hostname,
    ...(localPort === undefined ? {} : { [ATTR_SERVER_PORT]: localPort }),
    [ATTR_NETWORK_PROTOCOL_VERSION]: request.raw.httpVersion,
  };
}

function spanName(request: FastifyRequest): string {
  const method = methodOf(request) === OTHER_METHOD ? 'HTTP' : request.method;
  return routeOf(request) === NO_ROUTE ? method : `${method} ${routeOf(request)}`;
}

function methodOf({ method }: FastifyRequest): string {
  return METHODS.has(method) ? method : OTHER_METHOD;
}

/** The template of the route, such as `/accounts/{id}`. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url?.replaceAll(/:(\w+)/g, '{$1}') ?? NO_ROUTE;
}

/** The ids that the route declares, and those that its handler has named, by their names in logs. */
function idsOf(request: FastifyRequest): Record<string, string> {
  const params: Record<string, unknown> = { ...(request.params as object | undefined) };
  const declared = Object.entries(request.routeOptions.config.ids ?? {}).map(([param, name]): [string, unknown] => [name, params[param]]);
  const all = [...declared, ...Object.entries(named.get(request) ?? {})];
  return Object.fromEntries(all.filter((entry): entry is [string, string] => typeof entry[1] === 'string' && ID.test(entry[1])));
}

/** The first value of a header. */
export function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

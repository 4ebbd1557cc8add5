import type { Readable } from 'node:stream';
import type { Attributes } from '@opentelemetry/api';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_RESEND_COUNT,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
} from '@opentelemetry/semantic-conventions';
import { ATTR_URL_TEMPLATE } from '@opentelemetry/semantic-conventions/incubating';
import { ConsecutiveBreaker, circuitBreaker, handleWhen, isBrokenCircuitError, wrap } from 'cockatiel';
import type { IPolicy } from 'cockatiel';
import type { z } from 'zod';
import { remainingMs } from './deadline.ts';
import { HttpClient } from './http-client.ts';
import type { AnswerHeaders, HttpAnswer } from './http-client.ts';
import { TIMEOUT_HEADER } from './http.ts';
import type { Logger } from './log.ts';
import type { Gauge, Metrics } from './metrics.ts';
import { Problem, problemBody } from './problems.ts';
import type { ProblemDefinition } from './problems.ts';
import { retryPolicy } from './retry.ts';
import { inSpan, SpanKind, traceHeaders } from './telemetry.ts';

/** Time limit of one attempt, unless the request's deadline comes first. */
const ATTEMPT_MS = 2_000;
/** A failed attempt with less time than this does not count against the service: the caller allowed too little. */
const FAIR_ATTEMPT_MS = 1_000;
const RETRIES = 2;
const MAX_RETRY_DELAY_MS = 500;
const FAILURES_TO_OPEN = 5;
const HALF_OPEN_AFTER_MS = 2_000;

export interface ServiceClientOptions {
  /** Name of the service in logs, and label `connector` of the breaker's metric. */
  name: string;
  url: string;
  /** The caller's own key for the service. */
  apiKey: string;
  /** Answered when the service does not answer as its contract says. */
  unavailable: ProblemDefinition;
  /** Problems with a status of 5xx that the service reports about another one: they are answered as they are, and neither retried nor counted. */
  passed?: readonly ProblemDefinition[];
  /** Headers of the service's problems that are the caller's answer too, beside Retry-After. */
  keptHeaders?: readonly string[];
}

/** What to request. */
interface Target {
  /** With query. */
  path: string;
  /** The path with names in place of ids, which names the span; the path without query by default. */
  template?: string;
}

interface CallOptions {
  /** Time limit of one attempt in milliseconds. */
  attemptMs?: number;
  headers?: Record<string, string>;
}

interface PostOptions extends CallOptions {
  /** The service applies a repeated request once, so it may be sent again when its answer is lost. */
  idempotent: boolean;
}

/** An answer of the service with its body as its contract says. */
export interface ServiceAnswer<T> {
  status: number;
  headers: AnswerHeaders;
  body: T;
}

/** A request of a client that a gateway passes on. */
export interface ForwardedRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  target: Target;
  headers: Record<string, string>;
  /** Sent as JSON; absent: no body. */
  body?: unknown;
  /** Whether the request may be sent again. */
  idempotent: boolean;
  attemptMs?: number;
}

/** An answer with a status below 400. JSON is complete; another body is a stream, whose reader must end or destroy it. */
export type ForwardedAnswer = ServiceAnswer<Buffer | Readable>;

type Request = Pick<ForwardedRequest, 'method' | 'target' | 'headers' | 'body'>;

/** How the body of a success is read, and then compared with the contract. */
interface Reading<R, T> {
  read: (answer: HttpAnswer) => Promise<R>;
  check: (content: R) => T;
}

/** A body in JSON of this shape. */
function shaped<T extends z.ZodType>(shape: T): Reading<Buffer, z.output<T>> {
  return { read: (answer) => answer.bytes(), check: (bytes) => shape.parse(JSON.parse(bytes.toString())) };
}

/** The body as it is. */
const UNCHANGED: Reading<Buffer | Readable, Buffer | Readable> = {
  read: (answer) => (isEmpty(answer) || isJson(answer) ? answer.bytes() : Promise.resolve(answer.body)),
  check: (content) => content,
};

/** A failure that is not the service's: it neither opens the circuit nor is it retried. */
class CallersFailure extends Error {
  override readonly name = 'CallersFailure';
}

const isServicesFailure = (error: unknown): boolean => !(error instanceof Problem) && !(error instanceof CallersFailure);

const gauges = new WeakMap<Metrics, Gauge<'connector'>>();

/** One gauge for all clients of a process. */
function stateGauge(metrics: Metrics): Gauge<'connector'> {
  const known = gauges.get(metrics);
  if (known) return known;
  const gauge = metrics.gauge('circuit_breaker_state', 'State of the breaker: 0 closed, 1 open, 2 half-open', ['connector']);
  gauges.set(metrics, gauge);
  return gauge;
}

/** Calls another service of the platform, with retry and a circuit breaker: while it fails, a request costs its caller one quick 503. */
export class ServiceClient {
  readonly #options: ServiceClientOptions;
  readonly #base: string;
  readonly #http: HttpClient;
  /** Attributes of every span. */
  readonly #attributes: Attributes;
  readonly #once: IPolicy;
  readonly #retried: IPolicy;

  constructor(options: ServiceClientOptions, log: Logger, metrics: Metrics) {
    const { name } = options;
    this.#options = options;
    // Without credentials: it stands in spans.
    const { origin, pathname, hostname, port, protocol } = new URL(options.url);
    this.#base = `${origin}${pathname}`.replace(/\/$/, '');
    this.#http = new HttpClient(this.#base);
    this.#attributes = {
      [ATTR_SERVER_ADDRESS]: hostname,
      [ATTR_SERVER_PORT]: Number(port) || (protocol === 'https:' ? 443 : 80),
    };
    const breaker = circuitBreaker(handleWhen(isServicesFailure), {
      halfOpenAfter: HALF_OPEN_AFTER_MS,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    });
    const retryable = (error: unknown) => isServicesFailure(error) && !isBrokenCircuitError(error) && remainingMs() > FAIR_ATTEMPT_MS;
    this.#once = breaker;
    this.#retried = wrap(
      retryPolicy({ log, what: `call the ${name}`, retryable, attempts: RETRIES, maxDelayMs: MAX_RETRY_DELAY_MS }),
      breaker,
    );
    breaker.onBreak(() => log.warn(`the ${name} fails: circuit opened`));
    breaker.onReset(() => log.info(`the ${name} answers again: circuit closed`));
    const state = stateGauge(metrics);
    state.set({ connector: name }, 0);
    breaker.onBreak(() => state.set({ connector: name }, 1));
    breaker.onHalfOpen(() => state.set({ connector: name }, 2));
    breaker.onReset(() => state.set({ connector: name }, 0));
  }

  /**
   * GETs a path and checks the answer's shape. The service learns how much time is left.
   * @throws Problem: the service's own for a 4xx and for those passed on, `unavailable` when it does not answer as its contract says
   */
  async get<T extends z.ZodType>(target: Target, shape: T, { attemptMs, headers = {} }: CallOptions = {}): Promise<z.output<T>> {
    const answer = await this.#call(this.#retried, { method: 'GET', target, headers }, shaped(shape), attemptMs);
    return answer.body;
  }

  /** POSTs a body as JSON; everything else is as for {@link get}. Only an idempotent request is sent again. */
  post<T extends z.ZodType>(target: Target, body: unknown, shape: T, options: PostOptions): Promise<ServiceAnswer<z.output<T>>> {
    const { idempotent, attemptMs, headers = {} } = options;
    return this.#call(idempotent ? this.#retried : this.#once, { method: 'POST', target, body, headers }, shaped(shape), attemptMs);
  }

  /** Passes a request on, and the body of a success back as it is; everything else is as for {@link get}. */
  forward({ idempotent, attemptMs, ...request }: ForwardedRequest): Promise<ForwardedAnswer> {
    return this.#call(idempotent ? this.#retried : this.#once, request, UNCHANGED, attemptMs);
  }

  async #call<R, T>(policy: IPolicy, request: Request, reading: Reading<R, T>, attemptMs = ATTEMPT_MS): Promise<ServiceAnswer<T>> {
    let attempts = 0;
    try {
      return await policy.execute(() => this.#attempt(request, reading, Math.min(attemptMs, remainingMs()), attempts++));
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem(this.#options.unavailable, 'Retry in a moment.', { cause: error, retryAfterSeconds: 1 });
    }
  }

  async #attempt<R, T>(request: Request, reading: Reading<R, T>, limitMs: number, resends: number): Promise<ServiceAnswer<T>> {
    const { method, target } = request;
    const { name } = this.#options;
    const template = target.template ?? target.path.split('?')[0] ?? '';
    const attributes = {
      ...this.#attributes,
      [ATTR_HTTP_REQUEST_METHOD]: method,
      [ATTR_URL_FULL]: `${this.#base}${target.path}`,
      [ATTR_URL_TEMPLATE]: template,
      ...(resends > 0 ? { [ATTR_HTTP_REQUEST_RESEND_COUNT]: resends } : {}),
    };
    return inSpan(`${method} ${template}`, { kind: SpanKind.CLIENT, attributes }, async (span) => {
      const { status, headers, failure, content } = await this.#exchange(request, limitMs, reading.read);
      span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
      // For a client, every 4xx and 5xx is an error.
      if (status >= 400) span.setAttribute(ATTR_ERROR_TYPE, String(status));
      // The credential of the caller's client is the caller's matter: here only the caller's own key can be wrong.
      if (status === 401 || status === 403) throw new Error(`the ${name} does not accept the key of this service: it answered ${status}`);
      if (status >= 500) throw this.#serverError(status, headers, failure);
      if (status >= 400) throw this.#clientError(status, headers, failure);
      return { status, headers, body: reading.check(content as R) };
    });
  }

  /** Sends a request and reads its answer: `content` of a success, `failure` of a status from 400 on. */
  async #exchange<R>(
    { method, target: { path }, headers: given, body }: Request,
    limitMs: number,
    read: (answer: HttpAnswer) => Promise<R>,
  ): Promise<Pick<HttpAnswer, 'status' | 'headers'> & { failure?: unknown; content?: R }> {
    const limit = Math.max(1, Math.floor(limitMs));
    const { apiKey } = this.#options;
    try {
      const json = body === undefined ? {} : { 'content-type': 'application/json' };
      const headers = { ...traceHeaders(), ...json, ...given, [TIMEOUT_HEADER]: String(limit), authorization: `Bearer ${apiKey}` };
      const sent = body === undefined ? undefined : JSON.stringify(body);
      const answer = await this.#http.send({ method, path, headers, body: sent, limitMs: limit });
      const head = { status: answer.status, headers: answer.headers };
      if (answer.status >= 400) return { ...head, failure: await failureOf(answer) };
      if (!isEmpty(answer) && answer.status >= 300) {
        answer.body.destroy();
        throw new Error(`the ${this.#options.name} answered ${answer.status}`);
      }
      return { ...head, content: await read(answer) };
    } catch (error) {
      if (limit >= FAIR_ATTEMPT_MS) throw error;
      throw new CallersFailure(`no answer within the ${limit} ms that the request had left`, { cause: error });
    }
  }

  #serverError(status: number, headers: AnswerHeaders, body: unknown): Error {
    const problem = this.#problemOf(headers, body);
    if (problem && this.#options.passed?.some(({ code }) => code === problem.code)) return problem;
    return new Error(`the ${this.#options.name} answered ${status}: ${JSON.stringify(body)}`);
  }

  /** The problem of an answer; undefined for any other body. */
  #problemOf(headers: AnswerHeaders, body: unknown): Problem | undefined {
    const problem = problemBody.safeParse(body);
    if (!problem.success) return undefined;
    const after = headers.get('retry-after') ?? '';
    const kept = (this.#options.keptHeaders ?? []).map((name): [string, string | null] => [name, headers.get(name)]);
    return Problem.fromBody(problem.data, {
      retryAfterSeconds: /^\d{1,6}$/.test(after) ? Number(after) : undefined,
      headers: Object.fromEntries(kept.filter((entry): entry is [string, string] => entry[1] !== null)),
    });
  }

  #clientError(status: number, headers: AnswerHeaders, body: unknown): Error {
    return this.#problemOf(headers, body) ?? new CallersFailure(`the ${this.#options.name} answered ${status}: ${JSON.stringify(body)}`);
  }
}

/** The body of an error answer: a text where it is not JSON. */
async function failureOf(answer: HttpAnswer): Promise<unknown> {
  const text = (await answer.bytes()).toString();
  return isJson(answer) ? JSON.parse(text) : text;
}

/** An answer with this status has no body. */
function isEmpty({ status }: HttpAnswer): boolean {
  return status === 204 || status === 304;
}

function isJson({ headers }: HttpAnswer): boolean {
  return /json/.test(headers.get('content-type') ?? '');
}

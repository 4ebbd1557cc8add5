/** HTTP to the API server: connections, credentials, timeouts, and the fence in front of writes. */
import type { RequestOptions } from 'node:https';
import type { Readable } from 'node:stream';
import type { KubeConfig } from '@kubernetes/client-node';
// The package's main module would load its whole generated client.
import { HttpMethod, RequestContext } from '@kubernetes/client-node/dist/gen/http/http.js';
import { Agent, request as send } from 'undici';
import type { Dispatcher } from 'undici';
import { fingerprint } from '../objects/canonical.ts';
import type { Clock } from './clock.ts';
import { KubeError, unanswered } from './errors.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * Called immediately before each write. Throws when writes are not allowed; else returns the server-side timeout, in milliseconds, of a write
 * that is sent now.
 */
export type Fence = () => number;

export interface Call {
  method: Method;
  /** Begins with `/`; may carry a query. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Media type of the answer; default: JSON. */
  accept?: string | undefined;
  body?: { body: unknown; contentType: string } | undefined;
  /** The operation, for error messages: `list ConfigMap`. */
  attempt: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  fence?: Fence | undefined;
}

/** A response body of the API server. Not validated: the reader asserts its type. */
export type Json = ReturnType<typeof JSON.parse>;

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** Parsed where it is JSON, else text. */
  body: Json;
}

interface Session {
  headers: Record<string, string>;
  dispatcher: Dispatcher;
  /** Fingerprint of the certificates and server name that the connections use. */
  material: string;
}

/** Tokens and certificates on disk rotate while the process runs. client-go, too, reloads them after a minute. */
const SESSION_MS = 60_000;

/** Idle connections stay open this long, so that an idle operator needs no new TLS handshake for each lease renewal. */
const KEEP_ALIVE_MS = 30_000;

/** One per API server; shared by all clients of the process. */
export class Transport {
  readonly #config: KubeConfig;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #server: string;
  #session: Promise<Session> | undefined;
  /** Monotonic time at which tokens and certificates are reloaded. */
  #renewAt = 0;

  constructor(config: KubeConfig, clock: Clock, userAgent: string) {
    this.#config = config;
    this.#clock = clock;
    this.#userAgent = userAgent;
    const cluster = config.getCurrentCluster();
    if (!cluster) throw new Error('the kubeconfig has no current cluster');
    this.#server = cluster.server.replace(/\/+$/, '');
  }

  /**
   * Sends one request and reads its whole response, whatever its status.
   * @throws KubeError (status 0) when no response arrives; whatever the fence throws
   */
  async call(call: Call): Promise<Answer> {
    const limit = new Limit(call.timeoutMs, call.signal);
    try {
      const answer = await limit.race(this.#send(call, limit));
      return { status: answer.statusCode, headers: answer.headers, body: parse(await limit.race(answer.body.text())) };
    } catch (error) {
      throw limit.explain(call.attempt, error);
    } finally {
      limit.clear();
    }
  }

  /**
   * Sends one request with a streaming response; `timeoutMs` limits only the time to the response headers. The caller reads `body` to its end or destroys it.
   * @throws as `call`
   */
  async stream(call: Call): Promise<{ status: number; headers: Answer['headers']; body: Readable }> {
    const limit = new Limit(call.timeoutMs, call.signal);
    try {
      const answer = await limit.race(this.#send(call, limit));
      limit.stopTimer();
      answer.body.once('close', () => limit.clear());
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      limit.clear();
      throw limit.explain(call.attempt, error);
    }
  }

  /** Closes idle connections; connections in use close when their requests end. */
  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    this.#session = undefined;
    await session?.dispatcher.close();
  }

  async #send(
    { method, path, query = {}, accept = 'application/json', body, fence }: Call,
    limit: Limit,
  ): Promise<Dispatcher.ResponseData> {
    const session = await this.#current();
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    // The server-side timeout keeps a write from taking effect after this replica lost its lease and another one began to write.
    if (fence) url.searchParams.set('timeout', `${Math.floor(fence())}ms`);
    const answer = await send(url, {
      method,
      headers: {
        ...session.headers,
        accept,
        'user-agent': this.#userAgent,
        ...(body ? { 'content-type': body.contentType } : {}),
      },
      body: body ? JSON.stringify(body.body) : null,
      dispatcher: fence ? fenced(session.dispatcher, fence) : session.dispatcher,
      signal: limit.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    // The token may have been rotated since it was read.
    if (answer.statusCode === 401) this.#renewAt = 0;
    return answer;
  }

  #current(): Promise<Session> {
    const now = this.#clock.monotonic();
    if (!this.#session || now >= this.#renewAt) {
      this.#renewAt = now + SESSION_MS;
      this.#session = this.#renewed(this.#session);
      this.#session.catch(() => (this.#renewAt = 0));
    }
    return this.#session;
  }

  /** Reloads tokens and certificates; connections stay open when only the token changed. */
  async #renewed(last: Promise<Session> | undefined): Promise<Session> {
    const previous = await last?.catch(() => undefined);
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const material = fingerprint([ca, cert, key, servername, rejectUnauthorized]);
    if (previous?.material === material) return { ...previous, headers: headersOf(options) };
    const dispatcher = await this.#connections(options);
    void previous?.dispatcher.close();
    return { headers: headersOf(options), dispatcher, material };
  }

  async #connections(options: RequestOptions): Promise<Dispatcher> {
    const { ca, cert, key, servername, rejectUnauthorized } = options;
    const tls = Object.fromEntries(
      Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined),
    );
    const wanted = this.#config.createDispatcherOptions(this.#config.getCurrentCluster(), tls);
    if (wanted.type === 'proxy' || wanted.type === 'socks') {
      const context = new RequestContext(this.#server, HttpMethod.GET);
      await this.#config.applySecurityAuthentication(context);
      return context.getDispatcher() ?? new Agent();
    }
    // One connection per watch (HTTP/1.1): a dead connection stalls one watch, not all of them and every write.
    const agent: Agent.Options = { allowH2: false, keepAliveTimeout: KEEP_ALIVE_MS };
    return new Agent(wanted.type === 'agent' ? Object.assign(agent, { connect: wanted.connect }) : agent);
  }
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const given = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value)]);
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return { ...Object.fromEntries(given), ...basic };
}

/**
 * Calls the fence again when a request is about to be written to its socket. A TLS handshake or a queue may lie between the first call and that
 * moment, and a process that was suspended there must not write when it resumes.
 */
function fenced(dispatcher: Dispatcher, fence: Fence): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    const onRequestStart = handler.onRequestStart?.bind(handler);
    handler.onRequestStart = (controller, context) => {
      fence();
      onRequestStart?.(controller, context);
    };
    return dispatch(options, handler);
  });
}

/** Aborts a request on timeout or when the caller aborts, and records which of the two happened. */
class Limit {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = (): void => this.#controller.abort();
  readonly #reached = Promise.withResolvers<never>();
  #timedOut = false;

  constructor(timeoutMs: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#controller.abort(new Error(`no response within ${timeoutMs} ms`));
    }, timeoutMs);
    this.#reached.promise.catch(() => undefined);
    this.signal.addEventListener('abort', () => this.#reached.reject(this.signal.reason));
    if (caller?.aborted) this.#abort();
    else caller?.addEventListener('abort', this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /**
   * Settles with the promise, or rejects when the limit is reached first. Aborting alone is not enough: undici notices it only after it has
   * connected, which a hanging server delays for ten seconds. The request is not written then.
   */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#reached.promise]);
  }

  stopTimer(): void {
    clearTimeout(this.#timer);
  }

  clear(): void {
    this.stopTimer();
    this.#caller?.removeEventListener('abort', this.#abort);
  }

  explain(attempt: string, error: unknown): unknown {
    if (this.#timedOut) return unanswered(attempt, 'Timeout', error);
    if (this.#caller?.aborted) return unanswered(attempt, 'Aborted', error);
    return isNetworkError(error) ? unanswered(attempt, 'ConnectionFailed', error) : error;
  }
}

/** Errors of sockets and of the HTTP client have a code; errors of the fence and programming errors do not. */
function isNetworkError(error: unknown): boolean {
  return error instanceof Error && !(error instanceof KubeError) && typeof (error as NodeJS.ErrnoException).code === 'string';
}

/** Parses JSON (responses of the API server); returns any other text (responses of proxies) unchanged. */
export function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * HTTP requests over kept connections, with Node's own client: under load its `fetch`, with web streams, signals and objects for each request, took
 * a quarter of the processor time of a service that calls another one.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';

/** Headers of an answer; names are in lower case. */
export interface AnswerHeaders {
  /** null when there is none. */
  get(name: string): string | null;
}

/** An answer whose body has yet to be read. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  /** Its reader must end or destroy it. It fails when the time limit is over. */
  readonly body: Readable;
  /** The whole body. @throws HttpTimeout, or the error of the connection */
  bytes(): Promise<Buffer>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Time limit in milliseconds, up to the end of the answer. */
  readonly limitMs: number;
}

/** The answer was not complete within the time limit. */
export class HttpTimeout extends Error {
  override readonly name = 'HttpTimeout';
}

/** Sends requests to one address. Redirects are answers like any other. */
export class HttpClient {
  readonly #options: ReturnType<typeof urlToHttpOptions>;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #request: typeof httpRequest;
  readonly #prefix: string;

  /** @param base address, with the path before that of each request */
  constructor(base: string) {
    const url = new URL(base);
    const tls = url.protocol === 'https:';
    this.#agent = tls ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
    this.#request = tls ? httpsRequest : httpRequest;
    this.#options = urlToHttpOptions(url);
    this.#prefix = url.pathname.replace(/\/$/, '');
  }

  /** Resolves with the head of the answer. @throws HttpTimeout, or the error of the connection */
  send({ method, path, headers, body, limitMs }: HttpRequest): Promise<HttpAnswer> {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    return new Promise((resolve, reject) => {
      const options = { ...this.#options, agent: this.#agent, method, path: `${this.#prefix}${path}`, headers: { ...headers, ...length } };
      const sent = this.#request(options);
      // The cause of what fails then: the response only tells that it is incomplete.
      let expired: HttpTimeout | undefined;
      const timer = setTimeout(() => {
        expired = new HttpTimeout(`no answer within ${limitMs} ms`);
        sent.destroy(expired);
      }, limitMs);
      sent.once('close', () => clearTimeout(timer));
      sent.on('error', reject);
      sent.once('response', (response) =>
        resolve({
          status: response.statusCode ?? 0,
          headers: headersOf(response),
          body: response,
          bytes: () => bytesOf(response, () => expired),
        }),
      );
      sent.end(body);
    });
  }
}

async function bytesOf(response: IncomingMessage, cause: () => Error | undefined): Promise<Buffer> {
  try {
    return Buffer.concat((await response.toArray()) as Buffer[]);
  } catch (error) {
    throw cause() ?? error;
  }
}

function headersOf({ headers }: IncomingMessage): AnswerHeaders {
  return {
    get: (name) => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : (value ?? null);
    },
  };
}

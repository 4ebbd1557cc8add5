/** Serves `/metrics`, `/livez`, `/readyz` and pages of JSON over plain HTTP. Read-only; exposes no secrets. `/livez` proves that the event loop runs. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** Returns undefined when healthy, else what is wrong. */
export type Check = () => string | undefined;

/** Returns the page for the path after its prefix; undefined becomes 404. */
export type JsonPage = (path: string[]) => unknown;

export interface HealthServerOptions {
  metrics: Metrics;
  logger: Logger;
  /** 0 picks a free port. */
  port: number;
  /** Default: all addresses. */
  host?: string;
}

export class HealthServer {
  readonly #options: HealthServerOptions;
  readonly #readiness = new Map<string, Check>();
  readonly #pages = new Map<string, JsonPage>();
  readonly #server: Server;

  constructor(options: HealthServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** A failing check removes the pod from the endpoints of its Service. */
  addReadiness(name: string, check: Check): void {
    this.#readiness.set(name, check);
  }

  /** Serves `/<name>/...` as JSON. */
  addPage(name: string, page: JsonPage): void {
    this.#pages.set(name, page);
  }

  /** Resolves to the port. @throws Error when the port is taken */
  start(): Promise<number> {
    const { port, host } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host }, () => {
        const address = this.#server.address();
        resolve(typeof address === 'object' && address ? address.port : port);
      });
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
      const [name = '', ...rest] = path.slice(1).split('/');
      const page = this.#pages.get(name);
      if (path === '/metrics') await this.#metrics(response);
      else if (path === '/livez') response.writeHead(200, TEXT).end('ok\n');
      else if (path === '/readyz') answerChecks(response, this.#readiness);
      else if (page !== undefined) answerJson(response, page(rest));
      else response.writeHead(404, TEXT).end('not found: try /metrics, /livez or /readyz\n');
    } catch (error) {
      this.#options.logger.error({ error, url: request.url }, 'answering a request failed');
      if (!response.headersSent) response.writeHead(500, TEXT);
      response.end();
    }
  }

  async #metrics(response: ServerResponse): Promise<void> {
    const { contentType, body } = await this.#options.metrics.render();
    response.writeHead(200, { 'content-type': contentType }).end(body);
  }
}

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

function answerJson(response: ServerResponse, value: unknown): void {
  if (value === undefined) response.writeHead(404, TEXT).end('not found\n');
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function answerChecks(response: ServerResponse, checks: Map<string, Check>): void {
  const results = [...checks].map(([name, check]) => ({ name, problem: check() }));
  const failed = results.some(({ problem }) => problem !== undefined);
  const lines = results.map(({ name, problem }) => (problem === undefined ? `[+] ${name} ok\n` : `[-] ${name}: ${problem}\n`));
  response.writeHead(failed ? 503 : 200, TEXT).end(lines.join('') + (failed ? 'not ok\n' : 'ok\n'));
}

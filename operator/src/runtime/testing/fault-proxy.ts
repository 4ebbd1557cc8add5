/** An HTTP proxy in front of a real API server that does to connections what networks and overloaded servers do. */
import { createServer, request as forward } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, request as forwardTls } from 'node:https';
import type { Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

export interface SeenRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  /** Milliseconds on the process's clock. */
  at: number;
}

/** Answers a request in place of the server, or lets it pass (undefined). */
export type Fault = (request: SeenRequest) => { status: number; headers?: Record<string, string>; body?: string } | undefined;

export class FaultProxy {
  /** All requests so far. */
  readonly seen: SeenRequest[] = [];
  /** How many connections were made to it so far. */
  connections = 0;
  /** Asked for each request. */
  fault: Fault | undefined;
  readonly #target: URL;
  readonly #token: string;
  readonly #sockets = new Set<Socket>();
  readonly #answers = new Set<IncomingMessage>();
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  readonly #server = createServer((request, response) => this.#handle(request, response));
  #silent = false;
  #refusing = false;

  constructor(target: { url: string; token: string }) {
    this.#target = new URL(target.url);
    this.#token = target.token;
    this.#server.on('connection', (socket) => {
      if (this.#refusing) return socket.destroy();
      this.connections += 1;
      this.#sockets.add(socket);
      return socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens on a free port of 127.0.0.1; resolves to a configuration that goes through it. */
  async start(): Promise<KubeConfig> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const config = new KubeConfig();
    // The library takes plain HTTP only where nobody wants TLS to be verified.
    config.loadFromClusterAndUser(
      { name: 'proxy', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'test', token: this.#token },
    );
    return config;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts every connection and takes no new ones until `accept`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  accept(): void {
    this.#refusing = false;
  }

  /** Connections stay open and nothing comes through any more, as when a router forgets them; new ones are fine. */
  swallow(): void {
    for (const answer of this.#answers) answer.removeAllListeners('data').resume();
  }

  /** Every answer from now on is held back, until `speak`. */
  hush(): void {
    this.#silent = true;
    this.swallow();
  }

  speak(): void {
    this.#silent = false;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#agent.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.#target);
    const seen = { method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, at: performance.now() };
    this.seen.push(seen);
    const answer = this.fault?.(seen);
    if (answer) {
      request.resume();
      response.writeHead(answer.status, { 'content-type': 'text/plain', ...answer.headers }).end(answer.body ?? 'injected\n');
    } else this.#forward(url, request, response);
  }

  #forward(url: URL, request: IncomingMessage, response: ServerResponse): void {
    const send = url.protocol === 'https:' ? forwardTls : forward;
    const onward = send(url, { method: request.method, headers: { ...request.headers, host: url.host }, agent: this.#agent }, (answer) => {
      if (this.#silent) return void answer.resume();
      this.#answers.add(answer);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.on('data', (chunk: Buffer) => response.write(chunk));
      answer.on('end', () => response.end());
      answer.on('error', () => response.destroy());
      return answer.once('close', () => this.#answers.delete(answer));
    });
    // The server is away, or the client hung up.
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }
}

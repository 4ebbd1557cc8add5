/** A TCP proxy in front of a real server that fails at a request which the test chooses, or for a time, as a crash or a network does. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** True for bytes of a client that hold the request at which to fail. */
export type Match = (chunk: Buffer) => boolean;

/** COMMIT of a Postgres client. */
export const POSTGRES_COMMIT: Match = (chunk) => chunk.includes('COMMIT\0');

const OFFSET_COMMIT = 8;
/** OffsetCommit of a Kafka client; a chunk begins with a request: its size, then its API key. */
export const KAFKA_OFFSET_COMMIT: Match = (chunk) => {
  for (let at = 0; at + 6 <= chunk.length; at += 4 + chunk.readInt32BE(at)) {
    if (chunk.readInt16BE(at + 4) === OFFSET_COMMIT) return true;
  }
  return false;
};

type Fault = { match: Match; kind: 'unanswered' | 'cut' | 'held'; left: number; done: () => void };

export class FaultProxy {
  readonly host = '127.0.0.1';
  /** The server that it is in front of; without one, connections are closed at once. */
  target: { host: string; port: number } | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#forward(client));
  #fault: Fault | undefined;
  #state: 'open' | 'cut' | 'silent' = 'open';

  /** Listens on a free port of 127.0.0.1. */
  static async start(target?: { host: string; port: number }): Promise<FaultProxy> {
    const proxy = new FaultProxy();
    proxy.target = target;
    proxy.#server.listen(0, proxy.host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  /** The next `times` matching requests reach the server, which carries them out; the connection is cut before its answer arrives. */
  dropAnswers(match: Match, times = 1): Promise<void> {
    return this.#inject(match, 'unanswered', times);
  }

  /** The next `times` matching requests do not reach the server; their connections are cut. */
  cutRequests(match: Match, times = 1): Promise<void> {
    return this.#inject(match, 'cut', times);
  }

  /** The next matching request does not reach the server; its connection stays open and silent, until the client ends it. */
  hold(match: Match): Promise<void> {
    return this.#inject(match, 'held', 1);
  }

  /** Ends every connection, and new ones at once, until {@link restore}. */
  cut(): void {
    this.#state = 'cut';
    this.disconnect();
  }

  /** Forwards nothing until {@link restore}, and closes nothing. Then what was sent meanwhile arrives, also from a client that has ended. */
  silence(): void {
    this.#state = 'silent';
    for (const socket of this.#sockets) socket.pause();
  }

  restore(): void {
    this.#state = 'open';
    for (const socket of this.#sockets) socket.resume();
  }

  /** Cuts every connection. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** @returns resolves when the fault has been injected for the last time */
  #inject(match: Match, kind: Fault['kind'], left: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#fault = { match, kind, left, done: resolve };
    return promise;
  }

  /** The fault that begins with these bytes of a client, counted. */
  #take(chunk: Buffer): Fault | undefined {
    const fault = this.#fault;
    if (!fault?.match(chunk)) return undefined;
    fault.left -= 1;
    if (fault.left === 0) this.#fault = undefined;
    return fault;
  }

  #forward(client: Socket): void {
    this.#keep(client);
    if (!this.target || this.#state === 'cut') return void client.destroy();
    const server = this.#keep(connect(this.target));
    const cut = (fault?: Fault): void => {
      client.destroy();
      server.destroy();
      if (fault?.left === 0) fault.done();
    };
    let begun: Fault | undefined;
    client.on('data', (chunk: Buffer) => {
      if (begun?.kind === 'held') return;
      begun = this.#take(chunk);
      if (begun?.kind === 'cut') return cut(begun);
      if (begun?.kind === 'held') return begun.done();
      return void server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => (begun ? cut(begun) : client.write(chunk)));
    client.once('close', () => cut());
    server.once('close', () => cut());
    if (this.#state === 'silent') for (const socket of [client, server]) socket.pause();
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // The other side's reset is what a proxy is for; 'close' follows.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    return socket;
  }
}

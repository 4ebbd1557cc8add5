/** Load on an HTTP API from this process, and how long its answers took. */
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** What the requests of one load came to. */
export interface LoadResult {
  /** Milliseconds of each answer, in ascending order. */
  readonly latencies: readonly number[];
  readonly seconds: number;
  /** Requests that were due within the time and had another answer than they should. */
  readonly failed: number;
}

/** One request. @param index of the client, or of the request in an open loop @returns whether its answer is the right one */
export type Send = (index: number) => Promise<boolean>;

/** Clients that each send the next request when the former one is answered. Answers after the time do not count. */
export async function closedLoop(clients: number, seconds: number, send: Send): Promise<LoadResult> {
  const latencies: number[] = [];
  let failed = 0;
  const until = performance.now() + seconds * 1000;
  const client = async (_value: unknown, index: number): Promise<void> => {
    for (let startedAt = performance.now(); startedAt < until; startedAt = performance.now()) {
      const right = await send(index);
      const now = performance.now();
      if (!right) failed += 1;
      else if (now <= until) latencies.push(now - startedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { latencies: latencies.toSorted((one, other) => one - other), seconds, failed };
}

/**
 * So many requests a second, whether or not the former ones are answered. A request's time begins when it is due: one that is sent late, because
 * this process or the service is late, has waited too.
 */
export async function openLoop(perSecond: number, seconds: number, send: Send): Promise<LoadResult> {
  const latencies: number[] = [];
  let failed = 0;
  const sent: Promise<void>[] = [];
  const startedAt = performance.now();
  const one = async (index: number, dueAt: number): Promise<void> => {
    if (await send(index)) latencies.push(performance.now() - dueAt);
    else failed += 1;
  };
  const total = Math.round(perSecond * seconds);
  for (let index = 0; index < total; index += 1) {
    const dueAt = startedAt + (index / perSecond) * 1000;
    if (dueAt > performance.now()) await delay(dueAt - performance.now());
    sent.push(one(index, dueAt));
  }
  await Promise.all(sent);
  return { latencies: latencies.toSorted((a, b) => a - b), seconds, failed };
}

/** The value that a share of all values does not exceed (nearest rank). @param sorted ascending */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export interface HttpAnswer {
  status: number;
  body: string;
}

/** Sends requests over kept connections: one for each request in progress. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #url: URL;

  /** @param base address of the API */
  constructor(base: string) {
    this.#url = new URL(base);
  }

  /** POSTs JSON. @returns status and body of the answer */
  post(path: string, body: string, headers: Record<string, string>): Promise<HttpAnswer> {
    return this.send('POST', path, { body, headers });
  }

  /** @param sent.body JSON; absent for a request without one */
  send(method: string, path: string, { body, headers }: { body?: string; headers: Record<string, string> }): Promise<HttpAnswer> {
    const { hostname, port } = this.#url;
    const content = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const sent = request({ agent: this.#agent, hostname, port, path, method, headers: { ...content, ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.once('error', reject);
      });
      sent.once('error', reject).end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The few calls of the Kubernetes API that the node itself makes, inside its network. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { IncomingMessage } from 'node:http';
import { API_PORT } from './node-config.ts';

export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
}

export interface WatchEvent<T> {
  readonly type: string;
  readonly object: T;
}

export class ApiError extends Error {
  readonly status: number;
  constructor(method: string, path: string, status: number, body: string) {
    super(`${method} ${path}: ${status} ${body.slice(0, 300)}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

export class ApiClient {
  readonly #agent: Agent;

  constructor(pki: string) {
    const read = (file: string): Buffer => readFileSync(join(pki, file));
    this.#agent = new Agent({ keepAlive: true, ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') });
  }

  get<T>(path: string): Promise<T> {
    return this.#json<T>('GET', path);
  }

  /** Creates an object; one of that name that is there already is left as it is. */
  async create(path: string, object: object): Promise<void> {
    await this.#json('POST', path, object).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 409) throw error;
    });
  }

  /** Deletes an object; one that is gone already is no error. */
  async delete(path: string): Promise<void> {
    await this.#json('DELETE', path).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    });
  }

  /** True when /readyz (or another check) answers 200; never throws. */
  async healthy(path: string): Promise<boolean> {
    try {
      const response = await this.#send('GET', path);
      response.resume();
      return response.statusCode === 200;
    } catch {
      return false;
    }
  }

  /** Yields the objects of a watch until the server ends it. */
  async *watch<T>(path: string, resourceVersion: string): AsyncGenerator<WatchEvent<T>> {
    const response = await this.#send('GET', `${path}?watch=true&timeoutSeconds=300&resourceVersion=${resourceVersion}`);
    if (response.statusCode !== 200) throw new ApiError('WATCH', path, response.statusCode ?? 0, await text(response));
    for await (const line of createInterface({ input: response })) {
      const event: WatchEvent<T> = JSON.parse(line);
      yield event;
    }
  }

  async #json<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await this.#send(method, path, body);
    const content = await text(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw new ApiError(method, path, status, content);
    const answer: T = JSON.parse(content);
    return answer;
  }

  #send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const headers = content === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) };
    return new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port: API_PORT, method, path, agent: this.#agent, headers }, resolve);
      call.on('error', reject);
      call.end(content);
    });
  }
}

async function text(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let content = '';
  for await (const chunk of response) content += String(chunk);
  return content;
}

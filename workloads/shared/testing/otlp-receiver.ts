import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './workload.ts';

/** The part of a span in OTLP/JSON that tests read. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  links?: { traceId: string; spanId: string }[];
  status?: { code?: number; message?: string };
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[];
  events?: { name: string; attributes: { key: string; value: { stringValue?: string } }[] }[];
  service: string;
}

interface Export {
  resourceSpans: {
    resource: { attributes: ReceivedSpan['attributes'] };
    scopeSpans: { spans: Omit<ReceivedSpan, 'service'>[] }[];
  }[];
}

/** An OTLP/HTTP receiver on loopback that keeps every span, and can be slow, refuse, or be away. */
export class OtlpReceiver {
  readonly port: number;
  readonly spans: ReceivedSpan[] = [];
  /** Milliseconds before an answer. */
  delayMs = 0;
  /** Its answer; spans are kept with 200 only. */
  status = 200;
  /** Requests so far, whatever became of them. */
  requests = 0;
  #server: Server | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver(await freePort());
    await receiver.listen();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Listens, again after {@link kill}. */
  async listen(): Promise<void> {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => void this.#answer(Buffer.concat(chunks).toString(), (status) => response.writeHead(status).end('{}')));
    }).listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async #answer(body: string, answer: (status: number) => void): Promise<void> {
    const server = this.#server;
    this.requests += 1;
    await delay(this.delayMs);
    // Killed meanwhile: the sender has no answer.
    if (server !== this.#server) return;
    if (this.status === 200) this.#keep(JSON.parse(body) as Export);
    answer(this.status);
  }

  #keep({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
      for (const scope of scopeSpans) this.spans.push(...scope.spans.map((span) => ({ ...span, service })));
    }
  }

  /** Closes the port and every connection; requests in progress get no answer. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }
}

/** Attributes of a span by name. */
export function attributesOf({ attributes }: ReceivedSpan): Record<string, string | number> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? '']));
}

import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { Metrics } from './metrics.ts';

/** Returns the reason why the part is unhealthy, or undefined when it is healthy. */
export type Check = () => string | undefined;

/** Liveness and readiness of a process, from the checks of its parts. */
export class Health {
  readonly #liveness = new Map<string, Check>();
  readonly #readiness = new Map<string, Check>();

  /** A failing liveness check makes Kubernetes restart the process. */
  addLiveness(name: string, check: Check): void {
    this.#liveness.set(name, check);
  }

  /** A failing readiness check takes the process out of its Service. */
  addReadiness(name: string, check: Check): void {
    this.#readiness.set(name, check);
  }

  /** Failing liveness checks: name to reason. */
  live(): Record<string, string> {
    return failing(this.#liveness);
  }

  /** Failing readiness checks: name to reason. */
  ready(): Record<string, string> {
    return failing(this.#readiness);
  }
}

function failing(checks: Map<string, Check>): Record<string, string> {
  const reasons: Record<string, string> = {};
  for (const [name, check] of checks) {
    const reason = check();
    if (reason !== undefined) reasons[name] = reason;
  }
  return reasons;
}

/** Serves `/metrics`, `/livez` and `/readyz`; port 0 takes a free one. */
export async function startOpsServer(port: number, health: Health, metrics: Metrics): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/livez') return answer(response, health.live());
    if (path === '/readyz') return answer(response, health.ready());
    if (path === '/metrics') return void expose(response, metrics, request.headers.accept);
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve));
  return server;
}

function answer(response: ServerResponse, reasons: Record<string, string>): void {
  const ok = Object.keys(reasons).length === 0;
  response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' });
  response.end(JSON.stringify(ok ? { status: 'ok' } : { status: 'failing', reasons }));
}

async function expose(response: ServerResponse, metrics: Metrics, accept: string | undefined): Promise<void> {
  try {
    const { contentType, body } = await metrics.expose(accept);
    response.writeHead(200, { 'content-type': contentType }).end(body);
  } catch (error) {
    response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error));
  }
}

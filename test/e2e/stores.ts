/** The logs and traces of a platform, as the HTTP APIs of Loki, Tempo and Jaeger return them. */
import { spansOf, type Span } from '../../local/src/demo/trace.ts';
import { NAMESPACE, PLATFORM, type Environment } from './environment.ts';

const PORTS = { loki: 3100, tempo: 3200, jaeger: 16686 } as const;
export type StoreName = keyof typeof PORTS;

/** Queries look back over what a run of the tests takes at most. */
const LOOK_BACK_SECONDS = 3600;
const PATHS = { tempo: '/api/traces/', jaeger: '/api/v3/traces/' } as const;

/** A log line with its labels and structured metadata. */
export interface LabelledLine {
  readonly labels: Readonly<Record<string, string>>;
  readonly line: string;
}

export class Stores {
  /** Base URLs of those that the platform has. */
  readonly #urls: ReadonlyMap<StoreName, string>;

  private constructor(urls: ReadonlyMap<StoreName, string>) {
    this.#urls = urls;
  }

  /** Finds the stores that the platform's status names. */
  static async open({ platform, target }: Environment): Promise<Stores> {
    const components = (await platform.get())?.status?.components ?? [];
    const urls = new Map<StoreName, string>();
    for (const name of ['loki', 'tempo', 'jaeger'] as const)
      if (components.some((component) => component.name === name && component.ready > 0))
        urls.set(name, await target.forward(NAMESPACE, `${PLATFORM}-${name}`, PORTS[name]));
    return new Stores(urls);
  }

  has(name: StoreName): boolean {
    return this.#urls.has(name);
  }

  /** Number of streams or series that a LogQL query returns. */
  async logql(query: string): Promise<number> {
    const { data } = await this.#ask<{ data: { result: unknown[] } }>('loki', `/loki/api/v1/query_range?${range({ query })}`);
    return data.result.length;
  }

  /** Number of traces that a TraceQL query finds, or of series where it computes a metric. */
  async traceql(query: string): Promise<number> {
    if (/\|\s*\w+_?over_time\(|\|\s*(rate|compare)\(/.test(query)) {
      const { series = [] } = await this.#ask<{ series?: unknown[] }>('tempo', `/api/metrics/query_range?${range({ q: query })}`);
      return series.length;
    }
    const { traces = [] } = await this.#ask<{ traces?: unknown[] }>('tempo', `/api/search?${range({ q: query, limit: '5' })}`);
    return traces.length;
  }

  /** Lines with the id of a trace, with their labels. */
  async linesOf(traceId: string): Promise<LabelledLine[]> {
    const query = `{namespace="${NAMESPACE}"} | trace_id="${traceId}"`;
    const { data } = await this.#ask<Streams>('loki', `/loki/api/v1/query_range?${range({ query, limit: '100' })}`);
    return data.result.flatMap(({ stream, values }) => values.map(([, line]) => ({ labels: stream, line })));
  }

  /** The spans of a trace; empty while the store does not have it. */
  async trace(store: keyof typeof PATHS, traceId: string): Promise<Span[]> {
    try {
      return spansOf(await this.#ask(store, PATHS[store] + traceId));
    } catch (error) {
      if (error instanceof NotFound) return [];
      throw error;
    }
  }

  async #ask<T>(name: StoreName, path: string): Promise<T> {
    const response = await fetch(`${this.#urls.get(name)}${path}`, { headers: { accept: 'application/json' } });
    if (response.status === 404) throw new NotFound(path);
    if (!response.ok) throw new Error(`${name}${path} answered ${response.status}: ${(await response.text()).slice(0, 400)}`);
    return (await response.json()) as T;
  }
}

interface Streams {
  readonly data: { readonly result: readonly { readonly stream: Record<string, string>; readonly values: readonly [string, string][] }[] };
}

class NotFound extends Error {}

/** Parameters of a query over the last hour, in epoch seconds. */
function range(parameters: Record<string, string>): string {
  const end = Math.ceil(Date.now() / 1000);
  return new URLSearchParams({ ...parameters, start: String(end - LOOK_BACK_SECONDS), end: String(end) }).toString();
}

/** Where a platform keeps its traces. */

export interface TraceStore {
  readonly component: 'tempo' | 'jaeger';
  readonly port: number;
  /** Of a trace in OTLP JSON; its id follows. */
  readonly path: string;
  readonly title: string;
}

/** In order of preference. */
export const TRACE_STORES: readonly TraceStore[] = [
  { component: 'tempo', port: 3200, path: '/api/traces/', title: 'Tempo' },
  { component: 'jaeger', port: 16686, path: '/api/v3/traces/', title: 'Jaeger' },
];

/** Spans pass through the collector's tail sampling, lines through the log agent: they arrive after some seconds. */
export const ARRIVAL_MS = 40_000;

/** A connection to a pod that has been replaced meanwhile gets no answer, and no error, for minutes. */
const ANSWER_MS = 5_000;

/** @throws when the answer is not 2xx, or takes longer than `limitMs` milliseconds */
export async function readJson<T>(url: string, limitMs = ANSWER_MS): Promise<T> {
  const response = await fetch(url, { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(limitMs) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
  return (await response.json()) as T;
}

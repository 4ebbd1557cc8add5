/** A dashboard as a short description: rows of panels, each a question with its queries, unit and limits. `build.ts` makes Grafana's JSON of it. */

import { quantileOf, TIMED_REQUESTS } from '../promql.ts';

/** Whose query language a query is in: PromQL, LogQL or TraceQL. */
export type Source = 'prometheus' | 'loki' | 'tempo';

export interface Query {
  readonly expr: string;
  /** Template of a series' name, such as `{{service}}`. */
  readonly legend: string;
  /** Draw the exemplars of the histogram that the query reads: points that lead to a trace. */
  readonly exemplars?: boolean;
}

/** `stat` shows the last value, `graph` its course, `bars` counts in intervals; a `gauge` the last value in its range; a `table` a row for each series or trace. */
export type Kind = 'graph' | 'bars' | 'stat' | 'gauge' | 'table' | 'heatmap' | 'logs';

export interface Panel {
  readonly kind: Kind;
  readonly source: Source;
  readonly title: string;
  /** What the panel answers, and where its limits come from. */
  readonly description: string;
  /** A unit of Grafana: `s`, `percentunit`, `bytes`, `ops`, `short`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Values from which the panel turns yellow and red; null: it never does. Falling: low values are bad. */
  readonly limits: { readonly warning: number | null; readonly critical: number | null; readonly falling?: boolean } | null;
  /** `uid` of the dashboard that shows more. */
  readonly next?: BoardId;
  /** Dashboards that a point leads to, with the service of its series. */
  readonly drill?: readonly ('bss-logs' | 'bss-traces')[];
  /** Bottom of the axis, 0 by default. */
  readonly min?: number;
  readonly max?: number;
  /** In columns, of 24. */
  readonly width?: number;
  readonly height?: number;
}

export type BoardId =
  | 'bss-overview'
  | 'bss-business'
  | 'bss-system'
  | 'bss-components'
  | 'bss-kafka'
  | 'bss-database'
  | 'bss-cache'
  | 'bss-interest'
  | 'bss-autoscaling'
  | 'credit-ledger'
  | 'bss-operator'
  | 'bss-slo'
  | 'bss-logs'
  | 'bss-traces'
  | 'bss-monitoring';

export interface Board {
  readonly uid: BoardId;
  readonly title: string;
  readonly description: string;
  /** Variables beside the platform: the services whose logs or traces are shown, and a text that the lines contain. */
  readonly variables?: readonly ('service' | 'search')[];
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

type PanelOptions = Partial<Pick<Panel, 'limits' | 'next' | 'drill' | 'min' | 'max' | 'width' | 'height'>>;

const panel =
  (kind: Kind, source: Source) =>
  (title: string, unit: string, description: string, queries: Query[] | string, options: PanelOptions = {}): Panel => ({
    kind,
    source,
    title,
    unit,
    description,
    queries: typeof queries === 'string' ? [{ expr: queries, legend: title }] : queries,
    limits: null,
    ...options,
  });

export const graph = panel('graph', 'prometheus');
export const stat = panel('stat', 'prometheus');
export const gauge = panel('gauge', 'prometheus');
export const table = panel('table', 'prometheus');
export const heatmap = panel('heatmap', 'prometheus');
export const logBars = panel('bars', 'loki');
export const logStat = panel('stat', 'loki');
export const logLines = panel('logs', 'loki');
export const traceTable = panel('table', 'tempo');

export const query = (expr: string, legend: string): Query => ({ expr, legend });

/** @returns the same query with its exemplars */
export const withExemplars = (one: Query): Query => ({ ...one, exemplars: true });

/** p50, p95 and p99 of the time to answer by service, of classic histograms: the points of p95 lead to traces. */
export function responseTimes(): Query[] {
  const seconds = (q: number) => quantileOf(q, 'http_request_duration_seconds', 'service', TIMED_REQUESTS);
  return [
    query(seconds(0.5), '{{service}} p50'),
    withExemplars(query(seconds(0.95), '{{service}} p95')),
    query(seconds(0.99), '{{service}} p99'),
  ];
}

/** What the data sources answer to the queries of a panel. */
import { filled, queryOf, type Selection, type Target } from '../testing/expressions.ts';
import type { Source } from '../boards/board.ts';

/** Base addresses; a source without one is not asked. */
export type Addresses = Readonly<Partial<Record<Source, string>>>;

export interface Range {
  /** Unix time in seconds. */
  readonly start: number;
  readonly end: number;
  /** Seconds between two points. */
  readonly step: number;
}

export type Labels = Readonly<Record<string, string>>;

export interface Series {
  readonly name: string;
  readonly labels: Labels;
  /** [Unix time in seconds, value], ascending. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Line {
  /** Unix time in seconds. */
  readonly time: number;
  readonly text: string;
  readonly labels: Labels;
}

export interface Trace {
  readonly id: string;
  readonly service: string;
  readonly name: string;
  /** Unix time in seconds. */
  readonly start: number;
  readonly seconds: number;
}

export interface Data {
  readonly series: readonly Series[];
  /** [Unix time in seconds, value] of requests with a trace. */
  readonly exemplars: readonly (readonly [number, number])[];
  readonly lines: readonly Line[];
  readonly traces: readonly Trace[];
}

export const NOTHING: Data = { series: [], exemplars: [], lines: [], traces: [] };

export interface PreviewTarget extends Target {
  readonly exemplar?: boolean;
  /** Of Loki: `instant` or `range`. */
  readonly queryType?: string;
}

/** Most lines and traces that a panel can show. */
const MOST = 60;
const REQUEST_MS = 30_000;

/**
 * The answers to all queries of a panel, put together.
 * @throws Error with the query and what the source says against it
 */
export async function dataOf(
  targets: readonly PreviewTarget[],
  type: string,
  addresses: Addresses,
  selection: Selection,
  range: Range,
): Promise<Data> {
  const answers = await Promise.all(targets.map((target) => answer(target, type, addresses, selection, range)));
  return {
    series: answers.flatMap(({ series }) => series),
    exemplars: answers.flatMap(({ exemplars }) => exemplars),
    lines: answers.flatMap(({ lines }) => lines),
    traces: answers.flatMap(({ traces }) => traces),
  };
}

async function answer(target: PreviewTarget, type: string, addresses: Addresses, selection: Selection, range: Range): Promise<Data> {
  const { expr, source } = queryOf(target);
  const base = addresses[source];
  if (base === undefined) return NOTHING;
  const asked = filled(expr, selection);
  if (source === 'tempo') return { ...NOTHING, traces: await tracesOf(base, asked, range) };
  if (type === 'logs') return { ...NOTHING, lines: await linesOf(base, asked, range) };
  const series = await seriesOf(`${base}${source === 'loki' ? '/loki' : ''}`, asked, target, range);
  return { ...NOTHING, series, exemplars: target.exemplar ? await exemplarsOf(base, asked, range) : [] };
}

async function ask<Answer>(base: string, path: string, parameters: Record<string, string | number>): Promise<Answer> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  const response = await fetch(`${base}${path}?${query.toString()}`, { signal: AbortSignal.timeout(REQUEST_MS) });
  if (!response.ok) throw new Error(`${Object.values(parameters)[0]}: ${response.status} ${(await response.text()).slice(0, 300)}`);
  return (await response.json()) as Answer;
}

interface Matrix {
  readonly data: {
    readonly result: readonly { readonly metric: Labels; readonly value?: [number, string]; readonly values?: [number, string][] }[];
  };
}

/** Prometheus and Loki have the same API for numbers. */
async function seriesOf(base: string, query: string, { instant, legendFormat, queryType }: PreviewTarget, range: Range): Promise<Series[]> {
  const { start, end, step } = range;
  const isInstant = instant === true || queryType === 'instant';
  const { data } = isInstant
    ? await ask<Matrix>(base, '/api/v1/query', { query, time: end })
    : await ask<Matrix>(base, '/api/v1/query_range', { query, start, end, step });
  return data.result.map(({ metric, value, values }) => ({
    name: named(legendFormat ?? '', metric),
    labels: metric,
    points: (values ?? (value === undefined ? [] : [value])).map(([time, text]) => [time, Number(text)] as const),
  }));
}

/** A legend's template with the labels of a series. */
export function named(template: string, labels: Labels): string {
  const name = template.replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? '').trim();
  return name === '' ? Object.values(labels).join(' ') : name;
}

async function exemplarsOf(base: string, query: string, { start, end }: Range): Promise<Data['exemplars']> {
  const { data } = await ask<{ data: readonly { exemplars: readonly { timestamp: number; value: string }[] }[] }>(
    base,
    '/api/v1/query_exemplars',
    {
      query,
      start,
      end,
    },
  );
  return data.flatMap((one) => one.exemplars.map(({ timestamp, value }) => [timestamp, Number(value)] as const));
}

async function linesOf(base: string, query: string, { start, end }: Range): Promise<Line[]> {
  const { data } = await ask<{ data: { result: readonly { stream: Labels; values: readonly [string, string][] }[] } }>(
    base,
    '/loki/api/v1/query_range',
    { query, start, end, limit: MOST, direction: 'backward' },
  );
  const all = data.result.flatMap(({ stream, values }) =>
    values.map(([nanoseconds, text]) => ({ time: Number(nanoseconds) / 1e9, text, labels: stream })),
  );
  return all.toSorted((a, b) => b.time - a.time);
}

interface Found {
  readonly traceID: string;
  readonly rootServiceName?: string;
  readonly rootTraceName?: string;
  readonly startTimeUnixNano: string;
  readonly durationMs?: number;
}

async function tracesOf(base: string, query: string, { start, end }: Range): Promise<Trace[]> {
  const found = await ask<{ traces?: readonly Found[] }>(base, '/api/search', {
    q: query,
    start: Math.floor(start),
    end: Math.ceil(end),
    limit: MOST,
  });
  return (found.traces ?? []).map(({ traceID, rootServiceName = '', rootTraceName = '', startTimeUnixNano, durationMs = 0 }) => ({
    id: traceID,
    service: rootServiceName,
    name: rootTraceName,
    start: Number(startTimeUnixNano) / 1e9,
    seconds: durationMs / 1000,
  }));
}

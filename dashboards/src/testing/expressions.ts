/** The queries of generated dashboards and rules, found as Grafana and Prometheus would find them. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Source } from '../boards/board.ts';

const GENERATED = join(import.meta.dirname, '..', '..', 'generated');

export interface Expression {
  /** Where it stands: `bss-kafka: Lag`, `rule KafkaDown`. */
  readonly place: string;
  readonly expr: string;
  /** Where to ask: PromQL, LogQL or TraceQL. */
  readonly source: Source;
}

/** Values for a dashboard's variables. */
export interface Selection {
  readonly namespace: string;
  readonly platform: string;
  /** What Grafana would set for `$__rate_interval`. */
  readonly rateInterval: string;
  /** What Grafana would set for `$__auto`: the time between two points; the rate interval by default. */
  readonly auto?: string;
  /** What Grafana would set for `$__range`; half an hour by default, as in the dashboards. */
  readonly range?: string;
  /** A pattern of the services in the variable `service`; all by default. */
  readonly service?: string;
}

export interface Target {
  readonly refId: string;
  readonly datasource: { readonly type: Source };
  /** PromQL or LogQL. */
  readonly expr?: string;
  /** TraceQL. */
  readonly query?: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
}

export interface BoardPanel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly Target[];
}

/** The parts of a dashboard's JSON that have queries. `Panel` adds what else a reader needs. */
export interface DashboardFile<Panel extends BoardPanel = BoardPanel> {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[] };
}

/** Every generated dashboard, in the order of its file name. */
export async function dashboardFiles<Panel extends BoardPanel = BoardPanel>(): Promise<DashboardFile<Panel>[]> {
  const folder = join(GENERATED, 'dashboards');
  const files = (await readdir(folder)).toSorted();
  return Promise.all(files.map(async (file): Promise<DashboardFile<Panel>> => JSON.parse(await readFile(join(folder, file), 'utf8'))));
}

/** Every expression of every dashboard, with the variables filled in. */
export async function dashboardExpressions(selection: Selection): Promise<Expression[]> {
  const boards = await dashboardFiles();
  return boards.flatMap((board) => expressionsOf(board).map((one) => ({ ...one, expr: filled(one.expr, selection) })));
}

function expressionsOf({ uid, panels, annotations, templating }: DashboardFile): Expression[] {
  const inPrometheus = (place: string, expr: string | undefined): Expression[] =>
    expr === undefined ? [] : [{ place: `${uid}: ${place}`, expr, source: 'prometheus' }];
  return [
    ...panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ place: `${uid}: ${title}`, ...queryOf(target) }))),
    ...annotations.list.flatMap(({ name, expr }) => inPrometheus(`annotation ${name}`, expr)),
    ...templating.list
      .filter(({ type }) => type === 'query')
      .flatMap(({ name, definition }) => inPrometheus(`variable ${name}`, definition && seriesOf(definition))),
  ];
}

/**
 * The query of a target, in the language of its data source.
 * @throws Error when it has none
 */
export function queryOf({ refId, expr, query, datasource: { type } }: Target): { expr: string; source: Source } {
  const text = expr ?? query;
  if (text === undefined) throw new Error(`target ${refId} has no query`);
  return { expr: text, source: type };
}

/** The selector in `label_values(selector, label)`. */
function seriesOf(definition: string): string {
  const selector = /^label_values\((.+), \w+\)$/.exec(definition)?.[1];
  if (selector === undefined) throw new Error(`the variable's query "${definition}" is not label_values(series, label)`);
  return selector;
}

/**
 * A query with the variables of a dashboard filled in.
 * @throws Error when a variable is left
 */
export function filled(
  expr: string,
  { namespace, platform, rateInterval, auto = rateInterval, range = '30m', service = '.+' }: Selection,
): string {
  const values = {
    namespace,
    platform,
    service,
    search: '',
    __rate_interval: rateInterval,
    __auto: auto,
    __range: range,
  };
  const text = Object.entries(values).reduce(
    (rest, [name, value]) => rest.replaceAll(new RegExp(String.raw`\$${name}\b`, 'g'), () => value),
    expr,
  );
  if (text.includes('$')) throw new Error(`a variable of "${text}" is unknown here`);
  return text;
}

/** Every rule of the committed file. */
export async function ruleExpressions(): Promise<Expression[]> {
  const { groups }: { groups: { rules: { alert?: string; record?: string; expr: string }[] }[] } = parse(
    await readFile(join(GENERATED, 'rules', 'bss-alerts.yml'), 'utf8'),
  );
  return groups.flatMap(({ rules }) =>
    rules.map(({ alert, record, expr }) => ({ place: `rule ${alert ?? record}`, expr, source: 'prometheus' as const })),
  );
}

/** The instant selectors in an expression, without ranges: `up{job="gateway"}`, `service:http_requests:rate`, `{__name__=~"a|b"}`. */
export function selectorsOf(expr: string): string[] {
  return [...expr.matchAll(/[a-zA-Z_][\w]*\{[^}]*\}|(?<![\w:])\{[^}]*\b__name__\b[^}]*\}|\b[a-z_]+:[a-z_0-9:]+(\{[^}]*\})?/g)].map(
    ([selector]) => selector,
  );
}

/** The PromQL of generated dashboards and rules, found as Grafana and Prometheus would find it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

const GENERATED = join(import.meta.dirname, '..', '..', 'generated');

export interface Expression {
  /** Where it stands: `bss-kafka: Lag`, `rule KafkaDown`. */
  readonly place: string;
  readonly expr: string;
}

/** Values for a dashboard's variables. */
export interface Selection {
  readonly namespace: string;
  readonly platform: string;
  /** What Grafana would set for `$__rate_interval`. */
  readonly rateInterval: string;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[] };
}

/** Every expression of every dashboard, with the variables filled in. */
export async function dashboardExpressions(selection: Selection): Promise<Expression[]> {
  const folder = join(GENERATED, 'dashboards');
  const files = (await readdir(folder)).toSorted();
  const boards = await Promise.all(files.map(async (file): Promise<Dashboard> => JSON.parse(await readFile(join(folder, file), 'utf8'))));
  return boards.flatMap((board) => expressionsOf(board).map(({ place, expr }) => ({ place, expr: filled(expr, selection) })));
}

function expressionsOf({ uid, panels, annotations, templating }: Dashboard): Expression[] {
  return [
    ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ place: `${uid}: ${title}`, expr }))),
    ...annotations.list.flatMap(({ name, expr }) => (expr === undefined ? [] : [{ place: `${uid}: annotation ${name}`, expr }])),
    ...templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [{ place: `${uid}: variable ${name}`, expr: seriesOf(definition) }],
    ),
  ];
}

/** The selector in `label_values(selector, label)`. */
function seriesOf(definition: string): string {
  const selector = /^label_values\((.+), \w+\)$/.exec(definition)?.[1];
  if (selector === undefined) throw new Error(`the variable's query "${definition}" is not label_values(series, label)`);
  return selector;
}

function filled(expr: string, { namespace, platform, rateInterval }: Selection): string {
  const text = expr.replaceAll('$namespace', namespace).replaceAll('$platform', platform).replaceAll('$__rate_interval', rateInterval);
  if (text.includes('$')) throw new Error(`a variable of "${text}" is unknown here`);
  return text;
}

/** Every rule of the committed file. */
export async function ruleExpressions(): Promise<Expression[]> {
  const { groups }: { groups: { rules: { alert?: string; record?: string; expr: string }[] }[] } = parse(
    await readFile(join(GENERATED, 'rules', 'bss-alerts.yml'), 'utf8'),
  );
  return groups.flatMap(({ rules }) => rules.map(({ alert, record, expr }) => ({ place: `rule ${alert ?? record}`, expr })));
}

/** The instant selectors in an expression, without ranges: `up{job="gateway"}`, `service:http_requests:rate`. */
export function selectorsOf(expr: string): string[] {
  return [...expr.matchAll(/[a-zA-Z_][\w]*\{[^}]*\}|\b[a-z_]+:[a-z_0-9:]+(\{[^}]*\})?/g)].map(([selector]) => selector);
}

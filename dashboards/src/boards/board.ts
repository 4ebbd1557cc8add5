/** From a short description of a dashboard to the JSON that Grafana reads, by Grafana's own typed builders. */
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
  TooltipDisplayMode,
} from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  type Dashboard,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { selected } from '../promql.ts';

export const TAG = 'bss-platform';
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };

export interface Query {
  readonly expr: string;
  /** Template of a series' name, such as `{{service}}`. */
  readonly legend: string;
}

export interface Panel {
  /** `stat` shows the last value, `graph` its course. */
  readonly kind: 'graph' | 'stat';
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
  readonly max?: number;
}

export type BoardId =
  | 'bss-overview'
  | 'bss-kafka'
  | 'bss-database'
  | 'bss-cache'
  | 'bss-interest'
  | 'bss-autoscaling'
  | 'credit-ledger'
  | 'bss-operator'
  | 'bss-slo';

export interface Board {
  readonly uid: BoardId;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

type PanelOptions = Partial<Pick<Panel, 'limits' | 'next' | 'max'>>;

const panel =
  (kind: Panel['kind']) =>
  (title: string, unit: string, description: string, queries: Query[] | string, options: PanelOptions = {}): Panel => ({
    kind,
    title,
    unit,
    description,
    queries: typeof queries === 'string' ? [{ expr: queries, legend: title }] : queries,
    limits: null,
    ...options,
  });

export const graph = panel('graph');
export const stat = panel('stat');
export const query = (expr: string, legend: string): Query => ({ expr, legend });

/** 24 columns; as many panels in a line as fit. */
const SIZE = { graph: { width: 8, height: 8 }, stat: { width: 4, height: 4 } } as const;

function steps({ limits }: Panel): Threshold[] {
  if (limits === null) return [{ value: null, color: 'green' }];
  const { warning, critical, falling } = limits;
  if (!falling) return [{ value: null, color: 'green' }, ...step(warning, 'yellow'), ...step(critical, 'red')];
  return [{ value: null, color: 'red' }, ...step(critical, warning === null ? 'green' : 'yellow'), ...step(warning, 'green')];
}

function step(value: number | null, color: string): Threshold[] {
  return value === null ? [] : [{ value, color }];
}

const targets = ({ queries }: Panel, instant: boolean) =>
  queries.map(({ expr, legend }, index) => {
    const target = new DataqueryBuilder()
      .expr(expr)
      .legendFormat(legend)
      .refId(String.fromCodePoint(65 + index))
      .datasource(DATASOURCE);
    return instant ? target.instant() : target.range();
  });

function linkTo(uid: BoardId) {
  // Grafana fills the variables in, so that the next dashboard shows the same platform and time.
  const url = `/d/${uid}?\${__url_time_range}&\${datasource:queryparam}&\${namespace:queryparam}&\${platform:queryparam}`;
  return new DashboardLinkBuilder('More').type(DashboardLinkType.Link).url(url);
}

function builderOf(source: Panel) {
  const thresholds = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(source));
  const { width, height } = SIZE[source.kind];
  const builder = source.kind === 'stat' ? statOf() : graphOf(source);
  builder
    .title(source.title)
    .description(source.description)
    .unit(source.unit)
    .datasource(DATASOURCE)
    .span(width)
    .height(height)
    .thresholds(thresholds)
    .targets(targets(source, source.kind === 'stat'));
  if (source.next !== undefined) builder.links([linkTo(source.next)]);
  if (source.max !== undefined) builder.max(source.max);
  return builder;
}

function statOf(): StatBuilder {
  return new StatBuilder()
    .graphMode(BigValueGraphMode.None)
    .colorMode(BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false));
}

function graphOf({ limits }: Panel): GraphBuilder {
  const style = new GraphThresholdsStyleConfigBuilder().mode(
    limits === null ? GraphThresholdsStyleMode.Off : GraphThresholdsStyleMode.Dashed,
  );
  return new GraphBuilder()
    .min(0)
    .fillOpacity(8)
    .thresholdsStyle(style)
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi))
    .legend(
      new VizLegendOptionsBuilder()
        .displayMode(LegendDisplayMode.Table)
        .placement(LegendPlacement.Bottom)
        .showLegend(true)
        .calcs(['lastNotNull', 'max']),
    );
}

function variable(name: string, label: string, definition: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATASOURCE)
    .query({ query: definition, refId: name })
    .definition(definition)
    .refresh(VariableRefresh.OnTimeRangeChanged);
}

function annotation(name: string, color: string, expr: string, title: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATASOURCE)
    .enable(true)
    .iconColor(color)
    .expr(expr)
    .titleFormat(title)
    .step('15s');
}

/** What happened at that moment: drawn into every graph. */
function annotations(): AnnotationQueryBuilder[] {
  const happened = (metric: string) => `changes(${selected(metric)}[1m]) > 0`;
  return [
    annotation('Scale actions', 'blue', happened('bss_consumer_group_replicas'), '{{group}} was scaled'),
    annotation('Restarts', 'orange', happened('process_start_time_seconds'), '{{service}} restarted'),
    annotation('Alerts', 'red', selected('ALERTS', 'alertstate="firing",severity!="none"'), '{{alertname}}'),
  ];
}

/** @returns the dashboard as Grafana's provisioning, its sidecar and its import by hand take it */
export function dashboard({ uid, title, description, rows }: Board): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('10s')
    .time({ from: 'now-30m', to: 'now' })
    .timezone('browser')
    .variables([
      new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
      variable('namespace', 'Namespace', 'label_values(up{platform!=""}, namespace)'),
      variable('platform', 'Platform', 'label_values(up{namespace="$namespace"}, platform)'),
    ])
    .annotations(annotations())
    .link(
      new DashboardLinkBuilder('BSS platform')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(true)
        .includeVars(true)
        .keepTime(true),
    );
  let id = 0;
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title).id((id += 1)));
    for (const source of row.panels) builder.withPanel(builderOf(source).id((id += 1)));
  }
  return builder.build();
}

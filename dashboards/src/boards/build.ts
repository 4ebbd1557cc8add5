/** From the description of a dashboard to the JSON that Grafana reads, by Grafana's own typed builders. */
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LogsSortOrder,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
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
  TextBoxVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  type Dashboard,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as GaugeBuilder } from '@grafana/grafana-foundation-sdk/gauge';
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  PanelBuilder as HeatmapBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { PanelBuilder as LogsBuilder } from '@grafana/grafana-foundation-sdk/logs';
import { DataqueryBuilder as LokiQuery } from '@grafana/grafana-foundation-sdk/loki';
import { DataqueryBuilder as PrometheusQuery, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { DataqueryBuilder as TempoQuery, SearchTableType } from '@grafana/grafana-foundation-sdk/tempo';
import { PanelBuilder as GraphBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { selected } from '../promql.ts';
import type { Board, BoardId, Kind, Panel, Query, Source } from './board.ts';

export const TAG = 'bss-platform';

/** A variable for each kind of data source, so that a dashboard can be imported into any Grafana. */
const DATASOURCES: Readonly<Record<Source, { variable: string; label: string }>> = {
  prometheus: { variable: 'datasource', label: 'Prometheus' },
  loki: { variable: 'loki', label: 'Loki' },
  tempo: { variable: 'tempo', label: 'Tempo' },
};

const datasource = (source: Source) => ({ type: source, uid: `\${${DATASOURCES[source].variable}}` });

/** Of 24 columns, and in lines: as many panels in a line as fit. */
const SIZE: Readonly<Record<Kind, { width: number; height: number }>> = {
  graph: { width: 8, height: 8 },
  bars: { width: 12, height: 8 },
  stat: { width: 4, height: 4 },
  gauge: { width: 8, height: 6 },
  table: { width: 12, height: 8 },
  heatmap: { width: 8, height: 8 },
  logs: { width: 24, height: 12 },
};

/** Most lines or traces that a panel asks for. */
const MOST_LINES = 200;
const MOST_TRACES = 20;

function steps({ limits }: Panel): Threshold[] {
  if (limits === null) return [{ value: null, color: 'green' }];
  const { warning, critical, falling } = limits;
  if (!falling) return [{ value: null, color: 'green' }, ...step(warning, 'yellow'), ...step(critical, 'red')];
  return [{ value: null, color: 'red' }, ...step(critical, warning === null ? 'green' : 'yellow'), ...step(warning, 'green')];
}

function step(value: number | null, color: string): Threshold[] {
  return value === null ? [] : [{ value, color }];
}

/** Kinds that show one value of each series. */
const INSTANT: ReadonlySet<Kind> = new Set(['stat', 'gauge', 'table']);

function promTarget({ expr, legend, exemplars }: Query, kind: Kind): PrometheusQuery {
  const target = new PrometheusQuery().expr(expr).legendFormat(legend);
  if (exemplars) target.exemplar(true);
  if (kind === 'table') target.format(PromQueryFormat.Table);
  if (kind === 'heatmap') target.format(PromQueryFormat.Heatmap);
  return INSTANT.has(kind) ? target.instant() : target.range();
}

function lokiTarget({ expr, legend }: Query, kind: Kind): LokiQuery {
  const target = new LokiQuery().expr(expr).queryType(INSTANT.has(kind) ? 'instant' : 'range');
  return kind === 'logs' ? target.maxLines(MOST_LINES) : target.legendFormat(legend);
}

function tempoTarget({ expr }: Query): TempoQuery {
  return new TempoQuery().query(expr).queryType('traceql').limit(MOST_TRACES).tableType(SearchTableType.Traces);
}

function targets({ source, kind, queries }: Panel) {
  return queries.map((one, index) => {
    const target = source === 'prometheus' ? promTarget(one, kind) : source === 'loki' ? lokiTarget(one, kind) : tempoTarget(one);
    return target.refId(String.fromCodePoint(65 + index)).datasource(datasource(source));
  });
}

/** Grafana fills the variables in, so that the next dashboard shows the same platform and time. */
const SELECTION = '${__url_time_range}&${datasource:queryparam}&${namespace:queryparam}&${platform:queryparam}';

function linkTo(uid: BoardId): DashboardLinkBuilder {
  return new DashboardLinkBuilder('More').type(DashboardLinkType.Link).url(`/d/${uid}?${SELECTION}`);
}

function drillTo(uid: 'bss-logs' | 'bss-traces'): DashboardLinkBuilder {
  const what = uid === 'bss-logs' ? 'Logs' : 'Traces';
  return new DashboardLinkBuilder(`${what} of \${__field.labels.service}`)
    .type(DashboardLinkType.Link)
    .url(`/d/${uid}?${SELECTION}&var-service=\${__field.labels.service}`);
}

const BUILDERS = {
  graph: graphOf,
  bars: barsOf,
  stat: statOf,
  gauge: gaugeOf,
  table: tableOf,
  heatmap: heatmapOf,
  logs: logsOf,
} as const satisfies Record<Kind, (source: Panel) => unknown>;

function builderOf(source: Panel) {
  const thresholds = new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps(source));
  const { width, height } = { ...SIZE[source.kind], ...source };
  const builder = BUILDERS[source.kind](source);
  builder
    .title(source.title)
    .description(source.description)
    .unit(source.unit)
    .datasource(datasource(source.source))
    .span(width)
    .height(height)
    .thresholds(thresholds)
    .targets(targets(source));
  if (source.next !== undefined) builder.links([linkTo(source.next)]);
  if (source.drill !== undefined) builder.dataLinks(source.drill.map(drillTo));
  if (source.min !== undefined) builder.min(source.min);
  if (source.max !== undefined) builder.max(source.max);
  return builder;
}

const lastValue = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

function statOf(): StatBuilder {
  return new StatBuilder().graphMode(BigValueGraphMode.None).colorMode(BigValueColorMode.Value).reduceOptions(lastValue());
}

function gaugeOf(): GaugeBuilder {
  return new GaugeBuilder().min(0).reduceOptions(lastValue());
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

function barsOf(source: Panel): GraphBuilder {
  return graphOf(source)
    .drawStyle(GraphDrawStyle.Bars)
    .fillOpacity(80)
    .lineWidth(0)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
}

/** A column for each label and one for the value; the columns of the scrape itself say nothing here. */
function tableOf({ source }: Panel): TableBuilder {
  const builder = new TableBuilder();
  if (source !== 'prometheus') return builder;
  const hidden = ['Time', '__name__', 'namespace', 'platform', 'instance', 'component', 'job'];
  return builder.withTransformation({
    id: 'organize',
    options: { excludeByName: Object.fromEntries(hidden.map((name) => [name, true])) },
  });
}

function heatmapOf({ unit }: Panel): HeatmapBuilder {
  return new HeatmapBuilder()
    .color(new HeatmapColorOptionsBuilder().mode(HeatmapColorMode.Scheme).scheme('Oranges').steps(64))
    .yAxis(new YAxisConfigBuilder().unit(unit).min(0));
}

function logsOf(): LogsBuilder {
  return new LogsBuilder().showTime(true).wrapLogMessage(true).enableLogDetails(true).sortOrder(LogsSortOrder.Descending);
}

function variable(name: string, label: string, definition: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .datasource(datasource('prometheus'))
    .query({ query: definition, refId: name })
    .definition(definition)
    .refresh(VariableRefresh.OnTimeRangeChanged);
}

/** Services that the other dashboards name; all of them by default. */
function services(): QueryVariableBuilder {
  return variable('service', 'Service', 'label_values(up{namespace="$namespace",platform="$platform"}, service)')
    .multi(true)
    .includeAll(true)
    .allValue('.+')
    .current({ text: 'All', value: '$__all' });
}

function variables({ variables: named = [], rows }: Board) {
  const used = new Set<Source>(['prometheus', ...rows.flatMap(({ panels }) => panels.map(({ source }) => source))]);
  const sources = Object.entries(DATASOURCES).filter(([source]) => used.has(source as Source));
  return [
    ...sources.map(([source, { variable: name, label }]) => new DatasourceVariableBuilder(name).label(label).type(source)),
    variable('namespace', 'Namespace', 'label_values(up{platform!=""}, namespace)'),
    variable('platform', 'Platform', 'label_values(up{namespace="$namespace"}, platform)'),
    ...(named.includes('service') ? [services()] : []),
    ...(named.includes('search') ? [new TextBoxVariableBuilder('search').label('Contains').defaultValue('')] : []),
  ];
}

function annotation(name: string, color: string, expr: string, title: string): AnnotationQueryBuilder {
  return new AnnotationQueryBuilder()
    .name(name)
    .datasource(datasource('prometheus'))
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
export function dashboard(board: Board): Dashboard {
  const builder = new DashboardBuilder(board.title)
    .uid(board.uid)
    .description(board.description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .refresh('10s')
    .time({ from: 'now-30m', to: 'now' })
    .timezone('browser')
    .variables(variables(board))
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
  for (const row of board.rows) {
    builder.withRow(new RowBuilder(row.title).id((id += 1)));
    for (const source of row.panels) builder.withPanel(builderOf(source).id((id += 1)));
  }
  return builder.build();
}

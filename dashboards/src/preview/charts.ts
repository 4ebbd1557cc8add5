/** Panels with an axis, drawn by Apache ECharts without a browser. */
import { init, type EChartsCoreOption } from 'echarts';
import type { Data, Range, Series } from './data.ts';
import type { Box } from './layout.ts';
import { paint, thresholdColor, thresholdsOf, unitOf, type PreviewPanel } from './panel.ts';
import { colorOf, COLORS, round } from './svg.ts';
import { formatted } from './units.ts';

/** With more series their areas would cover each other. */
const MOST_AREAS = 4;

const FONT = { fontFamily: 'DejaVu Sans, Helvetica, Arial, sans-serif', fontSize: 11, color: COLORS.faint };

/** @returns an SVG element with the chart in its box */
export function drawn(box: Box, option: EChartsCoreOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: Math.floor(box.width), height: Math.floor(box.height) });
  try {
    chart.setOption({ animation: false, useUTC: true, textStyle: FONT, ...option });
    return chart.renderToSVGString().replace('<svg ', `<svg x="${round(box.x)}" y="${round(box.y)}" `);
  } finally {
    chart.dispose();
  }
}

/** Top and ticks of an axis: bytes have ticks at powers of two, shares of a whole at quarters. ECharts finds them for the rest. */
function ticks(unit: string, highest: number, max: number | undefined): { max?: number; interval?: number } {
  const isBytes = unit === 'bytes' || unit === 'Bps';
  if (unit === 'percentunit' && max === 1) return { max, interval: 0.25 };
  if (!isBytes || highest <= 0 || max !== undefined) return max === undefined ? {} : { max };
  const interval = 2 ** Math.ceil(Math.log2(highest / 4));
  return { interval, max: Math.ceil(highest / interval) * interval };
}

function valueAxis(panel: PreviewPanel, highest: number): object {
  const { min = 0, max } = panel.fieldConfig?.defaults ?? {};
  const unit = unitOf(panel);
  return {
    type: 'value',
    min,
    splitNumber: 4,
    ...(min === 0 ? ticks(unit, highest, max) : { max }),
    axisLabel: { ...FONT, formatter: (value: number) => formatted(value, unit) },
    splitLine: { lineStyle: { color: COLORS.grid } },
  };
}

const timeAxis = ({ start, end }: Range): object => ({
  type: 'time',
  min: start * 1000,
  max: end * 1000,
  splitNumber: 5,
  axisLabel: { ...FONT, hideOverlap: true, formatter: '{HH}:{mm}' },
  axisLine: { lineStyle: { color: COLORS.border } },
});

/** A gap of more than three steps is drawn as one. */
function gapped({ points }: Series, step: number): (readonly [number, number | null])[] {
  return points.flatMap(([time, value], index) => {
    const before = points[index - 1]?.[0] ?? time;
    const gap: (readonly [number, number | null])[] = time - before > 3 * step ? [[(before + step) * 1000, null]] : [];
    return [...gap, [time * 1000, Number.isFinite(value) ? value : null] as const];
  });
}

/** Limits are lines where the panel draws them; ECharts leaves out those beyond the axis, as Grafana does. */
function limits(panel: PreviewPanel): object {
  const mode = panel.fieldConfig?.defaults.custom?.thresholdsStyle?.mode ?? 'off';
  const steps = mode === 'off' ? [] : thresholdsOf(panel).filter(({ value }) => value !== null);
  const data = steps.map(({ value, color }) => ({ yAxis: value, lineStyle: { color: paint(color), type: 'dashed', width: 1 } }));
  return { silent: true, symbol: 'none', label: { show: false }, data };
}

export function graph(box: Box, panel: PreviewPanel, { series, exemplars }: Data, range: Range): string {
  const bars = panel.fieldConfig?.defaults.custom?.drawStyle === 'bars';
  const highest = Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite));
  const kind = bars
    ? { type: 'bar', stack: 'all', barMaxWidth: 12 }
    : { type: 'line', symbol: series.some(({ points }) => points.length === 1) ? 'circle' : 'none' };
  const drawnSeries = series.map((one, index) => ({
    ...kind,
    data: gapped(one, range.step),
    symbolSize: 4,
    itemStyle: { color: colorOf(index) },
    lineStyle: { width: 1.5 },
    areaStyle: bars || series.length > MOST_AREAS ? undefined : { opacity: 0.07 },
    markLine: index === 0 ? limits(panel) : undefined,
  }));
  const points = {
    type: 'scatter',
    symbol: 'diamond',
    symbolSize: 7,
    itemStyle: { color: COLORS.text, opacity: 0.6 },
    data: exemplars.map(([time, value]) => [time * 1000, value]),
  };
  return drawn(box, {
    grid: { left: 8, right: 14, top: 10, bottom: 4, containLabel: true },
    xAxis: timeAxis(range),
    yAxis: valueAxis(panel, highest),
    series: [...drawnSeries, ...(exemplars.length > 0 ? [points] : [])],
  });
}

export function gauge(box: Box, panel: PreviewPanel, value: number): string {
  const { max = 1 } = panel.fieldConfig?.defaults ?? {};
  const steps = thresholdsOf(panel);
  const band = steps.map(({ color }, index) => [Math.min(1, (steps[index + 1]?.value ?? max) / max), paint(color)]);
  return drawn(box, {
    series: [
      {
        type: 'gauge',
        min: 0,
        max,
        radius: '95%',
        center: ['50%', '60%'],
        startAngle: 200,
        endAngle: -20,
        data: [{ value }],
        axisLine: { lineStyle: { width: 5, color: band } },
        progress: { show: true, width: 18, itemStyle: { color: thresholdColor(value, steps), opacity: 0.85 } },
        pointer: { show: false },
        axisTick: { show: false },
        splitLine: { show: false },
        axisLabel: { show: false },
        detail: {
          offsetCenter: [0, 0],
          fontSize: 24,
          color: thresholdColor(value, steps),
          formatter: () => formatted(value, unitOf(panel)),
        },
      },
    ],
  });
}

/** Counts between one bound of a classic histogram and the next: [bound, counts by time]. */
function buckets(series: readonly Series[]): { bound: number; counts: Map<number, number> }[] {
  const ascending = series
    .map(({ labels, points }) => ({ bound: Number((labels['le'] ?? '').replace('+Inf', 'Infinity')), points }))
    .toSorted((a, b) => a.bound - b.bound);
  return ascending.map(({ bound, points }, index) => {
    const lower = new Map(ascending[index - 1]?.points ?? []);
    return { bound, counts: new Map(points.map(([time, value]) => [time, Math.max(0, value - (lower.get(time) ?? 0))])) };
  });
}

export function heatmap(box: Box, panel: PreviewPanel, { series }: Data): string {
  const rows = buckets(series);
  const times = [...new Set(series.flatMap(({ points }) => points.map(([time]) => time)))].toSorted((a, b) => a - b);
  const cells = rows
    .flatMap(({ counts }, row) => times.map((time, column) => [column, row, counts.get(time) ?? 0] as const))
    .filter(([, , count]) => count > 0);
  const clock = (time: number) => new Date(time * 1000).toISOString().slice(11, 16);
  return drawn(box, {
    grid: { left: 8, right: 14, top: 10, bottom: 4, containLabel: true },
    xAxis: { type: 'category', data: times.map(clock), axisLabel: { ...FONT, hideOverlap: true, interval: Math.ceil(times.length / 6) } },
    yAxis: { type: 'category', data: rows.map(({ bound }) => formatted(bound, unitOf(panel))), axisLabel: FONT },
    visualMap: {
      show: false,
      min: 0,
      max: Math.max(1, ...cells.map(([, , count]) => count)),
      inRange: { color: ['#fff3e0', '#fb8c00', '#7f2704'] },
    },
    series: [{ type: 'heatmap', data: cells }],
  });
}

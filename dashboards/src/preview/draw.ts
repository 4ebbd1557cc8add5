/** A panel in its box: title, and what its kind shows. */
import { gauge, graph, heatmap } from './charts.ts';
import type { Data, Range, Series } from './data.ts';
import { below, type Box } from './layout.ts';
import { thresholdColor, thresholdsOf, unitOf, type PreviewPanel } from './panel.ts';
import { colorOf, COLORS, cut, rectangle, text } from './svg.ts';
import { formatted } from './units.ts';

const TITLE = 28;
const LINE = 18;

/** @param problem why there is no data */
export function drawPanel(box: Box, panel: PreviewPanel, data: Data, range: Range, problem?: string): string {
  if (panel.type === 'row') return text(box.x, box.y + 20, panel.title, { size: 15, weight: 600 });
  const frame = rectangle(box, COLORS.panel, COLORS.border, 3);
  const title = text(box.x + 10, box.y + 19, cut(panel.title, box.width - 20, 13), { size: 13, weight: 600 });
  const inner = { ...below(box, TITLE), x: box.x + 8, width: box.width - 16 };
  const shown = isEmpty(data) ? nothing(inner, problem ?? 'No data') : contentOf(inner, panel, data, range);
  return frame + title + shown;
}

function isEmpty({ series, lines, traces }: Data): boolean {
  return lines.length === 0 && traces.length === 0 && series.every(({ points }) => points.length === 0);
}

function nothing(box: Box, why: string): string {
  const words = cut(why, box.width, 12);
  return text(box.x + box.width / 2, box.y + box.height / 2, words, { size: 12, color: COLORS.faint, anchor: 'middle' });
}

function contentOf(box: Box, panel: PreviewPanel, data: Data, range: Range): string {
  switch (panel.type) {
    case 'stat':
      return stat(box, panel, data.series);
    case 'gauge':
      return gauge(box, panel, last(data.series[0]));
    case 'heatmap':
      return heatmap(box, panel, data);
    case 'table':
      return table(box, panel, data);
    case 'logs':
      return logs(box, data);
    case 'timeseries':
      return withLegend(box, panel, data, range);
    default:
      throw new Error(`a panel of type ${panel.type} cannot be drawn`);
  }
}

const numbers = (series: Series | undefined) => (series?.points ?? []).map(([, value]) => value).filter((value) => !Number.isNaN(value));
const last = (series: Series | undefined) => numbers(series).at(-1) ?? Number.NaN;

const highest = (series: Series) => (numbers(series).length === 0 ? Number.NaN : Math.max(...numbers(series)));

/** The last value of each series beside each other. */
function stat(box: Box, panel: PreviewPanel, series: readonly Series[]): string {
  const shown = series.slice(0, 4);
  const width = box.width / shown.length;
  return shown
    .map((one, index) => {
      const value = last(one);
      const words = formatted(value, unitOf(panel));
      const size = Math.max(14, Math.min(38, box.height * 0.5, (width - 12) / (words.length * 0.6)));
      const style = { size: Math.round(size), color: thresholdColor(value, thresholdsOf(panel)), anchor: 'middle', weight: 600 } as const;
      return text(box.x + width * (index + 0.5), box.y + box.height / 2 + size / 3, words, style);
    })
    .join('');
}

/** A graph above the last and the highest value of each series, as many as a third of the panel holds. */
function withLegend(box: Box, panel: PreviewPanel, data: Data, range: Range): string {
  const { series } = data;
  const room = Math.max(1, Math.floor((box.height * 0.36) / LINE) - 1);
  const shown = series.length > room ? series.slice(0, room - 1) : series;
  const left = series.length - shown.length;
  const height = (shown.length + (left > 0 ? 2 : 1)) * LINE;
  const chart = graph({ ...box, height: box.height - height }, panel, data, range);
  const top = box.y + box.height - height + 10;
  const columns = { last: box.x + box.width - 86, max: box.x + box.width - 4 };
  const head = { size: 10, color: COLORS.faint, anchor: 'end' } as const;
  const rows = shown.map((one, index) => {
    const y = top + LINE * (index + 1);
    const cells = [
      rectangle({ x: box.x + 4, y: y - 6, width: 12, height: 4 }, colorOf(index), 'none', 2),
      text(box.x + 22, y, cut(one.name, columns.last - box.x - 90, 11), { size: 11 }),
      text(columns.last, y, formatted(last(one), unitOf(panel)), { size: 11, anchor: 'end' }),
      text(columns.max, y, formatted(highest(one), unitOf(panel)), { size: 11, anchor: 'end' }),
    ];
    return cells.join('');
  });
  const more = left > 0 ? text(box.x + 22, top + LINE * (shown.length + 1), `and ${left} more`, { size: 11, color: COLORS.faint }) : '';
  return chart + text(columns.last, top, 'last', head) + text(columns.max, top, 'max', head) + rows.join('') + more;
}

interface Cell {
  readonly content: string;
  readonly color?: string;
}

function table(box: Box, panel: PreviewPanel, { series, traces }: Data): string {
  if (traces.length > 0) {
    const rows = traces.map(({ id, start, service, name, seconds }): Cell[] => [
      { content: id },
      { content: new Date(start * 1000).toISOString().slice(11, 19) },
      { content: service },
      { content: name },
      { content: formatted(seconds, 's') },
    ]);
    return grid(box, ['Trace', 'Start', 'Service', 'Name', 'Duration'], rows, [0.32, 0.12, 0.16, 0.28, 0.12]);
  }
  const hidden = panel.transformations?.[0]?.options.excludeByName ?? {};
  const names = [...new Set(series.flatMap(({ labels }) => Object.keys(labels)))].filter((name) => !hidden[name]).toSorted();
  const rows = series.map((one): Cell[] => {
    const value = last(one);
    const color = thresholdColor(value, thresholdsOf(panel));
    return [...names.map((name) => ({ content: one.labels[name] ?? '' })), { content: formatted(value, unitOf(panel)), color }];
  });
  const share = 0.9 / Math.max(1, names.length);
  return grid(box, [...names, 'Value'], rows, [...names.map(() => share), 0.1]);
}

/** @param shares of the width, by column */
function grid(box: Box, head: readonly string[], rows: readonly (readonly Cell[])[], shares: readonly number[]): string {
  const room = Math.floor(box.height / LINE) - 1;
  const shown = rows.length > room ? rows.slice(0, room - 1) : rows;
  const starts = shares.map((_, column) => box.x + 4 + box.width * shares.slice(0, column).reduce((sum, share) => sum + share, 0));
  const cell = (column: number, line: number, { content, color }: Cell, weight: number) =>
    text(starts[column] ?? box.x, box.y + LINE * line + 12, cut(content, (shares[column] ?? 0) * box.width - 10, 11), {
      size: 11,
      weight,
      ...(color === undefined ? {} : { color }),
    });
  const header = head.map((content, column) => cell(column, 0, { content, color: COLORS.faint }, 600));
  const body = shown.flatMap((row, line) => row.map((one, column) => cell(column, line + 1, one, 400)));
  const left = rows.length - shown.length;
  const more =
    left > 0 ? [text(box.x + 4, box.y + LINE * (shown.length + 1) + 12, `and ${left} more`, { size: 11, color: COLORS.faint })] : [];
  return [...header, ...body, ...more].join('');
}

const LEVELS: Readonly<Record<string, string>> = { error: COLORS.red, fatal: COLORS.red, warn: COLORS.yellow, warning: COLORS.yellow };

function logs(box: Box, { lines }: Data): string {
  const shown = lines.slice(0, Math.floor(box.height / LINE));
  return shown
    .map(({ time, text: content, labels }, index) => {
      const y = box.y + LINE * index + 12;
      const color = LEVELS[(labels['level'] ?? '').toLowerCase()] ?? COLORS.green;
      const clock = new Date(time * 1000).toISOString().slice(11, 23);
      const service = labels['service_name'] ?? '';
      return (
        rectangle({ x: box.x, y: y - 10, width: 3, height: 13 }, color) +
        text(box.x + 10, y, `${clock}  ${cut(service, 130, 11, true)}`, { size: 11, color: COLORS.faint, mono: true }) +
        text(box.x + 240, y, cut(content, box.width - 244, 11, true), { size: 11, mono: true })
      );
    })
    .join('');
}

/** SVG charts without a library: arrivals, lag and replicas over time. */
import type { Point } from './run.ts';

const WIDTH = 900;
const PANEL = 110;
const LEFT = 64;
const GAP = 34;
const TOP = 46;
const INK = '#444';
export const COLOURS = { ours: '#0b6e4f', keda: '#c8553d', arrivals: '#8895a7' };

/** `dashed` for what is meant, not measured. */
export interface Line {
  colour: string;
  dashed?: boolean;
  points: readonly { x: number; y: number }[];
}

/** One panel: what it shows, and its lines. All panels of a chart share the time axis. */
export interface Panel {
  label: string;
  lines: readonly Line[];
}

/** What a colour stands for. */
export interface Legend {
  label: string;
  colour: string;
}

/** Three panels over the same time: arrivals, lag, replicas; our line beside KEDA's. */
export function comparisonChart(title: string, ours: readonly Point[], keda: readonly Point[], kedaLabel: string): string {
  const line = (colour: string, points: readonly Point[], pick: (point: Point) => number): Line => ({
    colour,
    points: points.map((point) => ({ x: point.time, y: pick(point) })),
  });
  const both = (pick: (point: Point) => number) => [line(COLOURS.keda, keda, pick), line(COLOURS.ours, ours, pick)];
  const legend = [
    { label: kedaLabel, colour: COLOURS.keda },
    { label: 'builtin', colour: COLOURS.ours },
  ];
  return chart(title, legend, [
    { label: 'messages/s', lines: [line(COLOURS.arrivals, ours, ({ arrivals }) => arrivals)] },
    { label: 'lag', lines: both(({ lag }) => lag) },
    { label: 'replicas', lines: both(({ replicas }) => replicas) },
  ]);
}

/** Panels one above the other, as SVG. `x` is in seconds from the beginning. */
export function chart(title: string, legend: readonly Legend[], panels: readonly Panel[]): string {
  const height = TOP + panels.length * (PANEL + GAP);
  const last = Math.max(1, ...panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(({ x }) => x))));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(LEFT, 22, title, INK, 'start', 15),
    ...legend.map(({ label, colour }, index) => text(LEFT + 300 + index * 300, 22, label, colour, 'start', 13)),
    ...panels.map((one, index) => panel(one, index, last)),
    '</svg>',
    '',
  ].join('\n');
}

function panel({ label, lines }: Panel, index: number, last: number): string {
  const top = TOP + index * (PANEL + GAP);
  const most = Math.max(1, ...lines.flatMap(({ points }) => points.map(({ y }) => y)));
  const place = ({ x, y }: { x: number; y: number }) =>
    `${(LEFT + (x / last) * (WIDTH - LEFT - 16)).toFixed(1)},${(top + PANEL - (y / most) * PANEL).toFixed(1)}`;
  const drawn = lines.map(
    ({ colour, dashed, points }) =>
      `<polyline fill="none" stroke="${colour}" stroke-width="1.4"${dashed ? ' stroke-dasharray="4 3"' : ''} points="${points.map(place).join(' ')}"/>`,
  );
  return [
    `<path d="M${LEFT},${top}V${top + PANEL}H${WIDTH - 16}" fill="none" stroke="#bbb"/>`,
    text(LEFT - 6, top + 10, figure(most), INK, 'end', 11),
    text(LEFT - 6, top + PANEL, '0', INK, 'end', 11),
    text(LEFT + 4, top - 4, label, INK, 'start', 11),
    text(WIDTH - 16, top + PANEL + 14, `${figure(last)} s`, INK, 'end', 11),
    ...drawn,
  ].join('\n');
}

function text(x: number, y: number, value: string, colour: string, anchor: 'start' | 'end', size: number): string {
  return `<text x="${x}" y="${y}" fill="${colour}" text-anchor="${anchor}" font-size="${size}">${value}</text>`;
}

function figure(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** One kind of consumers in the chart of a trace's frontier. */
export interface FrontierPanel {
  label: string;
  tried: readonly { lag: number; pods: number }[];
  frontier: readonly { lag: number; pods: number; label: string }[];
  ours: { lag: number; pods: number };
  /** Pod-seconds. */
  keepUp: number;
}

const SQUARE = 300;

/** Lag integral over pod-seconds, both logarithmic, one panel beside the other. */
export function frontierChart(title: string, panels: readonly FrontierPanel[]): string {
  const width = panels.length * SQUARE + 40;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${SQUARE + 60}" font-family="sans-serif">`,
    `<rect width="${width}" height="${SQUARE + 60}" fill="#fff"/>`,
    text(20, 22, `${title}: lag (message-seconds) over pod-seconds`, INK, 'start', 14),
    ...panels.map((one, index) => frontierPanel(one, 60 + index * SQUARE)),
    '</svg>',
    '',
  ].join('\n');
}

function frontierPanel({ label, tried, frontier, ours, keepUp }: FrontierPanel, left: number): string {
  const all = [...tried, ours];
  const pods = scaleOf([...all.map((one) => one.pods), keepUp], left, left + SQUARE - 70);
  const lag = scaleOf(
    all.map((one) => one.lag),
    SQUARE + 10,
    60,
  );
  const dot = (one: { lag: number; pods: number }, colour: string, radius: number, hint = '') =>
    `<circle cx="${pods.at(one.pods)}" cy="${lag.at(one.lag)}" r="${radius}" fill="${colour}">${hint === '' ? '' : `<title>${hint}</title>`}</circle>`;
  const line = frontier.map((one) => `${pods.at(one.pods)},${lag.at(one.lag)}`).join(' ');
  return [
    `<path d="M${left - 6},54V${SQUARE + 16}H${left + SQUARE - 64}" fill="none" stroke="#bbb"/>`,
    text(left, 48, label, INK, 'start', 12),
    text(left - 8, SQUARE + 12, compact(lag.least), INK, 'end', 9),
    text(left - 8, 64, compact(lag.most), INK, 'end', 9),
    text(left, SQUARE + 30, compact(pods.least), INK, 'start', 9),
    text(left + SQUARE - 70, SQUARE + 30, compact(pods.most), INK, 'end', 9),
    `<path d="M${pods.at(keepUp)},54V${SQUARE + 16}" stroke="${COLOURS.arrivals}" stroke-dasharray="2 3"/>`,
    ...tried.map((one) => dot(one, '#d5d5d5', 1.8)),
    `<polyline fill="none" stroke="${COLOURS.keda}" stroke-width="1.2" points="${line}"/>`,
    ...frontier.map((one) => dot(one, COLOURS.keda, 2.4, `KEDA ${one.label}`)),
    dot(ours, COLOURS.ours, 5, 'builtin'),
  ].join('\n');
}

function scaleOf(values: readonly number[], from: number, to: number): { at: (value: number) => string; least: number; most: number } {
  const least = Math.min(...values);
  const most = Math.max(...values);
  const span = Math.max(1e-9, Math.log(most / least));
  return { at: (value) => (from + ((to - from) * Math.log(value / least)) / span).toFixed(1), least, most };
}

function compact(value: number): string {
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 }).format(value);
}

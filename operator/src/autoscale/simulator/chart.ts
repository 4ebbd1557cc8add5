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

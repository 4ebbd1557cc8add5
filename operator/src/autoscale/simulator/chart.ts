/** SVG charts without a library: arrivals, lag and replicas over time, one policy above the other. */
import type { Point } from './run.ts';

const WIDTH = 900;
const PANEL = 110;
const LEFT = 64;
const GAP = 34;
const TOP = 46;
const INK = '#444';
const COLOURS = { ours: '#0b6e4f', keda: '#c8553d', arrivals: '#8895a7' };

interface Line {
  label: string;
  colour: string;
  points: readonly { x: number; y: number }[];
}

/** Three panels over the same time: arrivals, lag, replicas; our line beside KEDA's. */
export function comparisonChart(title: string, ours: readonly Point[], keda: readonly Point[], kedaLabel: string): string {
  const line = (label: string, colour: string, points: readonly Point[], pick: (point: Point) => number): Line => ({
    label,
    colour,
    points: points.map((point) => ({ x: point.time, y: pick(point) })),
  });
  const both = (pick: (point: Point) => number) => [line(kedaLabel, COLOURS.keda, keda, pick), line('builtin', COLOURS.ours, ours, pick)];
  const panels = [
    panel('messages/s', [line('arrivals', COLOURS.arrivals, ours, ({ arrivals }) => arrivals)], 0),
    panel(
      'lag',
      both(({ lag }) => lag),
      1,
    ),
    panel(
      'replicas',
      both(({ replicas }) => replicas),
      2,
    ),
  ];
  const height = TOP + panels.length * (PANEL + GAP);
  const legend = both(() => 0).map(({ label, colour }, index) => text(LEFT + 300 + index * 300, 22, label, colour, 'start', 13));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(LEFT, 22, title, INK, 'start', 15),
    ...legend,
    ...panels,
    '</svg>',
    '',
  ].join('\n');
}

function panel(label: string, lines: readonly Line[], index: number): string {
  const top = TOP + index * (PANEL + GAP);
  const all = lines.flatMap(({ points }) => points);
  const last = Math.max(1, ...all.map(({ x }) => x));
  const most = Math.max(1, ...all.map(({ y }) => y));
  const place = ({ x, y }: { x: number; y: number }) =>
    `${(LEFT + (x / last) * (WIDTH - LEFT - 16)).toFixed(1)},${(top + PANEL - (y / most) * PANEL).toFixed(1)}`;
  const drawn = lines.map(
    ({ colour, points }) => `<polyline fill="none" stroke="${colour}" stroke-width="1.4" points="${points.map(place).join(' ')}"/>`,
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

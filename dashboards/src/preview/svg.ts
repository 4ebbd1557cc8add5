/** Text and boxes of an SVG. */
import type { Box } from './layout.ts';

export const COLORS = {
  page: '#f4f5f5',
  panel: '#ffffff',
  border: '#dcdfe3',
  text: '#24292e',
  faint: '#6a7178',
  grid: '#e6e8eb',
  green: '#1a7f4b',
  yellow: '#c98a04',
  red: '#d0293a',
} as const;

/** Of series, in their order: told apart by people with a red-green deficiency too. */
export const SERIES_COLORS = [
  '#1f78c8',
  '#e07b00',
  '#2b9a66',
  '#9b51b5',
  '#c2334d',
  '#0f9ba8',
  '#8a6d3b',
  '#5662c9',
  '#d0679d',
  '#6f7d1c',
] as const;

export function colorOf(index: number): string {
  return SERIES_COLORS[index % SERIES_COLORS.length] ?? COLORS.text;
}

export function escaped(content: string): string {
  // Control characters are not allowed in XML.
  // oxlint-disable-next-line no-control-regex
  const allowed = content.replaceAll(/[\u0000-\u001f\u007f]/g, ' ');
  return allowed.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

export interface TextStyle {
  readonly size?: number;
  readonly color?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly weight?: number;
  readonly mono?: boolean;
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 12, color = COLORS.text, anchor = 'start', weight = 400, mono = false } = style;
  const font = mono ? ' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace"' : '';
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" fill="${color}" text-anchor="${anchor}" font-weight="${weight}"${font}>${escaped(content)}</text>`;
}

export function rectangle({ x, y, width, height }: Box, fill: string, stroke = 'none', radius = 0): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}" stroke="${stroke}" rx="${radius}"/>`;
}

/** About: a page has no font to measure with. */
const CHARACTER = 0.56;
const MONO_CHARACTER = 0.61;

/** @returns as much of a text as a width holds, in pixels */
export function cut(content: string, width: number, size = 12, mono = false): string {
  const most = Math.max(1, Math.floor(width / (size * (mono ? MONO_CHARACTER : CHARACTER))));
  return content.length <= most ? content : `${content.slice(0, most - 1)}…`;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
